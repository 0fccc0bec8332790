"""What staff make of the service's Tasks, over HTTP on a real FHIR server: it is understood, and it is theirs."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest

from fhirbridge.adapters.epr import FhirEpr
from fhirbridge.adapters.memory_store import MemoryStore
from fhirbridge.core.vocabulary import BASE
from fhirbridge.fhir.mapping import Mapping
from fhirbridge.fhir.notification import Event, Notification
from fhirbridge.packs.loading import load_pack
from fhirbridge.ports import Resource
from fhirbridge.service import Service, Site
from fhirbridge.shipped import folder
from fhirbridge.wiring.policies import calendar_of

CALENDAR = calendar_of("Europe/London", "ENG")
MAPPING = Mapping.load("uk-core", [folder("mappings")])
PACK = load_pack("rdash-disengagement", calendar=CALENDAR)


class Ahead:
    """The time of the machine, which is the server's too, and as much more as a test lets pass."""

    def __init__(self) -> None:
        self.by = timedelta()

    def now(self) -> datetime:
        return datetime.now(UTC) + self.by


class Ward:
    """A patient of a real server who missed two appointments, staff, and the service."""

    def __init__(self, epr: FhirEpr) -> None:
        self.epr = epr
        self.clock = Ahead()
        self.store = MemoryStore()
        site = Site(epr=epr, mapping=MAPPING, packs=(PACK,), calendar=CALENDAR)
        self.service = Service(self.store, {"main": site}, self.clock)
        self.key = uuid4().hex[:12]
        self.patient = f"Patient/p-{self.key}"
        self.first = ""

    async def enter(self, resource: Resource) -> Resource:
        stored = await self.epr.update(resource)
        event = Event(type=stored["resourceType"], id=stored["id"])
        await self.service.ingest("main", Notification(events=(event,)))
        return stored

    async def settle(self) -> None:
        for _ in range(50):
            if not await self.service.work_through():
                return
        pytest.fail("the service does not come to rest")

    def appointment(self, name: str, status: str, ago: timedelta) -> Resource:
        start = datetime.now(UTC) - ago
        return {
            "resourceType": "Appointment",
            "id": f"{name}-{self.key}",
            "status": status,
            "start": start.isoformat(),
            "end": (start + timedelta(minutes=30)).isoformat(),
            "participant": [{"actor": {"reference": self.patient}, "status": "accepted"}],
        }

    async def task(self) -> Resource:
        """The first Task that the service wrote about the patient, as it is now."""
        if not self.first:
            (found,) = [one async for one in self.epr.search("Task", {"patient": self.patient})]
            self.first = f"Task/{found['id']}"
        now = await self.epr.read(self.first)
        assert now is not None
        return now

    async def letters(self) -> list[Resource]:
        return [one async for one in self.epr.search("Communication", {"patient": self.patient})]

    async def answered(self, task: Resource, status: str, outcome: str = "", **more: Any) -> None:
        coded = {"coding": [{"system": f"{BASE}/CodeSystem/outcome", "code": outcome}]}
        output = [{"type": {"text": "outcome"}, "valueCodeableConcept": coded}] if outcome else []
        await self.enter({**task, "status": status, **({"output": output} if output else {}), **more})
        await self.settle()


@pytest.fixture
async def ward(sekmet_url: str) -> AsyncIterator[Ward]:
    async with FhirEpr("main", sekmet_url) as epr:
        ward = Ward(epr)
        subject = {"reference": ward.patient}
        began = (datetime.now(UTC) - timedelta(days=60)).date().isoformat()
        identity = ward.patient.partition("/")[2]
        await ward.enter({"resourceType": "Patient", "id": identity, "birthDate": "1980-01-01"})
        episode = {"status": "active", "patient": subject, "period": {"start": began}}
        await ward.enter({"resourceType": "EpisodeOfCare", "id": f"e-{ward.key}", **episode})
        code = {"coding": [{"system": f"{BASE}/CodeSystem/signal", "code": "risk-none"}]}
        flag = {"status": "active", "subject": subject, "code": code, "period": {"start": began}}
        await ward.enter({"resourceType": "Flag", "id": f"f-{ward.key}", **flag})
        await ward.enter(ward.appointment("a0", "fulfilled", timedelta(days=21)))
        await ward.enter(ward.appointment("a1", "noshow", timedelta(days=7)))
        await ward.enter(ward.appointment("a2", "noshow", timedelta(hours=1)))
        await ward.settle()
        yield ward


async def corrected(ward: Ward) -> None:
    """The second miss was none: what it led to is withdrawn."""
    await ward.enter(ward.appointment("a2", "fulfilled", timedelta(hours=1)))
    await ward.settle()


async def test_what_staff_wrote_stays_when_the_service_withdraws(ward: Ward) -> None:
    task = await ward.task()
    due = (datetime.now(UTC) + timedelta(days=9)).isoformat()
    theirs = {
        "status": "in-progress",
        "owner": {"reference": "Practitioner/someone-else"},
        "note": [{"text": "Left a message."}],
        "restriction": {"period": {"end": due}},
        "output": [{"type": {"text": "ours"}, "valueString": "kept"}],
    }
    await ward.enter({**task, **theirs})
    await ward.settle()
    await corrected(ward)
    after = await ward.task()
    assert (after["status"], after["statusReason"]["coding"][0]["code"]) == ("cancelled", "corrected")
    assert {name: after[name] for name in theirs if name != "status"} == {
        name: value for name, value in theirs.items() if name != "status"
    }


@pytest.mark.parametrize("status", ["completed", "failed", "rejected", "cancelled", "entered-in-error"])
async def test_what_staff_ended_stays_as_they_ended_it(ward: Ward, status: str) -> None:
    why: dict[str, Any] = {"statusReason": {"text": "Agreed with the patient."}} if status == "cancelled" else {}
    await ward.answered(await ward.task(), status, **why)
    before = await ward.task()
    await corrected(ward)
    assert await ward.task() == before


@pytest.mark.parametrize("status", ["failed", "rejected"])
async def test_failed_and_rejected_are_attempts_that_failed(ward: Ward, status: str) -> None:
    await ward.answered(await ward.task(), status)
    assert [one["category"][0]["coding"][0]["code"] for one in await ward.letters()] == ["opt-in-letter"]


async def test_a_late_completion_is_accepted(ward: Ward) -> None:
    task = await ward.task()
    ward.clock.by = timedelta(days=30)
    await ward.settle()
    overdue = await ward.task()
    assert overdue["status"] == "requested"
    done: dict[str, Any] = {"executionPeriod": {"end": ward.clock.now().isoformat()}}
    await ward.answered(overdue, "completed", "contact-made", **done)
    after = await ward.task()
    assert (after["id"], after["status"]) == (task["id"], "completed")
    assert after["output"][0]["valueCodeableConcept"]["coding"][0]["code"] == "contact-made"


async def test_a_task_that_staff_hand_on_stays_handed_on(ward: Ward) -> None:
    task = await ward.task()
    await ward.enter({**task, "status": "accepted", "owner": {"reference": "CareTeam/other"}})
    await ward.settle()
    ward.clock.by = timedelta(days=1)
    await ward.enter(ward.appointment("a3", "noshow", timedelta(minutes=40)))
    await ward.settle()
    after = await ward.task()
    assert (after["status"], after["owner"]) == ("accepted", {"reference": "CareTeam/other"})
