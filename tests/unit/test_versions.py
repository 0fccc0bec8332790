"""From a hint to versions: nothing that was skipped is lost, and what has gone is withdrawn however it was noticed."""

from __future__ import annotations

from datetime import timedelta

import pytest

from fhirbridge.core.facts import Appointment, Signal
from fhirbridge.core.vocabulary import BASE
from fhirbridge.ports import Event, Resource
from tests.unit.stage import PATIENT, START, Epr, Stage, appointment
from tests.unit.test_polling import a_stage
from tests.vendor_epr import epic

DAY = timedelta(days=1)


class Counted(Epr):
    """Counts how often a history was asked for."""

    histories = 0

    async def history(self, reference: str) -> list[Resource]:
        self.histories += 1
        return await super().history(reference)


@pytest.fixture
def stage() -> Stage:
    stage = Stage()
    stage.epr.__class__ = Counted  # the same EPR, that also counts
    return stage


async def states(stage: Stage, identity: str = "a1") -> list[str]:
    facts = [fact for fact in (await stage.store.load(PATIENT)).facts if fact.source.id == identity]
    return ["gone" if fact.erased else fact.state.value for fact in facts if isinstance(fact, Appointment)]


async def seen(stage: Stage) -> None:
    """A patient whose record has been read, with a booked appointment."""
    await stage.epr.update({"resourceType": "Patient", "id": "p1"})
    await stage.enter(appointment("a1", "booked", START))
    await stage.settle()
    assert await states(stage) == ["booked"]
    stage.clock.time += DAY


async def test_versions_that_were_skipped_are_read_from_the_history(stage: Stage) -> None:
    await seen(stage)
    for status in ("noshow", "fulfilled", "noshow"):
        stage.clock.time += timedelta(hours=1)
        await stage.epr.update(appointment("a1", status, START))
    await stage.notify(Event(type="Appointment", id="a1"))
    await stage.settle()
    assert await states(stage) == ["booked", "missed", "attended", "missed"]


async def test_where_none_was_skipped_no_history_is_asked_for(stage: Stage) -> None:
    await seen(stage)
    assert isinstance(stage.epr, Counted)
    before = stage.epr.histories
    await stage.enter(appointment("a1", "noshow", START))
    await stage.settle()
    assert await states(stage) == ["booked", "missed"]
    assert stage.epr.histories == before


async def test_a_hint_at_a_change_finds_that_the_resource_was_deleted_since(stage: Stage) -> None:
    await seen(stage)
    await stage.epr.update(appointment("a1", "noshow", START))
    await stage.epr.delete("Appointment/a1")
    await stage.notify(Event(type="Appointment", id="a1"))
    await stage.settle()
    assert await states(stage) == ["booked", "missed", "gone"]


async def test_what_was_deleted_and_made_again_counts_again(stage: Stage) -> None:
    await seen(stage)
    await stage.epr.delete("Appointment/a1")
    await stage.notify(Event(type="Appointment", id="a1", deleted=True))
    await stage.settle()
    stage.clock.time += DAY
    await stage.enter(appointment("a1", "noshow", START))
    await stage.settle()
    assert await states(stage) == ["booked", "gone", "missed"]


async def test_an_epr_without_history_or_versions_withdraws_too() -> None:
    stage = a_stage(epic, "epic")
    await stage.epr.update(appointment("a1", "booked", START))
    hint = Event(type="Appointment", id="a1")
    await stage.store.accept("main", [hint], START)
    await stage.service.digest()
    await stage.epr.delete("Appointment/a1")
    for _ in range(2):
        stage.clock.time += DAY
        await stage.store.accept("main", [hint], stage.clock.time - timedelta(hours=1))
        await stage.service.digest()
    assert await stage.states("a1") == ["booked", "gone"]


async def test_a_flag_that_was_deleted_no_longer_stands_when_something_is_decided(stage: Stage) -> None:
    code = {"coding": [{"system": f"{BASE}/CodeSystem/signal", "code": "risk-high"}]}
    subject = {"reference": "Patient/p1"}
    flag = {"resourceType": "Flag", "id": "f1", "status": "active", "subject": subject, "code": code}
    await stage.epr.update(flag)
    await seen(stage)
    await stage.epr.delete("Flag/f1")
    await stage.enter(appointment("a1", "noshow", START))
    await stage.settle()
    facts = [fact for fact in (await stage.store.load(PATIENT)).facts if isinstance(fact, Signal)]
    assert [fact.erased for fact in facts] == [False, True]
