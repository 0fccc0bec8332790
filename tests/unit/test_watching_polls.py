"""EPRs that tell of nothing are asked: the days around today each time, the whole and every patient sometimes."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from pydantic import HttpUrl

from fhirbridge.adapters.memory_epr import MemoryEpr
from fhirbridge.adapters.memory_store import MemoryStore
from fhirbridge.core.effects import Written
from fhirbridge.core.gaps import Cause
from fhirbridge.ports import Event, Resource
from fhirbridge.service import Service, Site
from fhirbridge.settings import EprSettings, PollingSettings, Settings
from fhirbridge.wiring.service import Runtime
from fhirbridge.wiring.watching import Watcher, watchers
from tests.clock_double import ClockDouble
from tests.shipped import CALENDAR, shipped_mapping, shipped_pack
from tests.unit.stage import PATIENT, START
from tests.unit.stage import appointment as at
from tests.vendor_epr import VendorEpr, epic, oracle

MINUTE = timedelta(minutes=1)
DAY = timedelta(days=1)
PACK = shipped_pack(risk_when_unrecorded="none")


class House:
    """An EPR, a store that outlives the process, and the service with its watcher."""

    def __init__(self, make: Any, mapping: str, **polling: Any) -> None:
        self.clock = ClockDouble(START)
        self.epr: MemoryEpr = make(self.clock)
        self.store = MemoryStore()
        loaded = shipped_mapping(mapping)
        site = Site(epr=self.epr, mapping=loaded, packs=(PACK,), calendar=CALENDAR)
        one = EprSettings(base_url=HttpUrl("http://epr.test/fhir"), polling=PollingSettings(**polling))
        self.service = Service(self.store, {"main": site}, self.clock)
        self.runtime = Runtime(
            settings=Settings(eprs={"main": one}), service=self.service, store=self.store, clock=self.clock
        )

    async def watcher(self) -> Watcher:
        [one] = await watchers(self.runtime)
        return one

    async def after(self, passed: timedelta, one: Watcher) -> None:
        """Time passes, the EPR is asked, and the service decides."""
        self.clock.time += passed
        await one.look_after()
        while await self.service.digest() or await self.service.advance(await self.service.due()):
            pass
        await one.close()

    async def asked_for(self) -> list[str]:
        known = await self.store.load(PATIENT)
        return [effect.key.action for effect in known.effects if isinstance(effect, Written)]

    def searches(self, kind: str) -> list[dict[str, Any]]:
        assert isinstance(self.epr, VendorEpr)
        found = [parameters for asked, parameters in self.epr.asked if asked == kind and "patient" not in parameters]
        self.epr.asked.clear()
        return found


def appointment(identity: str, status: str, start: datetime) -> Resource:
    return at(identity, status, start, "Location/north")


async def missed_twice(house: House, one: Watcher) -> None:
    await house.epr.update({"resourceType": "Patient", "id": "p1", "birthDate": "1980-01-01"})
    await house.epr.update(appointment("a0", "fulfilled", START - 21 * DAY))
    await house.epr.update(appointment("a1", "noshow", START - 7 * DAY))
    await house.after(MINUTE, one)
    assert await house.asked_for() == []
    await house.epr.update(appointment("a2", "noshow", START + timedelta(minutes=1)))
    await house.after(5 * MINUTE, one)


async def test_at_epic_a_missed_appointment_leads_to_the_task() -> None:
    house = House(epic, "epic")
    await missed_twice(house, await house.watcher())
    assert house.runtime.unready == {}
    assert await house.asked_for() == ["contact-patient"]


async def test_at_oracle_health_it_does_once_the_clinics_are_named() -> None:
    house = House(oracle, "oracle-health", demands={"Appointment": {"location": ["north", "south"]}})
    await missed_twice(house, await house.watcher())
    assert house.runtime.unready == {}
    assert await house.asked_for() == ["contact-patient"]


async def test_what_the_epr_refuses_to_be_asked_is_said() -> None:
    house = House(oracle, "oracle-health")
    one = await house.watcher()
    assert not await one.look_after()
    assert "Appointment" in house.runtime.unready["subscriptions at main"]
    assert "location" in house.runtime.unready["subscriptions at main"]


async def test_most_readings_are_of_the_days_around_today() -> None:
    house = House(epic, "epic", reconcile=3600)
    one = await house.watcher()
    await house.after(MINUTE, one)
    assert len(house.searches("Appointment")) > 10
    await house.after(5 * MINUTE, one)
    assert len(house.searches("Appointment")) == 1
    await house.after(60 * MINUTE, one)
    assert len(house.searches("Appointment")) > 10


async def test_a_gap_is_closed_by_the_whole_window_alone() -> None:
    house = House(epic, "epic")
    await house.after(MINUTE, await house.watcher())
    house.searches("Appointment")

    house.clock.time += 10 * MINUTE
    restarted = await house.watcher()
    assert {gap.cause for gap in await house.store.gaps.open("main")} == {Cause.DOWNTIME}
    await house.after(MINUTE, restarted)

    assert len(house.searches("Appointment")) > 10
    assert await house.store.gaps.open("main") == []


async def test_an_episode_that_ends_is_noticed_without_anything_else_happening() -> None:
    house = House(epic, "epic", reconcile=3600)
    one = await house.watcher()
    episode = {"resourceType": "EpisodeOfCare", "id": "e1", "patient": {"reference": "Patient/p1"}}
    await house.epr.update({**episode, "status": "active", "period": {"start": "2026-01-05"}})
    await missed_twice(house, one)

    await house.epr.update({**episode, "status": "finished", "period": {"start": "2026-01-05", "end": "2026-03-02"}})
    await house.after(60 * MINUTE, one)

    last = await house.store.last("main", "EpisodeOfCare/e1")
    assert last is not None
    assert last.resource["status"] == "finished"


async def test_behind_a_subscription_everything_is_read_again_from_time_to_time() -> None:
    house = House(lambda clock: MemoryEpr("main", clock), "uk-core", reconcile=3600)
    one = await house.watcher()
    await house.after(MINUTE, one)
    assert house.runtime.unready == {}

    house.clock.time += 2 * MINUTE
    await house.epr.update(appointment("lost", "noshow", START))  # and nobody tells of it
    await house.after(5 * MINUTE, one)
    assert await house.store.last("main", "Appointment/lost") is None

    await house.after(60 * MINUTE, one)
    assert await house.store.last("main", "Appointment/lost") is not None


async def test_a_gap_that_was_read_meanwhile_does_not_put_off_what_is_read_again() -> None:
    house = House(lambda clock: MemoryEpr("main", clock), "uk-core", reconcile=3600)
    one = await house.watcher()
    await house.after(MINUTE, one)

    house.clock.time += 5 * MINUTE
    await house.epr.update(appointment("lost", "noshow", START))  # and nobody tells of it
    await house.after(40 * MINUTE, one)
    async for stopped in house.epr.search("Subscription", {"criteria": "Appointment?"}):
        await house.epr.update({**stopped, "status": "error"})
    await house.after(MINUTE, one)
    assert await house.store.gaps.open("main") == []
    assert await house.store.last("main", "Appointment/lost") is None

    await house.after(20 * MINUTE, one)
    assert await house.store.last("main", "Appointment/lost") is not None


async def test_what_was_loaded_before_is_no_event_when_it_is_first_polled() -> None:
    house = House(epic, "epic")
    await house.epr.update({"resourceType": "Patient", "id": "p1"})
    await house.epr.update(appointment("a0", "fulfilled", START - 21 * DAY))
    await house.store.accept("main", [Event(type="Patient", id="p1")], START)
    await house.service.digest()

    await (await house.watcher()).look_after()

    assert await house.store.waiting(10) == []
