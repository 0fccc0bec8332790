"""A run keeps the edition of the pack that it started with, and so does whatever follows from it."""

from datetime import timedelta

from msgspec.structs import replace

from fhirbridge.core.decide import decide
from fhirbridge.core.effects import Kind
from fhirbridge.core.own import NOTHING
from fhirbridge.core.timeline import Record
from tests.unit.test_explain import PACK, SECOND, carried_out, low_risk

NEW = replace(PACK, version="2.0.0")
LATER = SECOND + timedelta(days=4)
RECORD = Record.of(low_risk())
OWN = carried_out(low_risk(), (SECOND,))


def test_the_old_edition_carries_on_what_it_started_and_whatever_follows() -> None:
    decision = decide(PACK, RECORD, OWN, LATER, starts=False)
    asked = {(one.kind, one.action) for one in decision.obligations}
    assert asked == {(Kind.TASK, "contact-patient"), (Kind.COMMUNICATION, "overdue-notice")}
    assert decision.unfounded == ()


def test_the_new_edition_neither_takes_over_nor_takes_back() -> None:
    decision = decide(NEW, RECORD, OWN, LATER)
    assert (decision.obligations, decision.unfounded) == ((), ())


def test_the_old_edition_starts_nothing_of_its_own() -> None:
    assert decide(PACK, RECORD, NOTHING, SECOND, starts=False).obligations == ()
