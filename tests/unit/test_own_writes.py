"""The service's own writes come back as notifications: confirmation, never a cause. What staff change is a fact."""

from __future__ import annotations

from datetime import timedelta

import pytest

from fhirbridge.adapters.memory_epr import MemoryEpr
from fhirbridge.adapters.memory_store import MemoryStore
from fhirbridge.core.facts import Message, OwnFlag, Plan, Task
from fhirbridge.core.vocabulary import BASE
from fhirbridge.fhir.notification import Event, Notification
from fhirbridge.ports import Resource
from fhirbridge.service import Service, Site
from tests.clock_double import ClockDouble
from tests.shipped import CALENDAR
from tests.unit.stage import MAPPING, PACK, PATIENT, START, appointment, episode, signal

OURS = ("Task", "Communication", "Flag", "CarePlan")


class Forgetful(MemoryEpr):
    """An EPR that takes what it does not know off what the service wrote: off the resource as it is put in."""

    drops: tuple[str, ...] = ()

    def _keep(self, reference: str, resource: Resource) -> Resource:
        if "tag" in self.drops and "meta" in resource:
            resource = {**resource, "meta": {k: v for k, v in resource["meta"].items() if k != "tag"}}
        if "identifier" in self.drops:
            resource = {name: part for name, part in resource.items() if name != "identifier"}
        return super()._keep(reference, resource)


class Stage:
    """A patient with a safeguarding concern who missed an appointment: everything the service writes is there."""

    def __init__(self) -> None:
        self.clock = ClockDouble(START)
        self.told: list[Event] = []
        self.epr = Forgetful("main", self.clock, self._told)
        self.store = MemoryStore()
        site = Site(epr=self.epr, mapping=MAPPING, packs=(PACK,), calendar=CALENDAR)
        self.service = Service(self.store, {"main": site}, self.clock)

    async def _told(self, event: Event) -> None:
        self.told.append(event)

    async def bring(self) -> None:
        """The EPR's notifications arrive."""
        events, self.told = tuple(self.told), []
        if events:
            await self.service.ingest("main", Notification(events=events))

    async def settle(self) -> None:
        for _ in range(50):
            await self.bring()
            if not await self.service.work_through() and not self.told:
                return
        pytest.fail("the service does not come to rest")

    async def until_written(self) -> None:
        """Everything that follows has been written; its notifications are still on their way."""
        await self.bring()
        while await self.service.work_through():
            pass

    async def begin(self) -> None:
        await self.epr.update({"resourceType": "Patient", "id": "p1", "birthDate": "1980-01-01"})
        await self.epr.update(episode())
        await self.epr.update(signal("safeguarding-adult"))
        await self.epr.update(appointment("a0", "fulfilled", START - timedelta(days=21)))
        await self.epr.update(appointment("a1", "noshow", START - timedelta(days=3)))

    async def ours(self, kind: str) -> list[Resource]:
        found = [one async for one in self.epr.search(kind, {"patient": "Patient/p1"})]
        return [one for one in found if one["id"].startswith("main-")]

    async def effects(self) -> int:
        return len((await self.store.load(PATIENT)).effects)


@pytest.fixture
def stage() -> Stage:
    return Stage()


async def test_what_comes_back_as_it_was_written_makes_nobody_due(stage: Stage) -> None:
    await stage.begin()
    await stage.until_written()
    assert {event.type for event in stage.told} >= {"Task", "Communication", "Flag"}
    before = await stage.effects()

    await stage.bring()
    await stage.service.digest()

    assert await stage.store.due(stage.clock.now(), 10) == []
    assert await stage.effects() == before
    facts = (await stage.store.load(PATIENT)).facts
    assert sum(isinstance(fact, Task | Message | OwnFlag) for fact in facts) >= 3  # kept all the same


async def test_a_provenance_that_comes_back_is_skipped(stage: Stage) -> None:
    await stage.begin()
    await stage.until_written()
    stage.told.clear()
    provenances = [one async for one in stage.epr.search("Provenance", {})]
    assert provenances

    await stage.service.ingest("main", Notification(events=(Event(type="Provenance", id=provenances[0]["id"]),)))

    assert await stage.store.waiting(10) == []


