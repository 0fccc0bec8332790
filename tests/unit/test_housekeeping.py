"""What is done now and then: what was written is read back, alarms are raised, old rows go."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from msgspec.structs import replace

from fhirbridge.adapters.memory_epr import MemoryEpr
from fhirbridge.adapters.memory_store import MemoryStore
from fhirbridge.core.effects import Key, Kind, Written
from fhirbridge.errors import EprUnavailable
from fhirbridge.ports import Delivery, Outgoing, Receipt, Resource, Subject
from fhirbridge.service import Service, Site
from fhirbridge.service.housekeeping import overdue
from tests.clock_double import ClockDouble
from tests.contract.test_epr import plan, task
from tests.shipped import shipped_mapping

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
ANN = Subject("trust", "Patient/ann")
MAPPING = shipped_mapping()
KEEP = timedelta(days=90)


class Racing(MemoryEpr):
    """Takes every conditional create, as if another like it had been looked at in the same moment."""

    races = False

    async def transact(self, bundle: Resource) -> Resource:
        answer = await super().transact(bundle)
        if self.races:
            for entry in bundle["entry"]:
                if entry["request"]["method"] == "POST" and entry["resource"]["resourceType"] == "Task":
                    await self.create(entry["resource"])
        return answer


class Bench:
    def __init__(self) -> None:
        self.clock = ClockDouble(NOON)
        self.epr = Racing("trust", self.clock)
        self.store = MemoryStore()
        self.site = Site(epr=self.epr, mapping=MAPPING, packs=())
        self.service = Service(self.store, {"trust": self.site}, self.clock)

    async def decided(self, *outgoing: Outgoing, **more: Any) -> None:
        seen = (await self.store.load(ANN)).revision
        await self.store.commit(
            ANN,
            effects=more.get("effects", ()),
            outgoing=outgoing,
            wakes_at=None,
            decided_at=self.clock.now(),
            revision=seen,
        )

    def tasks(self) -> list[Resource]:
        return [one for one in self.epr.contents() if one["resourceType"] == "Task"]


def create(identity: str, resource: Resource) -> Outgoing:
    return Outgoing(identity=identity, type=resource["resourceType"], verb="create", resource=resource, provenance={})


async def doubled(bench: Bench) -> tuple[str, str]:
    """A Task that the EPR holds twice, and a plan: the one that stands, and the other."""
    bench.epr.races = True
    await bench.decided(create("t", task(ANN.patient, "t")))
    await bench.service.deliver()
    bench.epr.races = False
    one, other = (f"Task/{found['id']}" for found in bench.tasks())
    return one, other


async def test_what_is_there_twice_is_taken_back_once_and_reported() -> None:
    bench = Bench()
    one, other = await doubled(bench)
    bench.clock.time += timedelta(minutes=2)
    await bench.service.tidy(KEEP)
    assert {f"Task/{found['id']}": found["status"] for found in bench.tasks()} == {
        one: "requested",
        other: "entered-in-error",
    }
    (double,) = await bench.store.doubles.of(ANN)
    assert (double.identity, double.kept, double.double, double.withdrawn) == ("t", one, other, True)
    await bench.service.tidy(KEEP)
    assert len(await bench.epr.history(other)) == 2


async def test_what_was_delivered_a_moment_ago_is_looked_for_later() -> None:
    bench = Bench()
    await doubled(bench)
    await bench.service.tidy(KEEP)
    assert [found["status"] for found in bench.tasks()] == ["requested", "requested"]
    bench.clock.time += timedelta(minutes=2)
    await bench.service.tidy(KEEP)
    assert len(await bench.store.doubles.of(ANN)) == 1


async def test_what_refers_to_the_other_is_made_to_refer_to_the_one() -> None:
    bench = Bench()
    one, other = await doubled(bench)
    await bench.decided(create("p", plan(ANN.patient, "p", activity=[{"reference": {"reference": other}}])))
    await bench.service.deliver()
    bench.clock.time += timedelta(minutes=2)
    await bench.service.tidy(KEEP)
    (found,) = [found for found in bench.epr.contents() if found["resourceType"] == "CarePlan"]
    assert found["activity"] == [{"reference": {"reference": one}}]


async def test_what_a_person_has_ended_stays_as_they_ended_it() -> None:
    bench = Bench()
    _, other = await doubled(bench)
    answered = await bench.epr.read(other)
    assert answered is not None
    await bench.epr.update({**answered, "status": "completed"})
    bench.clock.time += timedelta(minutes=2)
    await bench.service.tidy(KEEP)
    assert [found["status"] for found in bench.tasks()] == ["requested", "completed"]
    (double,) = await bench.store.doubles.of(ANN)
    assert not double.withdrawn


async def test_an_epr_that_is_away_is_looked_at_next_time() -> None:
    bench = Bench()
    await doubled(bench)
    bench.clock.time += timedelta(minutes=2)
    searching = bench.epr.search

    def away(*_: Any) -> Any:
        raise EprUnavailable("down")

    bench.epr.search = away  # type: ignore[assignment]
    assert await bench.service.tidy(KEEP) == []
    bench.epr.search = searching  # type: ignore[method-assign]
    await bench.service.tidy(KEEP)
    assert len(await bench.store.doubles.of(ANN)) == 1


async def test_two_workers_racing_on_one_patient_write_once() -> None:
    bench = Bench()
    other = Service(bench.store, {"trust": bench.site}, bench.clock)
    delivered: list[int] = []
    taken = bench.epr.deliver

    async def deliver(deliveries: Sequence[Delivery], references: dict[str, str]) -> list[Receipt]:
        delivered.append(len(deliveries))
        assert await other.deliver() == 0
        return await taken(deliveries, references)

    bench.epr.deliver = deliver  # type: ignore[method-assign]
    await bench.decided(create("t", task(ANN.patient, "t")))
    assert await bench.service.deliver() == 1
    assert delivered == [1]
    assert len(bench.tasks()) == 1


async def test_a_worker_that_was_thought_dead_writes_nothing_twice() -> None:
    bench = Bench()
    other = Service(bench.store, {"trust": bench.site}, bench.clock)
    taken = bench.epr.deliver
    late: list[int] = []

    async def slow(deliveries: Sequence[Delivery], references: dict[str, str]) -> list[Receipt]:
        bench.epr.deliver = taken  # type: ignore[method-assign]
        bench.clock.time += timedelta(minutes=5)
        late.append(await other.deliver())
        return await taken(deliveries, references)

    bench.epr.deliver = slow  # type: ignore[method-assign]
    await bench.decided(create("t", task(ANN.patient, "t")))
    await bench.service.deliver()
    assert late == [1]
    assert len(bench.tasks()) == 1


async def test_a_dead_letter_whose_obligation_has_come_due_is_an_alarm() -> None:
    bench = Bench()
    key = Key(ANN.patient, "e", "pack", Kind.TASK, "contact-patient", "lead-professional", "s")
    due = NOON + timedelta(hours=4)
    written = Written(identity="t", at=NOON, key=key, run="r", pathway="p", steps=("x",), since=NOON, due=due)
    undated = replace(written, identity="u", due=None)
    rows = (create("t", task(ANN.patient, "t")), create("u", task(ANN.patient, "u")))
    await bench.decided(*rows, effects=(written, undated))

    async def refuse(deliveries: Sequence[Delivery], references: dict[str, str]) -> list[Receipt]:
        return [Receipt(row=one.row, refused="422") for one in deliveries]

    bench.epr.deliver = refuse  # type: ignore[method-assign]
    await bench.service.deliver()
    assert await overdue(bench.store, ["trust"], due - timedelta(seconds=1)) == []
    (letter,) = await overdue(bench.store, ["trust"], due)
    assert letter.outgoing.identity == "t"
