"""What every `ports.Worklist` keeps to, in memory, on SQLite and on PostgreSQL."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from fhirbridge.errors import Overtaken
from fhirbridge.fhir.canonical import ACTION
from fhirbridge.fhir.worklist import listed_id
from fhirbridge.ports import Event, Outgoing, Placing, Receipt, Resource, Store, Subject, There, Wanted

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
LATER = NOON + timedelta(hours=1)
ANN = Subject("epr", "Patient/ann")
BOB = Subject("epr", "Patient/bob")
ELSEWHERE = Subject("other", "Patient/ann")


def task(status: str = "requested", code: str = "contact-patient") -> Resource:
    return {
        "resourceType": "Task",
        "meta": {"profile": ["p"]},
        "status": status,
        "code": {"coding": [{"system": ACTION, "code": code}]},
    }


def flag() -> Resource:
    return {
        "resourceType": "Flag",
        "status": "active",
        "code": {"coding": [{"system": "x", "code": "y"}, {"system": ACTION, "code": "alert"}]},
    }


async def test_what_is_placed_stands_there_with_an_id_a_version_and_a_time(store: Store) -> None:
    stands = await store.worklist.place(ANN, [Placing(identity="i", resource=task(), write="w", notice="n")], NOON)
    (one,) = stands.values()
    assert one.resource == {
        **task(),
        "id": listed_id("epr", "i"),
        "meta": {"versionId": "1", "lastUpdated": "2026-03-02T12:00:00Z", "profile": ["p"]},
    }
    assert (one.subject, one.identity, one.version, one.by, one.way, one.write) == (ANN, "i", 1, "", "own", "w")
    assert (one.notice, one.told) == ("n", "")
    assert await store.worklist.standing(ANN) == {"i": one}
    assert await store.worklist.standing(BOB) == {}
    assert await store.worklist.read(one.reference) == one
    assert await store.worklist.read("Task/unknown") is None
    assert await store.worklist.history("Task/unknown") == []


async def test_two_eprs_with_the_same_ids_do_not_meet(store: Store) -> None:
    mine = await store.worklist.place(ANN, [Placing(identity="i", resource=task())], NOON)
    theirs = await store.worklist.place(ELSEWHERE, [Placing(identity="i", resource=task())], NOON)
    assert mine["i"].reference != theirs["i"].reference
    assert list(await store.worklist.standing(ANN)) == ["i"]


async def test_every_version_is_kept_and_the_newest_is_current(store: Store) -> None:
    await store.worklist.place(ANN, [Placing(identity="i", resource=task(), write="w1")], NOON)
    changed = Placing(identity="i", resource=task("cancelled"), based_on=1, write="w2")
    stands = await store.worklist.place(ANN, [changed], LATER)
    versions = await store.worklist.history(stands["i"].reference)
    assert [(one.version, one.resource["status"], one.current) for one in versions] == [
        (1, "requested", False),
        (2, "cancelled", True),
    ]
    assert [one.version for one in await store.worklist.search(Wanted())] == [2]
    assert [one.write for one in versions] == ["w1", "w2"]


async def test_a_version_based_on_an_older_one_is_refused_and_nothing_is_placed(store: Store) -> None:
    await store.worklist.place(ANN, [Placing(identity="i", resource=task())], NOON)
    for based_on in (0, 2):
        late = Placing(identity="i", resource=task("cancelled"), based_on=based_on, write="w")
        with pytest.raises(Overtaken):
            await store.worklist.place(ANN, [Placing(identity="j", resource=task()), late], LATER)
    assert {name: one.version for name, one in (await store.worklist.standing(ANN)).items()} == {"i": 1}


async def test_it_is_searched_by_everything_that_is_asked_at_once(store: Store) -> None:
    await store.worklist.place(
        ANN,
        [
            Placing(identity="t", resource=task()),
            Placing(identity="f", resource=flag()),
            Placing(identity="d", resource=task("completed", "contact-family")),
        ],
        NOON,
    )
    await store.worklist.place(BOB, [Placing(identity="b", resource=task())], LATER)

    async def found(wanted: Wanted) -> list[str]:
        names = [one.identity for one in await store.worklist.search(wanted)]
        assert await store.worklist.count(wanted) == len(names)
        return names

    assert await found(Wanted()) == ["t", "f", "d", "b"]
    assert await found(Wanted(types=("Flag",))) == ["f"]
    assert await found(Wanted(types=("Task",), statuses=("requested",))) == ["t", "b"]
    assert await found(Wanted(codes=("alert", "contact-family"))) == ["f", "d"]
    assert await found(Wanted(patients=(BOB.patient,))) == ["b"]
    assert await found(Wanted(eprs=("other",))) == []
    assert await found(Wanted(identities=("d",))) == ["d"]
    assert await found(Wanted(ids=(listed_id("epr", "t"),))) == ["t"]
    assert await found(Wanted(since=LATER)) == ["b"]
    assert await found(Wanted(until=LATER)) == ["t", "f", "d"]


async def test_what_told_of_it_is_found_where_it_was_delivered_to(store: Store) -> None:
    outgoing = Outgoing(identity="i", type="Task", verb="create", resource=task(), provenance={})
    seen = (await store.load(ANN)).revision
    await store.commit(ANN, effects=(), outgoing=(outgoing,), wakes_at=None, decided_at=NOON, revision=seen)
    (row,) = await store.undelivered(NOON, 10)
    stands = await store.worklist.place(ANN, [Placing(identity="i", resource=task(), notice="n")], NOON)
    assert stands["i"].told == ""
    told = There("n", "Communication/1", "1")
    await store.delivered([Receipt(row=row.row, reference=stands["i"].reference, also=(told,))], NOON)
    assert (await store.worklist.standing(ANN))["i"].told == "Communication/1"
    assert (await store.load(ANN)).references == {"i": stands["i"].reference, "n": "Communication/1"}


async def test_pages_follow_one_another_by_row(store: Store) -> None:
    await store.worklist.place(ANN, [Placing(identity=f"i{n}", resource=task()) for n in range(5)], NOON)
    first = await store.worklist.search(Wanted(), limit=2)
    await store.worklist.place(ANN, [Placing(identity="i0", resource=task("cancelled"), based_on=1)], LATER)
    rest = await store.worklist.search(Wanted(), after=first[-1].row, limit=10)
    assert [one.identity for one in (*first, *rest)] == ["i0", "i1", "i2", "i3", "i4", "i0"]


async def test_what_staff_complete_comes_in_by_the_inbox(store: Store) -> None:
    stands = await store.worklist.place(ANN, [Placing(identity="i", resource=task())], NOON)
    done = Placing(identity="i", resource=task("completed"), based_on=1, by="A Nurse")
    after = await store.worklist.complete(stands["i"].reference, done, LATER)
    assert (after.version, after.by, after.updated, after.resource["status"]) == (2, "A Nurse", LATER, "completed")
    (arrival,) = await store.waiting(10)
    event = Event(type="Task", id=after.resource["id"], version="2")
    assert (arrival.epr, arrival.event, arrival.received) == ("epr", event, LATER)


async def test_of_two_who_complete_the_same_step_the_second_is_told(store: Store) -> None:
    stands = await store.worklist.place(ANN, [Placing(identity="i", resource=task())], NOON)
    reference = stands["i"].reference
    done = Placing(identity="i", resource=task("completed"), based_on=1, by="A Nurse")
    await store.worklist.complete(reference, done, LATER)
    with pytest.raises(Overtaken):
        await store.worklist.complete(reference, done, LATER)
    with pytest.raises(Overtaken):
        await store.worklist.complete("Task/unknown", done, LATER)
    assert len(await store.waiting(10)) == 1