async def test_what_staff_change_is_a_fact(stage: Stage) -> None:
    await stage.begin()
    await stage.settle()
    task = (await stage.ours("Task"))[0]
    stage.clock.time += timedelta(hours=1)

    await stage.epr.update({**task, "status": "in-progress"})
    await stage.bring()
    await stage.service.digest()

    assert await stage.store.due(stage.clock.now(), 10) == [PATIENT]


@pytest.mark.parametrize(
    "change", [{"status": "rejected"}, {"restriction": {"period": {"end": "2026-03-20T09:00:00Z"}}}]
)
async def test_what_the_epr_itself_made_of_it_as_it_took_it_is_a_fact(stage: Stage, change: Resource) -> None:
    keep = Forgetful._keep

    def altered(self: Forgetful, reference: str, resource: Resource) -> Resource:
        return keep(self, reference, {**resource, **change} if resource["resourceType"] == "Task" else resource)

    await stage.begin()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Forgetful, "_keep", altered)
        await stage.until_written()
    await stage.bring()
    await stage.service.digest()

    assert await stage.store.due(stage.clock.now(), 10) == [PATIENT]


@pytest.mark.parametrize("drops", [(), ("tag",), ("identifier",), ("tag", "identifier")])
async def test_it_is_known_again_whatever_is_taken_off_when_a_person_saves_it(
    stage: Stage, drops: tuple[str, ...]
) -> None:
    await stage.begin()
    await stage.settle()
    stage.epr.drops = drops
    stage.clock.time += timedelta(hours=1)
    before = [one for kind in OURS for one in await stage.ours(kind)]
    for one in before:
        await stage.epr.update({**one, "note": [{"text": "seen"}]})

    await stage.settle()

    facts = (await stage.store.load(PATIENT)).facts
    mine = [fact for fact in facts if fact.source.id.startswith("main-") and fact.source.version == "2"]
    assert len(mine) == len(before)
    assert all(isinstance(fact, Task | Message | Plan | OwnFlag) and fact.obligation for fact in mine)
    named = {fact.source.reference: fact.obligation for fact in facts if isinstance(fact, Task) and fact.obligation}
    references = (await stage.store.load(PATIENT)).references
    assert all(references[obligation] == reference for reference, obligation in named.items())


async def test_a_task_of_ours_that_lost_its_identifier_answers_nothing_else(stage: Stage) -> None:
    await stage.begin()
    await stage.settle()
    stage.epr.drops = ("tag", "identifier")
    stage.clock.time += timedelta(hours=1)
    attended = appointment("a1", "fulfilled", START - timedelta(days=3))
    await stage.epr.update(attended)
    await stage.settle()
    assert {one["status"] for one in await stage.ours("Task")} == {"cancelled"}
    stage.clock.time += timedelta(hours=1)

    await stage.epr.update(appointment("a2", "noshow", stage.clock.now() - timedelta(minutes=40)))
    await stage.settle()

    assert "requested" in {one["status"] for one in await stage.ours("Task")}


async def test_what_bears_our_tag_alone_is_taken_for_ours(stage: Stage) -> None:
    await stage.begin()
    await stage.settle()
    stage.clock.time += timedelta(hours=1)
    tagged = {"tag": [{"system": f"{BASE}/CodeSystem/origin", "code": "fhirbridge"}]}
    code = {"coding": [{"system": f"{BASE}/CodeSystem/action", "code": "contact-patient"}]}
    outcome = {"coding": [{"system": f"{BASE}/CodeSystem/outcome", "code": "contact-made"}]}
    await stage.epr.update(
        {
            "resourceType": "Task",
            "id": "t1",
            "meta": tagged,
            "status": "completed",
            "intent": "order",
            "code": code,
            "for": {"reference": "Patient/p1"},
            "output": [{"type": {"text": "outcome"}, "valueCodeableConcept": outcome}],
        }
    )
    await stage.settle()

    contact = [one for one in await stage.ours("Task") if one["code"]["coding"][0]["code"] == "contact-patient"]
    assert [one["status"] for one in contact] == ["requested"]
