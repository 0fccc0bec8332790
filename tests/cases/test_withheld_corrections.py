"""Where a refusal of sharing keeps a correction from somebody, the explanation says from whom and why."""

from __future__ import annotations

from datetime import timedelta

import pytest

from fhirbridge.casebook.__main__ import CASES, setting
from fhirbridge.casebook.playing import pack_of, play
from fhirbridge.casebook.reading import read_case
from fhirbridge.core.decide import decide
from fhirbridge.core.effects import HandedOver, Kind, Written
from fhirbridge.core.facts import AnyFact
from fhirbridge.core.own import NOTHING, Own, fold
from fhirbridge.core.policy import Pack
from fhirbridge.core.reconcile import effects_of, reconcile
from fhirbridge.core.timeline import Record
from fhirbridge.core.withholding import withheld_corrections

WITH_ALL = setting()


def carried_out(pack: Pack, facts: tuple[AnyFact, ...]) -> Own:
    """What was done by the time of the last fact, each message sent when it was written."""
    own = NOTHING
    known = sorted({fact.known for fact in facts})
    for now in sorted({*known, *(at + timedelta(hours=hours) for at in known for hours in (22, 23, 24))}):
        if now > known[-1]:
            break
        for _ in range(5):
            record = Record.of(fact for fact in facts if fact.known <= now)
            decision = decide(pack, record, own, now)
            effects = effects_of(decision, reconcile(decision, own, record), now)
            sent = [
                HandedOver(identity=one.identity, at=now)
                for one in effects
                if isinstance(one, Written) and one.key.kind is Kind.COMMUNICATION
            ]
            own = fold((*effects, *sent), onto=own)
    return own


@pytest.mark.parametrize(
    ("name", "kept_from"), [("5.1.1-corrected-after-refusal", ["agency"]), ("5.1.1-corrected-after-notice", [])]
)
def test_a_correction_that_is_kept_from_somebody_is_explained(name: str, kept_from: list[str]) -> None:
    case = read_case(CASES / "rdash-disengagement" / f"{name}.yaml", WITH_ALL.calendar)
    pack = pack_of(case, WITH_ALL)
    facts = play(case, WITH_ALL, pack).facts
    own = carried_out(pack, facts)
    now = max(fact.known for fact in facts)

    found = withheld_corrections(pack, Record.of(facts), own, now)

    assert [one.withheld.role for one in found] == kept_from
    for one in found:
        [because] = one.withheld.because
        assert (because.says, [source.type for source in because.sources]) == (
            "The record carries the signal sharing-refused.",
            ["Flag"],
        )
        assert "is now recorded as attended" in one.wrong[0].says
