"""What every way of asking an EPR has to find: the same on the double and, over HTTP, on a real FHIR server."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import httpx
import pytest

from fhirbridge.adapters.epr import FhirEpr
from fhirbridge.adapters.feeds.polling import DateWindowPoll, HistoryPoll, LastUpdatedPoll, PatientPoll, Poll
from fhirbridge.adapters.memory_epr import MemoryEpr
from fhirbridge.adapters.memory_store import MemoryStore
from fhirbridge.core.facts import Appointment
from fhirbridge.fhir.mapping import Mapping
from fhirbridge.ports import Event, Resource, Subject
from fhirbridge.service import Service, Site
from fhirbridge.service.windows import Window
from fhirbridge.shipped import folder

MAPPING = Mapping.load("uk-core", [folder("mappings")])
WINDOW = Window(past=3, future=3, slice=2, near=1)
WAYS = ["last-updated", "history", "date-window", "record"]


class Clock:
    def now(self) -> datetime:
        return datetime.now(UTC)


class Bench:
    """An EPR, a patient of its own, and a service that asks for what changed."""

    def __init__(self, epr: FhirEpr | MemoryEpr) -> None:
        self.epr = epr
        self.clock = Clock()
        self.store = MemoryStore()
        self.site = Site(epr=epr, mapping=MAPPING, packs=())
        self.service = Service(self.store, {"trust": self.site}, self.clock)
        self.patient = f"poll-{uuid4()}"
        self.name = f"poll-{uuid4()}"

    def way(self, name: str) -> Poll:
        kept = self.store.kept
        if name == "last-updated":
            return LastUpdatedPoll(self.site, kept)
        if name == "history":
            return HistoryPoll(self.site, kept)
        return DateWindowPoll(self.site, kept, window=WINDOW) if name == "date-window" else PatientPoll(self.site, kept)

    async def enter(self, status: str) -> None:
        start = self.clock.now().replace(microsecond=0) - timedelta(hours=1)
        await self.epr.update(
            {
                "resourceType": "Appointment",
                "id": self.name,
                "status": status,
                "start": start.isoformat(),
                "end": start.isoformat(),
                "participant": [{"actor": {"reference": f"Patient/{self.patient}"}, "status": "accepted"}],
            }
        )

    async def erase(self) -> None:
        if isinstance(self.epr, MemoryEpr):
            await self.epr.delete(f"Appointment/{self.name}")
            return
        async with httpx.AsyncClient() as client:
            (await client.delete(f"{self.epr._base}Appointment/{self.name}")).raise_for_status()

    async def poll(self, way: Poll) -> list[Event]:
        """Ask once and digest; the events about this patient's appointment."""
        now = self.clock.now()
        found = [event async for event in way.look("Appointment", now - timedelta(hours=2), now)]
        mine = [event for event in found if event.id == self.name]
        await self.store.accept("trust", mine, now)
        while await self.service.digest():
            pass
        return mine

    async def states(self) -> list[str]:
        facts = (await self.store.load(Subject("trust", f"Patient/{self.patient}"))).facts
        return ["gone" if fact.erased else fact.state.value for fact in facts if isinstance(fact, Appointment)]


@pytest.fixture(params=["memory", "sekmet"])
async def bench(request: pytest.FixtureRequest) -> AsyncIterator[Bench]:
    if request.param == "memory":
        yield Bench(MemoryEpr("trust", Clock()))
        return
    async with FhirEpr("trust", request.getfixturevalue("sekmet_url")) as over_http:
        yield Bench(over_http)


async def known(bench: Bench) -> None:
    """The patient has been heard of."""
    person: Resource = {"resourceType": "Patient", "id": bench.patient}
    await bench.epr.update(person)
    await bench.store.accept("trust", [Event(type="Patient", id=bench.patient)], bench.clock.now())
    await bench.service.digest()


@pytest.mark.parametrize("name", WAYS)
async def test_every_change_is_found_and_nothing_twice(bench: Bench, name: str) -> None:
    way = bench.way(name)
    await known(bench)
    await bench.enter("booked")
    assert len(await bench.poll(way)) == 1
    assert await bench.poll(way) == []

    await bench.enter("noshow")
    await bench.enter("fulfilled")
    assert len(await bench.poll(way)) == 1
    assert await bench.states() == ["booked", "missed", "attended"]
    assert await bench.poll(way) == []


@pytest.mark.parametrize("name", [name for name in WAYS if name != "last-updated"])
async def test_what_was_deleted_is_found_too(bench: Bench, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    way = bench.way(name)
    await known(bench)
    await bench.enter("noshow")
    await bench.poll(way)
    await bench.erase()

    # An EPR may show less than it has for a while: what is gone is believed once it has had time.
    hour: Any = timedelta(hours=1)
    now = bench.clock.now
    monkeypatch.setattr(bench.clock, "now", lambda: now() + hour)
    await bench.poll(way)

    assert await bench.states() == ["missed", "gone"]
    assert await bench.poll(way) == []
