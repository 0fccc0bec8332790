"""An EPR may answer from a replica that lags: nothing is concluded from that, and nothing is lost by it."""

from __future__ import annotations

from datetime import timedelta

import pytest

from fhirbridge.adapters.memory_epr import MemoryEpr
from fhirbridge.adapters.memory_store import MemoryStore
from fhirbridge.fhir.notification import Event, Notification
from fhirbridge.ports import Resource, Subject
from fhirbridge.service import Service, Site
from fhirbridge.service.versions import CATCHES_UP
from tests.clock_double import ClockDouble
from tests.unit.stage import MAPPING, PATIENT, START


class Replica(MemoryEpr):
    """An EPR whose reads show what there was at `shows`, for each reference how many versions."""

    def __init__(self, clock: ClockDouble) -> None:
        super().__init__("main", clock)
        self.shows: dict[str, int] = {}
        self.history_shows: dict[str, int] = {}

    async def read(self, reference: str) -> Resource | None:
        if reference not in self.shows:
            return await super().read(reference)
        versions = (await super().history(reference))[: self.shows[reference]]
        return versions[-1] if versions else None

    async def history(self, reference: str) -> list[Resource]:
        return (await super().history(reference))[: self.history_shows.get(reference)]


class Stage:
    def __init__(self) -> None:
        self.clock = ClockDouble(START)
        self.epr = Replica(self.clock)
        self.store = MemoryStore()
        self.service = Service(self.store, {"main": Site(epr=self.epr, mapping=MAPPING, packs=())}, self.clock)

    async def enter(self, status: str) -> Event:
        """Staff put the one appointment in; what the EPR tells of it."""
        resource = {
            "resourceType": "Appointment",
            "id": "a1",
            "status": status,
            "start": START.isoformat(),
            "participant": [{"actor": {"reference": "Patient/p1"}, "status": "accepted"}],
        }
        stored = await self.epr.update(resource)
        self.clock.time += timedelta(seconds=1)
        return Event(type="Appointment", id="a1", version=stored["meta"]["versionId"])

    async def tell(self, *events: Event) -> None:
        await self.service.ingest("main", Notification(events=events))
        await self.service.digest()

    async def known(self) -> list[str]:
        facts = (await self.store.load(PATIENT)).facts
        return [f"{fact.source.version}{' erased' if fact.erased else ''}" for fact in facts]

    async def later(self, after: timedelta = timedelta(minutes=1)) -> None:
        self.clock.time += after
        await self.service.digest()


@pytest.fixture
def stage() -> Stage:
    return Stage()


async def test_an_event_waits_until_the_epr_shows_what_it_told_of(stage: Stage) -> None:
    await stage.tell(await stage.enter("booked"))
    changed = await stage.enter("noshow")
    stage.epr.shows["Appointment/a1"] = 1

    await stage.tell(changed)
    assert await stage.known() == ["1"]
    assert [one.event for one in await stage.store.waiting(10)] == [changed]
    assert await stage.service.digest() is None  # it is not asked for again at once

    del stage.epr.shows["Appointment/a1"]
    await stage.later()
    assert await stage.known() == ["1", "2"]
    assert await stage.store.waiting(10) == []


async def test_what_is_not_there_yet_waits_and_holds_nobody_else_up(stage: Stage) -> None:
    told = await stage.enter("booked")
    stage.epr.shows["Appointment/a1"] = 0
    other = {"resourceType": "Patient", "id": "p2"}
    await stage.epr.update(other)

    await stage.tell(told, Event(type="Patient", id="p2", version="1"))

    assert await stage.store.has_seen(Subject("main", "Patient/p2"))
    assert [one.event for one in await stage.store.waiting(10)] == [told]


async def test_after_a_while_the_epr_is_taken_at_its_word(stage: Stage) -> None:
    await stage.tell(await stage.enter("booked"))
    changed = await stage.enter("noshow")
    stage.epr.shows["Appointment/a1"] = 1
    await stage.tell(changed)

    await stage.later(CATCHES_UP)

    assert await stage.known() == ["1"]
    assert await stage.store.waiting(10) == []


async def test_what_was_there_a_moment_ago_is_not_taken_for_deleted(stage: Stage) -> None:
    told = await stage.enter("noshow")
    await stage.tell(told)
    stage.epr.shows["Appointment/a1"] = 0

    await stage.tell(told)
    assert await stage.known() == ["1"]

    await stage.later(CATCHES_UP)
    assert await stage.known() == ["1", "2 erased"]


async def test_what_was_put_in_again_is_waited_for(stage: Stage) -> None:
    await stage.tell(await stage.enter("noshow"))
    await stage.epr.delete("Appointment/a1")
    await stage.tell(Event(type="Appointment", id="a1", deleted=True))
    stage.clock.time += timedelta(minutes=1)
    again = await stage.enter("noshow")
    stage.epr.shows["Appointment/a1"] = 0

    await stage.tell(again)
    assert await stage.known() == ["1", "2 erased"]

    del stage.epr.shows["Appointment/a1"]
    await stage.later()
    assert await stage.known() == ["1", "2 erased", "3"]


async def test_a_deletion_that_was_told_of_counts_at_once(stage: Stage) -> None:
    await stage.tell(await stage.enter("noshow"))
    await stage.epr.delete("Appointment/a1")

    await stage.tell(Event(type="Appointment", id="a1", version="2", deleted=True))

    assert await stage.known() == ["1", "2 erased"]


async def test_a_deletion_waits_until_the_epr_shows_it(stage: Stage) -> None:
    await stage.tell(await stage.enter("noshow"))
    await stage.epr.delete("Appointment/a1")
    stage.epr.shows["Appointment/a1"] = 1

    await stage.tell(Event(type="Appointment", id="a1", deleted=True))
    assert await stage.known() == ["1"]

    del stage.epr.shows["Appointment/a1"]
    await stage.later()
    assert await stage.known() == ["1", "2 erased"]


async def test_a_history_that_lacks_what_is_current_may_lack_more(stage: Stage) -> None:
    await stage.tell(await stage.enter("booked"))
    await stage.enter("noshow")
    last = await stage.enter("fulfilled")
    stage.epr.history_shows["Appointment/a1"] = 1

    await stage.tell(last)
    assert await stage.known() == ["1"]

    del stage.epr.history_shows["Appointment/a1"]
    await stage.later()
    assert await stage.known() == ["1", "2", "3"]


@pytest.mark.parametrize("again", [False, True], ids=["alone", "before the newest is told of again"])
async def test_an_event_of_a_version_that_was_passed_over_fetches_it(stage: Stage, again: bool) -> None:
    await stage.tell(await stage.enter("booked"))
    late = await stage.enter("noshow")
    last = await stage.enter("fulfilled")
    stage.epr.history_shows["Appointment/a1"] = 0
    stage.clock.time += CATCHES_UP
    await stage.tell(last)
    await stage.later(CATCHES_UP)
    assert await stage.known() == ["1", "3"]

    stage.epr.history_shows.clear()
    await stage.tell(late, *([last] if again else []))
    assert await stage.known() == ["1", "2", "3"]
