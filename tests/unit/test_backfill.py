"""A load by searching goes on where it was stopped, and leaves an EPR alone that asks for it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from fhirbridge.adapters.memory_epr import MemoryEpr
from fhirbridge.adapters.memory_store import MemoryStore
from fhirbridge.errors import EprRefused, EprUnavailable
from fhirbridge.ports import Resource
from fhirbridge.service import Site
from fhirbridge.service.loading import Load
from fhirbridge.wiring.loading import MOST_FAILURES, Backfill, Stretch
from tests.clock_double import ClockDouble
from tests.shipped import shipped_mapping
from tests.vendor_epr import VendorEpr, oracle

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
JANUARY = Stretch(date(2026, 1, 1), date(2026, 1, 31), 7)


class Tired(MemoryEpr):
    """An EPR that is away from time to time; counts the searches for appointments by date."""

    def __init__(self) -> None:
        super().__init__("main", ClockDouble(NOW))
        self.away: list[EprUnavailable] = []
        self.searches = 0

    async def search(self, resource_type: str, parameters: Mapping[str, Any]) -> AsyncIterator[Resource]:
        if self.away:
            raise self.away.pop(0)
        self.searches += resource_type == "Appointment" and "date" in parameters
        async for found in super().search(resource_type, parameters):
            yield found


class Desk:
    def __init__(self, epr: MemoryEpr, mapping: str = "uk-core", demands: Any = None) -> None:
        self.epr = epr
        self.store = MemoryStore()
        self.site = Site(epr=epr, mapping=shipped_mapping(mapping), packs=())
        self.demands = demands or {}
        self.paused: list[float] = []

    def backfill(self) -> Backfill:
        async def pause(seconds: float) -> None:
            self.paused.append(seconds)

        return Backfill(self.site, self.store, ClockDouble(NOW), self.demands, JANUARY, pause)

    async def load(self, *, stops_after: int | None = None) -> Load:
        """Load, until so many spans are kept."""
        searched = self.backfill()
        load = Load(self.store, self.site, ClockDouble(NOW))
        for span in (await searched.remaining())[:stops_after]:
            async for record in searched.records(span):
                await load.take_versions(record)
            await searched.mark(span)
        return load


async def enter(epr: MemoryEpr, name: str, patient: str, day: date) -> None:
    actors = (f"Patient/{patient}", "Location/north")
    await epr.update({"resourceType": "Patient", "id": patient})
    await epr.update(
        {
            "resourceType": "Appointment",
            "id": name,
            "status": "fulfilled",
            "start": f"{day}T09:00:00Z",
            "participant": [{"actor": {"reference": actor}, "status": "accepted"} for actor in actors],
        }
    )


async def test_a_stopped_load_goes_on_where_it_was_and_a_finished_one_begins_anew() -> None:
    epr = Tired()
    desk = Desk(epr)
    for number in range(5):
        await enter(epr, f"a{number}", f"p{number}", date(2026, 1, 2) + number * timedelta(days=7))

    assert len((await desk.load(stops_after=2)).patients) == 2
    assert len(await desk.backfill().remaining()) == 3
    assert len((await desk.load()).patients) == 3
    assert await desk.store.kept.patients("main", after="", limit=10) == [f"Patient/p{n}" for n in range(5)]

    again = await desk.load()
    assert (again.new, again.known, again.patients) == (0, 10, set())


async def test_a_patient_is_read_once_however_often_they_came() -> None:
    epr = Tired()
    desk = Desk(epr)
    for number in range(4):
        await enter(epr, f"a{number}", "p", date(2026, 1, 2) + number * timedelta(days=7))
    load = await desk.load()
    assert (load.read, load.new) == (8, 8)  # four appointments, and the Patient whom staff saved four times


async def test_an_epr_that_is_away_is_waited_for_as_long_as_it_asks() -> None:
    epr = Tired()
    desk = Desk(epr)
    await enter(epr, "a", "p", date(2026, 1, 2))
    epr.away = [EprUnavailable("busy", retry_after=90), EprUnavailable("busy")]
    assert (await desk.load()).new == 2
    assert desk.paused == [90, 2]


async def test_one_that_stays_away_ends_it_and_nothing_is_marked() -> None:
    epr = Tired()
    desk = Desk(epr)
    epr.away = [EprUnavailable("busy")] * (MOST_FAILURES + 1)
    with pytest.raises(EprUnavailable):
        await desk.load()
    assert len(desk.paused) == MOST_FAILURES
    assert len(await desk.backfill().remaining()) == 5


async def test_what_the_epr_insists_on_is_named_and_its_rules_are_kept() -> None:
    epr = oracle(ClockDouble(NOW))
    desk = Desk(epr, "oracle-health", {"Appointment": {"location": ["north", "south"]}})
    await enter(epr, "a", "p", date(2026, 1, 2))
    assert (await desk.load()).patients == {"Patient/p"}

    with pytest.raises(EprRefused, match="location"):
        await Desk(oracle(ClockDouble(NOW)), "oracle-health").load()


async def test_an_epr_that_cannot_be_searched_by_time_is_refused() -> None:
    class Closed(VendorEpr):
        async def capability(self) -> Resource:
            resource = {"type": "Appointment", "interaction": [{"code": "read"}]}
            return {"resourceType": "CapabilityStatement", "rest": [{"mode": "server", "resource": [resource]}]}

    with pytest.raises(EprRefused, match="load the files"):
        await Desk(Closed("epic", ClockDouble(NOW))).load()
