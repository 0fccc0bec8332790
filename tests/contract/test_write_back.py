"""Writing back over HTTP to a real FHIR server that is taken to have less to offer than it has, and by two at once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

import pytest
from msgspec.structs import replace

from fhirbridge.adapters.epr import FhirEpr
from fhirbridge.adapters.store import open_store
from fhirbridge.core.decision import Create, Obligation, Write
from fhirbridge.fhir.canonical import WRITE
from fhirbridge.fhir.capability import Way
from fhirbridge.fhir.linking import write_code
from fhirbridge.fhir.mapping import Mapping
from fhirbridge.fhir.render import Outgoing, Rendering, render
from fhirbridge.ports import Resource, Store, Subject, Wanted
from fhirbridge.service import Service, Site
from fhirbridge.shipped import folder
from tests.unit.fhir import writes

MAPPING = Mapping.load("uk-core", [folder("mappings")])


class Clock:
    def now(self) -> datetime:
        return datetime.now(UTC)


class Lesser(FhirEpr):
    """A real server that says of itself what `tell` makes of its statement."""

    lacks: frozenset[str] = frozenset()

    async def capability(self) -> Resource:
        statement = await super().capability()
        rest = []
        for one in statement["rest"]:
            kinds = [
                {name: value for name, value in kind.items() if name not in self.lacks} for kind in one["resource"]
            ]
            rest.append({**one, "resource": kinds, **({"interaction": []} if "transaction" in self.lacks else {})})
        return {**statement, "rest": rest}


@pytest.fixture
async def epr(sekmet_url: str) -> AsyncIterator[Lesser]:
    async with Lesser("trust", sekmet_url) as over_http:
        yield over_http


class Bench:
    """A patient of whom the server has nothing yet, and things to be written about them."""

    def __init__(self, store: Store, epr: Lesser, ways: dict[str, Way] | None = None) -> None:
        key = uuid4().hex[:12]
        self.store = store
        self.epr = epr
        self.patient = f"Patient/{key}"
        self.subject = Subject("trust", self.patient)
        self.plan = str(uuid4())
        self.task = self._of(writes.TASK, str(uuid4()), plan=self.plan)
        self.flag = self._of(writes.FLAG, str(uuid4()))
        self.care_plan = self._of(writes.CARE_PLAN, self.plan, activities=(self.task.identity,))
        site = Site(epr=epr, mapping=MAPPING, packs=(), writes=ways or {})
        self.services = [Service(store, {"trust": site}, Clock()) for _ in range(2)]

    def _of(self, about: Obligation, identity: str, **more: object) -> Obligation:
        return replace(about, identity=identity, key=replace(about.key, patient=self.patient), **more)

    async def decided(self, *written: tuple[Write, Rendering]) -> list[Outgoing]:
        rows = [render(write, setting) for write, setting in written]
        seen = (await self.store.load(self.subject)).revision
        await self.store.commit(
            self.subject, effects=(), outgoing=rows, wakes_at=None, decided_at=Clock().now(), revision=seen
        )
        return rows

    async def begun(self) -> list[Outgoing]:
        return await self.decided(*((Create(one), writes.SETTING) for one in (self.care_plan, self.task, self.flag)))

    async def found(self, kind: str) -> list[Resource]:
        return [one async for one in self.epr.search(kind, {"patient": self.patient})]

    async def told(self, rows: list[Outgoing]) -> int:
        tags = ",".join(f"{WRITE}|{write_code(row.provenance)}" for row in rows)
        return len([one async for one in self.epr.search("Provenance", {"_tag": tags})])


@pytest.mark.parametrize("store", ["sqlite", "postgres"], indirect=True)
async def test_two_workers_racing_on_one_patient_write_once(store: Store, epr: Lesser) -> None:
    bench = Bench(store, epr)
    rows = await bench.begun()
    delivered = await asyncio.gather(*(service.deliver() for service in bench.services))
    assert sorted(delivered) == [0, 3]
    for kind in ("Task", "Flag", "CarePlan"):
        assert len(await bench.found(kind)) == 1
    assert await bench.told(rows) == 3


@pytest.mark.parametrize(
    "lacks",
    [
        {"transaction"},
        {"transaction", "conditionalCreate"},
        {"transaction", "conditionalCreate", "updateCreate"},
        {"conditionalCreate"},
    ],
    ids=["no transactions", "chosen ids", "looked for", "chosen ids in a transaction"],
)
async def test_whatever_is_lacking_all_is_written_and_linked_and_a_second_try_adds_nothing(
    tmp_path: Path, epr: Lesser, lacks: set[str]
) -> None:
    store = await open_store(f"sqlite:///{tmp_path / 'store.db'}")
    epr.lacks = frozenset(lacks)
    bench = Bench(store, epr)
    rows = await bench.begun()
    waiting = await store.undelivered(Clock().now(), 10)
    await epr.deliver(waiting, {})
    assert await bench.services[0].deliver() == 3
    (task,), (plan,), (_,) = [await bench.found(kind) for kind in ("Task", "CarePlan", "Flag")]
    assert task["basedOn"][0]["reference"] == f"CarePlan/{plan['id']}"
    assert plan["activity"][0]["reference"]["reference"] == f"Task/{task['id']}"
    assert await bench.told(rows) == 3
    await bench.decided((writes.withdraw(bench.task), writes.LATER))
    assert await bench.services[0].deliver() == 1
    (task,) = await bench.found("Task")
    assert task["status"] == "cancelled"
    await store.close()


async def test_what_is_told_instead_is_taken_by_a_real_server(tmp_path: Path, epr: Lesser) -> None:
    store = await open_store(f"sqlite:///{tmp_path / 'store.db'}")
    ways = {"Task": Way.COMMUNICATION, "Flag": Way.DOCUMENT_REFERENCE, "CarePlan": Way.OWN, "Provenance": Way.OWN}
    bench = Bench(store, epr, ways)
    await bench.begun()
    assert await bench.services[0].deliver() == 3
    await bench.decided((writes.withdraw(bench.task), writes.LATER), (writes.withdraw(bench.flag), writes.LATER))
    assert await bench.services[0].deliver() == 2
    first, second = sorted(await bench.found("Communication"), key=lambda one: one["meta"]["lastUpdated"])
    assert second["inResponseTo"][0]["reference"] == f"Communication/{first['id']}"
    statuses = {one["id"]: one["status"] for one in await bench.found("DocumentReference")}
    assert sorted(statuses.values()) == ["current", "superseded"]
    assert [await bench.found(kind) for kind in ("Task", "Flag", "CarePlan")] == [[], [], []]
    listed = await store.worklist.search(Wanted(patients=(bench.patient,), types=("Task", "Flag", "CarePlan")))
    assert {one.resource["resourceType"]: one.resource["status"] for one in listed} == {
        "Task": "cancelled",
        "Flag": "inactive",
        "CarePlan": "active",
    }
    assert await store.worklist.count(Wanted(patients=(bench.patient,), types=("Provenance",))) == 5
    await store.close()
