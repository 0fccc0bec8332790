"""What every `ports.Doubles` and `ports.Retention` keeps to, in memory, on SQLite and on PostgreSQL."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from fhirbridge.adapters.memory_store import MemoryStore
from fhirbridge.errors import Defect
from fhirbridge.ports import Double, Event, Outgoing, Receipt, Store, Subject, There

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
LATER = NOON + timedelta(hours=1)
MUCH_LATER = NOON + timedelta(days=100)
ANN = Subject("epr", "Patient/ann")


async def written(store: Store, at: datetime, *identities: str, kind: str = "Task", refused: str = "") -> list[int]:
    seen = (await store.load(ANN)).revision
    rows = tuple(
        Outgoing(identity=one, type=kind, verb="create", resource={"resourceType": kind}, provenance={})
        for one in identities
    )
    await store.commit(ANN, effects=(), outgoing=rows, wakes_at=None, decided_at=at, revision=seen)
    waiting = await store.undelivered(at, 100)
    numbers = [one.row for one in waiting]
    receipts = [
        Receipt(row=one.row, refused=refused)
        if refused
        else Receipt(row=one.row, reference=f"{kind}/{one.outgoing.identity}-1", version="1")
        for one in waiting
    ]
    await store.delivered(receipts, at)
    return numbers


async def test_what_was_delivered_is_looked_for_once_the_oldest_first(store: Store) -> None:
    await written(store, LATER, "b")
    await written(store, NOON, "a")
    found = await store.doubles.unaudited("epr", LATER, 10)
    assert found == [(ANN, There("a", "Task/a-1", "1")), (ANN, There("b", "Task/b-1", "1"))]
    assert await store.doubles.unaudited("epr", NOON, 10) == found[:1]
    assert await store.doubles.unaudited("epr", LATER, 1) == found[:1]
    assert await store.doubles.unaudited("other", LATER, 10) == []
    await store.doubles.audited("epr", ["a", "unknown"])
    assert await store.doubles.unaudited("epr", LATER, 10) == found[1:]
    await written(store, MUCH_LATER, "a")
    assert await store.doubles.unaudited("epr", MUCH_LATER, 10) == found[1:]


async def test_a_double_is_remembered_once(store: Store) -> None:
    double = Double(subject=ANN, identity="a", kept="Task/1", double="Task/2", withdrawn=True, found=NOON)
    assert await store.doubles.note(double)
    again = Double(subject=ANN, identity="a", kept="Task/1", double="Task/2", withdrawn=False, found=LATER)
    assert not await store.doubles.note(again)
    assert await store.doubles.of(ANN) == [double]
    assert await store.doubles.of(Subject("epr", "Patient/bob")) == []


async def test_what_is_old_and_settled_goes_and_all_else_stays(store: Store) -> None:
    (old,) = await written(store, NOON, "a")
    (dead,) = await written(store, NOON, "b", refused="422")
    (told,) = await written(store, NOON, "c", kind="Communication")
    (young,) = await written(store, MUCH_LATER, "d")
    await store.accept("epr", [Event(type="Task", id="1"), Event(type="Task", id="2")], NOON)
    first, second = await store.waiting(10)
    await store.keep("epr", [], [first.row], NOON)

    gone = 0
    while some := await store.retention.purge(MUCH_LATER, 1):
        gone += some
    assert gone == (0 if isinstance(store, MemoryStore) else 2)

    assert [letter.row for letter in await store.dead_letters.search()] == [dead]
    assert await store.waiting(10) == [second]
    assert set((await store.load(ANN)).references) == {"a", "c", "d"}
    still_there = Receipt(row=told, reference="Communication/c-1")
    await store.delivered([still_there, Receipt(row=young, reference="Task/d-1")], MUCH_LATER)
    if not isinstance(store, MemoryStore):
        with pytest.raises(Defect):
            await store.delivered([Receipt(row=old, reference="Task/a-1")], MUCH_LATER)
