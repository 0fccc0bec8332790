"""A service over the in-memory doubles, with one patient, and the hands of staff and of time."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from fhirbridge.adapters.memory_epr import MemoryEpr
from fhirbridge.adapters.memory_store import MemoryStore
from fhirbridge.core.vocabulary import BASE
from fhirbridge.fhir.notification import Event, Notification
from fhirbridge.ports import Receipt, Resource, Subject
from fhirbridge.service import Service, Site
from tests.clock_double import ClockDouble
from tests.shipped import CALENDAR, shipped_mapping, shipped_pack

START = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
PATIENT = Subject("main", "Patient/p1")
MAPPING = shipped_mapping()
PACK = shipped_pack()


class Epr(MemoryEpr):
    """An EPR that can be told to fail, and counts how often it was asked to write."""

    def __init__(self, clock: ClockDouble) -> None:
        super().__init__("main", clock)
        self.away: Exception | None = None
        self.refuses_delivery: list[Exception] = []
        self.deliveries = 0
        self.forgets = False

    async def read(self, reference: str) -> Resource | None:
        self._check()
        return await super().read(reference)

    async def history(self, reference: str) -> list[Resource]:
        self._check()
        return [] if self.forgets else await super().history(reference)

    async def search(self, resource_type: str, parameters: Any) -> AsyncIterator[Resource]:
        self._check()
        async for found in super().search(resource_type, parameters):
            yield found

    async def deliver(self, deliveries: Any, references: dict[str, str]) -> list[Receipt]:
        self._check()
        if self.refuses_delivery:
            raise self.refuses_delivery.pop(0)
        self.deliveries += 1
        return await super().deliver(deliveries, references)

    def _check(self) -> None:
        if self.away:
            raise self.away


class Stage:
    """A service over doubles, and the hands of staff and of time."""

    def __init__(self) -> None:
        self.clock = ClockDouble(START)
        self.epr = Epr(self.clock)
        self.store = MemoryStore()
        self.site = Site(epr=self.epr, mapping=MAPPING, packs=(PACK,), calendar=CALENDAR)
        self.service = Service(self.store, {"main": self.site}, self.clock)

    async def enter(self, resource: Resource) -> Resource:
        """Staff write into the EPR, the EPR notifies."""
        stored = await self.epr.update(resource)
        await self.notify(Event(type=stored["resourceType"], id=stored["id"]))
        return stored

    async def notify(self, *events: Event) -> None:
        await self.service.ingest("main", Notification(events=events))

    async def settle(self) -> None:
        """Let the service work until it has nothing more to do at this instant."""
        for _ in range(50):
            if not await self.service.work_through():
                return
        pytest.fail("the service does not come to rest")

    async def tasks(self) -> list[Resource]:
        return [task async for task in self.epr.search("Task", {"patient": "Patient/p1"})]

    async def low_risk_patient(self) -> None:
        """In receipt of services, recorded as without risk."""
        await self.enter({"resourceType": "Patient", "id": "p1", "birthDate": "1980-01-01"})
        await self.enter(episode())
        await self.enter(signal("risk-none"))
        await self.enter(appointment("a0", "fulfilled", START - timedelta(days=21)))

    async def two_misses(self) -> None:
        await self.enter(appointment("a1", "noshow", START - timedelta(days=7)))
        await self.enter(appointment("a2", "noshow", START - timedelta(hours=1)))


def appointment(identity: str, status: str, start: datetime, *at: str) -> Resource:
    """Half an hour of the patient's, `at` these places too."""
    return {
        "resourceType": "Appointment",
        "id": identity,
        "status": status,
        "start": start.isoformat(),
        "end": (start + timedelta(minutes=30)).isoformat(),
        "participant": [{"actor": {"reference": actor}, "status": "accepted"} for actor in ("Patient/p1", *at)],
    }


def episode() -> Resource:
    """The patient is in receipt of services, eight weeks before `START`."""
    return {
        "resourceType": "EpisodeOfCare",
        "id": "e1",
        "status": "active",
        "patient": {"reference": "Patient/p1"},
        "period": {"start": "2026-01-05"},
    }


def signal(code: str) -> Resource:
    """A Flag that says something of the patient, since the episode began."""
    return {
        "resourceType": "Flag",
        "id": "f1",
        "status": "active",
        "subject": {"reference": "Patient/p1"},
        "code": {"coding": [{"system": f"{BASE}/CodeSystem/signal", "code": code}]},
        "period": {"start": "2026-01-05"},
    }
