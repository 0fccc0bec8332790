"""The feeds of an EPR are looked after: gaps open where something may have been missed, and are closed by reading."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Literal

import pytest
from pydantic import HttpUrl

from fhirbridge.adapters.memory_epr import MemoryEpr
from fhirbridge.adapters.memory_store import MemoryStore
from fhirbridge.core.gaps import Cause
from fhirbridge.errors import EprRefused, EprUnavailable, StoreUnavailable
from fhirbridge.ports import Resource
from fhirbridge.service import Service, Site
from fhirbridge.settings import EprSettings, Settings
from fhirbridge.wiring.service import Runtime
from fhirbridge.wiring.watching import Watcher, watch, watchers
from tests.clock_double import ClockDouble
from tests.shipped import shipped_mapping

START = datetime(2026, 3, 2, 9, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
MAPPING = shipped_mapping()


class House:
    """An EPR, a store that outlives the process, and the service as a process of its own."""

    def __init__(
        self, *, subscribe: bool = True, trust_payload: bool = False, payload: Literal["empty"] | None = None
    ) -> None:
        self.clock = ClockDouble(START)
        self.epr = MemoryEpr("main", self.clock)
        self.store = MemoryStore()
        url = HttpUrl("http://epr.test/fhir")
        configured = EprSettings(base_url=url, subscribe=subscribe, trust_payload=trust_payload, payload=payload)
        self.settings = Settings(eprs={"main": configured}, overlap=600)
        self.start()

    def start(self) -> None:
        """A new process over what is durable."""
        site = Site(epr=self.epr, mapping=MAPPING, packs=())
        service = Service(self.store, {"main": site}, self.clock)
        self.runtime = Runtime(settings=self.settings, service=service, store=self.store, clock=self.clock)

    async def watcher(self) -> Watcher:
        (one,) = await watchers(self.runtime)
        return one

    async def gaps(self) -> dict[str, Cause]:
        return {gap.type: gap.cause for gap in await self.store.gaps.open("main")}

    async def inbox(self) -> list[str]:
        return sorted(f"{one.event.type}/{one.event.id}" for one in await self.store.waiting(99))

    async def digested(self) -> None:
        arrivals = await self.store.waiting(99)
        await self.store.keep("main", [], [one.row for one in arrivals], self.clock.now())

    async def missed(self, name: str) -> None:
        await self.epr.update(
            {
                "resourceType": "Appointment",
                "id": name,
                "status": "noshow",
                "start": "2026-03-02T09:00:00Z",
                "participant": [{"actor": {"reference": "Patient/p"}, "status": "accepted"}],
            }
        )

    async def stop(self, criteria: str) -> None:
        async for one in self.epr.search("Subscription", {"criteria": criteria}):
            await self.epr.update({**one, "status": "error"})


@pytest.fixture
def house() -> House:
    return House()


async def test_new_feeds_stand_without_a_gap_once_they_have_been_read(house: House) -> None:
    one = await house.watcher()
    assert house.runtime.unready
    assert await one.look_after()
    assert house.runtime.unready == {}
    assert await house.gaps() == {}


async def test_the_time_in_which_the_service_was_down_is_a_gap_until_it_was_read(house: House) -> None:
    await (await house.watcher()).look_after()
    house.clock.time += 10 * HOUR
    await house.missed("a1")
    house.clock.time += 14 * HOUR
    house.start()

    one = await house.watcher()
    found = {gap.type: gap for gap in await house.store.gaps.open("main")}
    assert found.keys() >= {"Appointment", "Encounter", "EpisodeOfCare", "Task", "Communication"}
    assert {gap.cause for gap in found.values()} == {Cause.DOWNTIME}
    assert (found["Appointment"].since, found["Appointment"].until) == (START, START + 24 * HOUR)

    assert await one.look_after()
    assert await house.inbox() == ["Appointment/a1"]
    assert list(await house.gaps()) == ["Appointment"]  # what was read of it waits to be understood
    await house.digested()
    await one.close()
    assert await house.gaps() == {}


async def test_a_process_that_dies_before_the_reading_leaves_the_gap(house: House) -> None:
    await (await house.watcher()).look_after()
    house.clock.time += HOUR
    house.start()
    await house.watcher()
    house.clock.time += MINUTE
    house.start()
    await house.watcher()
    (since,) = {gap.since for gap in await house.store.gaps.open("main")}
    assert since == START


async def test_the_reading_begins_some_time_before_the_gap(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    one = await house.watcher()
    await one.look_after()
    house.clock.time += HOUR
    await house.missed("early")
    house.clock.time += timedelta(seconds=599)
    await one.look_after()
    house.clock.time += HOUR
    await house.stop("Appointment?")
    assert await one.look_after()
    assert await house.inbox() == ["Appointment/early"]


async def test_an_epr_that_stopped_a_subscription_opens_a_gap_with_its_cause(house: House) -> None:
    one = await house.watcher()
    await one.look_after()
    await house.missed("a1")
    await house.digested()
    house.clock.time += MINUTE
    await house.missed("a2")
    await house.stop("Appointment?")
    await one.look_after()
    assert await house.gaps() == {"Appointment": Cause.ERROR}
    await house.digested()
    await one.close()
    assert await house.gaps() == {}


async def test_a_gap_that_cannot_be_read_stays_open(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    one = await house.watcher()
    await one.look_after()
    search = house.epr.search

    def refusing(resource_type: str, parameters: dict[str, str]) -> object:
        if resource_type == "Appointment":
            raise EprRefused("no such search")
        return search(resource_type, parameters)

    monkeypatch.setattr(house.epr, "search", refusing)
    house.clock.time += MINUTE
    await house.stop("Appointment?")
    assert not await one.look_after()
    assert await house.gaps() == {"Appointment": Cause.ERROR}
    monkeypatch.undo()
    house.clock.time += MINUTE
    assert await one.look_after()
    assert await house.gaps() == {}


async def test_an_epr_that_cannot_be_reached_is_a_gap(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    one = await house.watcher()
    await one.look_after()

    async def away(reference: str) -> Resource | None:
        raise EprUnavailable("away")

    monkeypatch.setattr(house.epr, "read", away)
    house.clock.time += HOUR
    assert not await one.look_after()
    assert "away" in house.runtime.unready["subscriptions at main"]
    assert set((await house.gaps()).values()) == {Cause.UNREACHABLE}
    (since,) = {gap.since for gap in await house.store.gaps.open("main")}
    assert since == START

    monkeypatch.undo()
    house.clock.time += MINUTE
    assert await one.look_after()
    assert await house.gaps() == {}
    assert house.runtime.unready == {}


async def test_what_the_epr_refuses_to_tell_of_is_asked_for(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    create = house.epr.create

    async def choosy(resource: Resource) -> Resource:
        if resource["criteria"] in ("Appointment?", "Consent?"):
            raise EprRefused("not for this client")
        return await create(resource)

    monkeypatch.setattr(house.epr, "create", choosy)
    one = await house.watcher()
    assert await one.look_after()
    assert house.runtime.unready == {}
    assert await house.gaps() == {}
    house.clock.time += MINUTE
    await house.missed("a1")
    house.clock.time += MINUTE
    assert await one.look_after()
    assert await house.inbox() == ["Appointment/a1"]
    assert await house.gaps() == {}

    monkeypatch.undo()
    await house.digested()
    house.clock.time += HOUR
    assert await one.look_after()
    told = {kept.type for kept in await house.store.subscriptions("main") if kept.reference}
    assert {"Appointment", "Consent"} <= told


async def test_with_empty_notifications_only_what_happened_is_told_of(house: House) -> None:
    house = House(payload="empty")
    assert await (await house.watcher()).look_after()
    told = {kept.type for kept in await house.store.subscriptions("main") if kept.reference}
    assert told == {"Appointment", "Communication", "Encounter", "EpisodeOfCare", "Task"}


async def test_a_store_that_is_away_for_a_moment_does_not_end_the_watching(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = await house.watcher()
    stop, called = asyncio.Event(), asyncio.Event()

    async def away() -> bool:
        called.set()
        stop.set()
        raise StoreUnavailable("busy")

    monkeypatch.setattr(one, "look_after", away)
    await asyncio.wait_for(one.watch(300.0, stop), 10)
    assert called.is_set()


async def test_an_epr_that_only_pushes_is_left_alone() -> None:
    house = House(subscribe=False, trust_payload=True)
    assert await watchers(house.runtime) == []


async def test_where_nobody_tells_the_epr_is_asked_from_where_it_was_last(house: House) -> None:
    house = House(subscribe=False)
    one = await house.watcher()
    assert await one.look_after()
    house.clock.time += HOUR
    await house.missed("a1")
    house.clock.time += MINUTE
    assert await one.look_after()
    assert await house.inbox() == ["Appointment/a1"]
    assert [one async for one in house.epr.search("Subscription", {})] == []
    assert await house.store.gaps.marked("main", "Appointment") == house.clock.time


async def test_a_doubt_has_the_feeds_looked_after_at_once(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    one = await house.watcher()
    look_after, looked = one.look_after, asyncio.Queue[bool]()

    async def counted() -> bool:
        in_order = await look_after()
        await looked.put(in_order)
        return in_order

    monkeypatch.setattr(one, "look_after", counted)
    stop = asyncio.Event()
    task = asyncio.create_task(watch(house.runtime, [one], stop))
    assert await asyncio.wait_for(looked.get(), 10)
    house.runtime.doubts["main"].set()
    assert await asyncio.wait_for(looked.get(), 10)
    assert looked.empty()
    stop.set()
    await asyncio.wait_for(task, 10)
