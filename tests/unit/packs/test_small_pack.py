"""A policy of one's own needs no code: forty lines of YAML, and it works over FHIR like those that ship."""

from datetime import UTC, datetime
from pathlib import Path

from fhirbridge.core.calendar import Calendar
from fhirbridge.core.decide import decide
from fhirbridge.core.own import NOTHING
from fhirbridge.core.timeline import Record
from fhirbridge.packs.lint import lint
from fhirbridge.packs.loading import load_pack
from tests.shipped import shipped_mapping

SMALL = """\
pack: school-counselling
version: 1.0.0
title: Missed sessions in school counselling
source: {title: A school counselling service's attendance policy}

settings:
  misses: {default: 2, min: 1, max: 4, title: Missed sessions in a row}
  talk: {default: 3WD, min: 1WD, max: 5WD, title: Time to talk with the pupil}
  letter-after: {default: P1W, min: P3D, max: P2W, title: Time without contact after which the GP is told}

pathways:
  - id: missed
    title: Missed sessions
    clause: "2"
    starts: {missed: {consecutive: $misses}, not: {signal: ready-for-discharge}}
    steps:
      - id: school-talk
        title: Talk with the pupil
        when: start
        do:
          - task: contact-patient
            to: lead-professional
            due: $talk
            says: The pupil missed the sessions on {missed}. Find out why, within {talk}.
      - id: school-gp
        title: Tell the GP
        when: {passed: {time: $letter-after}, risk: [identified, unknown, contradictory]}
        do:
          - communication: no-contact-notice
            to: gp
            says: The pupil missed the sessions on {missed}, and there has been no contact since.
"""


def appointment(name: str, day: int) -> dict[str, object]:
    return {
        "resourceType": "Appointment",
        "id": name,
        "meta": {"versionId": "1", "lastUpdated": f"2026-03-{day:02}T11:00:00Z"},
        "status": "noshow",
        "start": f"2026-03-{day:02}T10:00:00Z",
        "end": f"2026-03-{day:02}T11:00:00Z",
        "participant": [{"actor": {"reference": "Patient/p"}, "status": "accepted"}],
    }


def test_forty_lines_are_a_policy(tmp_path: Path) -> None:
    assert len(SMALL.splitlines()) <= 40
    file = tmp_path / "school-counselling.yaml"
    file.write_text(SMALL, encoding="utf-8")
    assert lint(file) == []
    pack = load_pack(str(file), calendar=Calendar())
    mapping = shipped_mapping()
    facts = [fact for name, day in (("a1", 2), ("a2", 9)) if (fact := mapping.fact(appointment(name, day)))]
    decision = decide(pack, Record.of(facts), NOTHING, datetime(2026, 3, 9, 12, tzinfo=UTC))
    (task,) = decision.obligations
    assert (task.action, task.role) == ("contact-patient", "lead-professional")
    assert task.due == datetime(2026, 3, 12, 23, 59, 59, tzinfo=UTC)
    assert decision.wakes_at == datetime(2026, 3, 16, 10, tzinfo=UTC)
    later = decide(pack, Record.of(facts), NOTHING, datetime(2026, 3, 16, 10, tzinfo=UTC))
    assert [one.action for one in later.obligations if one.role == "gp"] == ["no-contact-notice"]
