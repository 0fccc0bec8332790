"""Records that are linked are played together, however they are spread; and each for as long as a link says so."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import orjson
from typer.testing import CliRunner

from fhirbridge.cli import app
from fhirbridge.simulation import DryRun, Patient, Yield, collect, final_lines, play, spread
from tests.shipped import CALENDAR, shipped_mapping, shipped_pack
from tests.unit.simulated_record import twice_missed

MAPPING = shipped_mapping()
BY = DryRun(packs=(shipped_pack(),), calendar=CALENDAR)
UNTIL = datetime(2026, 2, 2, tzinfo=UTC)


def person(identity: str, version: int, known: str, **elements: Any) -> dict[str, Any]:
    meta = {"versionId": str(version), "lastUpdated": known}
    return {"resourceType": "Patient", "id": identity, "meta": meta, **elements}


def replaced(identity: str, by: str) -> dict[str, Any]:
    link = [{"type": "replaced-by", "other": {"reference": f"Patient/{by}"}}]
    return person(identity, 9, "2026-01-28T09:00:00Z", active=False, link=link)


def written(by: DryRun, patient: Patient, until: datetime) -> Yield:
    made = play(patient, by, until)
    return Yield(final_lines(made) if made else [])


def spread_out(file: Path, processes: int) -> list[dict[str, Any]]:
    with spread([file], MAPPING, UNTIL, partial(written, BY), processes=processes) as (_, found):
        return [orjson.loads(line) for line in found]


def test_however_they_are_spread_the_same_is_written(tmp_path: Path) -> None:
    record = [one for number in range(8) for one in twice_missed(f"old{number}")]
    record += [replaced(f"old{number}", f"new{number}") for number in range(0, 8, 2)]
    file = tmp_path / "record.ndjson"
    file.write_bytes(b"".join(orjson.dumps(one, option=orjson.OPT_APPEND_NEWLINE) for one in record))

    alone = spread_out(file, 1)
    assert spread_out(file, 3) == alone
    tasks = [one for one in alone if one["resourceType"] == "Task"]
    stands = {(task["for"]["reference"], task["status"]) for task in tasks}
    assert {("Patient/old0", "cancelled"), ("Patient/new0", "requested"), ("Patient/old1", "requested")} <= stands
    assert ("Patient/new1", "requested") not in stands
    assert ("Patient/old0", "requested") not in stands


def test_all_that_were_ever_linked_are_one_patient_of_the_input() -> None:
    record = [*twice_missed("a"), *twice_missed("c"), replaced("a", "b")]
    found = collect(record, MAPPING, UNTIL).patients

    assert [(patient.reference, patient.linked) for patient in found] == [
        ("Patient/a", ("Patient/a", "Patient/b")),
        ("Patient/c", ()),
    ]


def test_an_inactive_record_that_names_no_other_is_said_to_be_doubtful(tmp_path: Path) -> None:
    record = [*twice_missed("a"), person("a", 9, "2026-01-28T09:00:00Z", active=False)]
    file = tmp_path / "record.ndjson"
    file.write_bytes(b"".join(orjson.dumps(one, option=orjson.OPT_APPEND_NEWLINE) for one in record))
    arguments = ["simulate", str(file), "--pack", "rdash-disengagement", "--until", "2026-02-02T00:00:00Z", "--explain"]
    told = CliRunner().invoke(app, arguments).stdout

    assert "marked as inactive, and names no other that replaces it" in told
    assert "Withdrawn" not in told
