"""Completing a step on the service's own worklist."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from fhirbridge.adapters.memory_epr import MemoryEpr
from fhirbridge.adapters.memory_store import MemoryStore
from fhirbridge.core.facts import Task
from fhirbridge.errors import NotKnown, Overtaken, SenderError
from fhirbridge.fhir.canonical import ACTION, OBLIGATION
from fhirbridge.ports import Placing, Subject
from fhirbridge.service import Service, Site
from fhirbridge.service.completing import Completion, complete
from tests.shipped import shipped_mapping

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
LATER = NOON + timedelta(hours=1)
ANN = Subject("epr", "Patient/ann")


class At:
    def __init__(self, now: datetime) -> None:
        self.at = now

    def now(self) -> datetime:
        return self.at


def task(status: str = "requested") -> dict[str, object]:
    return {
        "resourceType": "Task",
        "identifier": [{"system": OBLIGATION, "value": "i"}],
        "status": status,
        "intent": "order",
        "code": {"coding": [{"system": ACTION, "code": "contact-patient"}]},
        "for": {"reference": ANN.patient},
    }


class Bench:
    """A service over doubles, with one step on its worklist."""

    def __init__(self) -> None:
        self.clock = At(NOON)
        self.store = MemoryStore()
        epr = MemoryEpr("epr", self.clock)
        self.site = Site(epr=epr, mapping=shipped_mapping(), packs=())
        self.service = Service(self.store, {"epr": self.site}, self.clock)

    async def step(self, status: str = "requested") -> str:
        stands = await self.store.worklist.place(ANN, [Placing(identity="i", resource=task(status))], NOON)
        self.clock.at = LATER
        return stands["i"].reference


async def test_it_comes_in_as_a_fact_with_who_and_when() -> None:
    bench = Bench()
    reference = await bench.step()
    said = Completion(by="A Nurse", outcome="contact-made", note="Spoke on the phone.", happened=NOON)
    listed = await complete(bench.store, bench.site, reference, 1, said, bench.clock)
    assert listed.resource["note"] == [
        {"authorString": "A Nurse", "time": "2026-03-02T13:00:00+00:00", "text": "Spoke on the phone."}
    ]

    assert await bench.service.digest() == {ANN}
    facts = (await bench.store.load(ANN)).facts
    assert all(isinstance(fact, Task) for fact in facts)
    last = facts[-1]
    assert isinstance(last, Task)
    assert (last.status, last.outcome, last.happened, last.known) == ("completed", "contact-made", NOON, LATER)
    assert (last.obligation, last.patient, last.source.version) == ("i", ANN.patient, "2")


async def test_a_notification_from_outside_cannot_name_a_version_of_the_worklist() -> None:
    bench = Bench()
    reference = await bench.step()
    elsewhere = Site(epr=MemoryEpr("other", bench.clock), mapping=bench.site.mapping, packs=())
    service = Service(bench.store, {"other": elsewhere}, bench.clock)
    said = Completion(by="A Nurse")
    await complete(bench.store, bench.site, reference, 1, said, bench.clock)
    (arrival,) = await bench.store.waiting(1)
    await bench.store.accept("other", [arrival.event], LATER)
    assert await service.digest() == set()


@pytest.mark.parametrize(
    ("said", "place"),
    [
        (Completion(by=" "), "by"),
        (Completion(by="A", status="cancelled"), "status"),
        (Completion(by="A", outcome="fine"), "outcome"),
        (Completion(by="A", happened=LATER + timedelta(seconds=1)), "happened"),
    ],
)
async def test_what_cannot_be_is_refused(said: Completion, place: str) -> None:
    bench = Bench()
    reference = await bench.step()
    with pytest.raises(SenderError) as refused:
        await complete(bench.store, bench.site, reference, 1, said, bench.clock)
    assert refused.value.place == place
    assert await bench.store.waiting(1) == []


async def test_what_has_ended_stays_ended() -> None:
    bench = Bench()
    reference = await bench.step("cancelled")
    with pytest.raises(SenderError, match="it cannot become completed"):
        await complete(bench.store, bench.site, reference, 1, Completion(by="A"), bench.clock)


async def test_what_changed_meanwhile_has_to_be_looked_at_again() -> None:
    bench = Bench()
    reference = await bench.step()
    await complete(bench.store, bench.site, reference, 1, Completion(by="A"), bench.clock)
    with pytest.raises(Overtaken):
        await complete(bench.store, bench.site, reference, 1, Completion(by="B"), bench.clock)
    with pytest.raises(NotKnown):
        await complete(bench.store, bench.site, "Task/unknown", 1, Completion(by="B"), bench.clock)
