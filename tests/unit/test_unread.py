"""What of an EPR could not be read is noted until it can be: what it is, why, and since when."""

from __future__ import annotations

from datetime import timedelta

import pytest

from fhirbridge.core.facts import Appointment
from fhirbridge.ports import Event, Resource
from fhirbridge.service.loading import Load
from tests.unit.stage import PATIENT, START, Stage, appointment

HOUR = timedelta(hours=1)


@pytest.fixture
def stage() -> Stage:
    return Stage()


def nobodys(identity: str) -> Resource:
    return {**appointment(identity, "noshow", START), "participant": [{"status": "accepted"}]}


async def test_a_resource_that_r4_forbids_is_noted_and_the_version_before_goes_on_to_count(stage: Stage) -> None:
    await stage.epr.update({"resourceType": "Patient", "id": "p1"})
    await stage.enter(appointment("a1", "noshow", START))
    await stage.settle()
    assert await stage.store.unread.search() == []

    stage.clock.time += HOUR
    await stage.enter({**appointment("a1", "noshow", START), "status": "not-so"})
    await stage.settle()

    [one] = await stage.store.unread.search()
    assert (one.epr, one.reference, one.version, one.unfit) == ("main", "Appointment/a1", "2", True)
    assert one.reason.startswith("Appointment.status: 'not-so' is not allowed")
    assert one.since == START + HOUR
    facts = [fact for fact in (await stage.store.load(PATIENT)).facts if isinstance(fact, Appointment)]
    assert [fact.source.version for fact in facts] == ["1"]

    stage.clock.time += HOUR
    await stage.enter(appointment("a1", "fulfilled", START))
    await stage.settle()
    assert await stage.store.unread.search() == []


async def test_what_cannot_become_a_fact_is_noted(stage: Stage) -> None:
    await stage.enter(nobodys("a1"))
    await stage.settle()
    [one] = await stage.store.unread.search()
    assert (one.patient, one.unfit) == ("", False)
    assert "names no patient" in one.reason


async def test_what_has_gone_is_no_longer_to_be_read(stage: Stage) -> None:
    await stage.epr.update({"resourceType": "Patient", "id": "p1"})
    await stage.enter({**appointment("a1", "noshow", START), "status": "not-so"})
    await stage.settle()
    assert len(await stage.store.unread.search()) == 1

    stage.clock.time += HOUR
    await stage.epr.delete("Appointment/a1")
    await stage.notify(Event(type="Appointment", id="a1", deleted=True))
    await stage.settle()
    assert await stage.store.unread.search() == []


async def test_what_is_loaded_and_cannot_be_read_is_noted_and_is_not_new(stage: Stage) -> None:
    load = Load(stage.store, stage.site, stage.clock)
    meta = {"versionId": "1", "lastUpdated": "2026-03-01T09:00:00Z"}
    unfit = {**appointment("a1", "not-so", START), "meta": meta}
    await load.take([unfit, {"resourceType": "Appointment", "meta": meta}, {"resourceType": "Device", "id": "d"}])
    assert [one.reference for one in await stage.store.unread.search()] == ["Appointment/a1"]
    assert (load.read, load.new, load.known, load.without_use["Appointment"]) == (3, 0, 0, 2)
