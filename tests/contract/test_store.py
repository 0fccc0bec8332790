"""What every `ports.Store` keeps to, in memory, on SQLite and on PostgreSQL."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from msgspec.structs import replace

from fhirbridge.core.effects import AnyEffect, Completed, Key, Kind, Started, Withdrawal, Withdrawn, Written
from fhirbridge.core.facts import AnyFact, Appointment, AppointmentState, Person, Source, Unmapped
from fhirbridge.errors import Defect, Overtaken, SenderError
from fhirbridge.ports import (
    Delivery,
    Event,
    Known,
    Outgoing,
    Receipt,
    Remapped,
    Resource,
    Store,
    Subject,
    Subscribed,
    Version,
)

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
SOON = timedelta(minutes=5)
LEASE = timedelta(seconds=60)
ANN = Subject("epr", "Patient/ann")
BOB = Subject("epr", "Patient/bob")


def appointment(
    number: str, version: str = "1", *, patient: str = ANN.patient, known: datetime = NOON, erased: bool = False
) -> Version:
    fact = Appointment(
        source=Source("Appointment", number, version),
        known=known,
        patient=patient,
        erased=erased,
        state=AppointmentState.MISSED,
        start=known - timedelta(hours=1),
        services=("HealthcareService/s",),
    )
    return Version(fact=fact, resource={"resourceType": "Appointment", "id": number, "status": "noshow"})


def write(identity: str) -> Written:
    key = Key(ANN.patient, "EpisodeOfCare/e", "rdash", Kind.TASK, "contact-patient", "lead-professional", "s")
    return Written(identity=identity, at=NOON, key=key, run="r", pathway="p", steps=("rdash-5.3-contact",), since=NOON)


def create(identity: str, *depends: str) -> Outgoing:
    return Outgoing(
        identity=identity,
        type="Task",
        verb="create",
        resource={"resourceType": "Task", "description": "Ring å person"},
        provenance={"resourceType": "Provenance"},
        depends=depends,
    )


async def commit(
    store: Store,
    subject: Subject,
    *,
    effects: tuple[AnyEffect, ...] = (),
    outgoing: tuple[Outgoing, ...] = (),
    wakes_at: datetime | None = None,
    known: Known | None = None,
) -> None:
    seen = known or await store.load(subject)
    await store.commit(
        subject, effects=effects, outgoing=outgoing, wakes_at=wakes_at, decided_at=NOON, revision=seen.revision
    )


def identities(deliveries: list[Delivery]) -> list[str]:
    return [delivery.outgoing.identity for delivery in deliveries]


def sources(known: Known) -> list[str]:
    return [fact.source.versioned for fact in known.facts]


# Inbox


async def test_what_was_accepted_waits_in_order_until_it_is_digested(store: Store) -> None:
    gone = Event(type="Appointment", id="b", deleted=True)
    full = Event(type="Appointment", id="a", version="2", resource={"resourceType": "Appointment", "x": [1.5, "é"]})
    await store.accept("epr", [full, gone], NOON)
    await store.accept("other", [full], NOON + SOON)

    arrivals = await store.waiting(10)
    assert [(arrival.epr, arrival.event, arrival.received) for arrival in arrivals] == [
        ("epr", full, NOON),
        ("epr", gone, NOON),
        ("other", full, NOON + SOON),
    ]
    assert await store.waiting(1) == arrivals[:1]

    await store.keep("epr", [], [arrivals[0].row], NOON)
    await store.keep("epr", [], [arrivals[0].row, arrivals[2].row], NOON)
    assert await store.waiting(10) == [arrivals[1]]


async def test_what_waits_can_be_asked_for_by_epr(store: Store) -> None:
    await store.accept("busy", [Event(type="Task", id=str(number)) for number in range(5)], NOON)
    await store.accept("quiet", [Event(type="Task", id="t")], NOON)

    assert [arrival.epr for arrival in await store.waiting(3, ["quiet"])] == ["quiet"]
    assert await store.waiting(3, []) == []


async def test_the_last_version_of_a_resource_is_found_by_its_reference(store: Store) -> None:
    first, second = appointment("a"), appointment("a", "2", known=NOON + SOON)
    await store.keep("epr", [second, first, appointment("b", "3", known=NOON + 2 * SOON)], (), NOON)

    assert await store.last("epr", "Appointment/a") == second
    assert await store.last("epr", "Appointment/c") is None
    assert await store.last("other", "Appointment/a") is None


async def test_concurrent_arrivals_all_come_in_once(store: Store) -> None:
    events = [Event(type="Appointment", id=f"a{number}") for number in range(60)]
    await asyncio.gather(*(store.accept("epr", [event], NOON) for event in events))
    await store.accept("epr", [], NOON)

    arrivals = await store.waiting(1000)
    assert sorted(arrival.event.id for arrival in arrivals) == sorted(event.id for event in events)
    assert len({arrival.row for arrival in arrivals}) == 60


@pytest.mark.parametrize("bad", ["a\0b", "\ud800", "é", "a\n"])
async def test_text_that_no_database_takes_is_refused_and_harms_no_neighbour(store: Store, bad: str) -> None:
    good = Event(type="Appointment", id="good")
    outcomes = await asyncio.gather(
        store.accept("epr", [good], NOON),
        store.accept("epr", [Event(type="Appointment", id=bad)], NOON),
        store.accept("epr", [good], NOON),
        return_exceptions=True,
    )
    assert [type(outcome) for outcome in outcomes] == [type(None), SenderError, type(None)]
    assert [arrival.event for arrival in await store.waiting(10)] == [good, good]


# Versions


async def test_kept_facts_come_back_as_they_were_oldest_first(store: Store) -> None:
    late, early = appointment("a", "2", known=NOON + SOON), appointment("a", "1")
    person = Version(
        fact=Person(source=Source("Patient", "ann", "1"), known=NOON - SOON, patient=ANN.patient, deceased=True),
        resource={"resourceType": "Patient"},
    )
    await store.keep("epr", [late, early], [], NOON)
    await store.keep("epr", [person], [], NOON)

    known = await store.load(ANN)
    assert known.facts == (person.fact, early.fact, late.fact)
    assert (known.effects, known.references) == ((), {})
    assert await store.has_seen(ANN)
    assert not await store.has_seen(BOB)
    assert await store.load(BOB) == Known(facts=(), effects=(), references={})


async def test_the_same_version_twice_is_kept_once_and_is_no_news(store: Store) -> None:
    await store.keep("epr", [appointment("a"), appointment("a"), appointment("a", "2")], [], NOON)
    await commit(store, ANN)
    await store.keep("epr", [appointment("a")], [], NOON)
    await store.keep("epr", [appointment("a", "2")], [], NOON)

    assert sources(await store.load(ANN)) == ["Appointment/a/_history/1", "Appointment/a/_history/2"]
    assert await store.due(NOON, 10) == []


async def test_a_version_without_an_id_is_told_by_its_content(store: Store) -> None:
    first, other = appointment("a", ""), appointment("a", "")
    other.resource["status"] = "fulfilled"
    await store.keep("epr", [first], [], NOON)
    await store.keep("epr", [Version(fact=first.fact, resource=dict(reversed(first.resource.items())))], [], NOON)
    assert len((await store.load(ANN)).facts) == 1

    await store.keep("epr", [other], [], NOON)
    assert len((await store.load(ANN)).facts) == 2


async def test_without_an_id_the_same_again_is_new_only_after_something_else(store: Store) -> None:
    def said(status: str, minutes: int) -> Version:
        known = NOON + timedelta(minutes=minutes)
        version = appointment("a", "", known=known)
        version.resource.update(status=status, meta={"lastUpdated": known.isoformat()}, text={"div": str(minutes)})
        return version

    await store.keep("epr", [said("noshow", 0), said("noshow", 1)], [], NOON)
    await store.keep("epr", [said("noshow", 2)], [], NOON)
    assert [fact.known for fact in (await store.load(ANN)).facts] == [NOON]

    await store.keep("epr", [said("fulfilled", 3), said("noshow", 5)], [], NOON)
    await store.keep("epr", [said("fulfilled", 4)], [], NOON)
    await store.keep("epr", [said("noshow", 6), said("fulfilled", 7), said("noshow", 8)], [], NOON)
    expected = [NOON + timedelta(minutes=minutes) for minutes in (0, 3, 5, 7, 8)]
    assert [fact.known for fact in (await store.load(ANN)).facts] == expected


async def test_without_an_id_one_that_says_it_was_entered_in_error_is_no_deletion(store: Store) -> None:
    def wrong(known: datetime) -> Version:
        version = appointment("a", "", known=known, erased=True)
        version.resource.update(status="entered-in-error", meta={"lastUpdated": known.isoformat()})
        return version

    await store.keep("epr", [wrong(NOON)], [], NOON)
    await store.keep("epr", [wrong(NOON + SOON)], [], NOON)
    assert [fact.known for fact in (await store.load(ANN)).facts] == [NOON]


async def test_what_is_kept_of_a_resource_is_its_last_version(store: Store) -> None:
    await store.keep("epr", [appointment("a", "2", known=NOON + SOON), appointment("a"), appointment("b")], [], NOON)
    await store.keep("other", [appointment("c")], [], NOON)
    latest = await store.kept.latest("epr", "Appointment", ["a", "b", "c"])
    assert {identity: version.fact.source.version for identity, version in latest.items()} == {"a": "2", "b": "1"}
    assert latest["b"] == appointment("b")
    assert await store.kept.latest("epr", "Encounter", ["a"]) == {}
    assert await store.kept.latest("epr", "Appointment", []) == {}


async def test_what_should_be_found_in_a_window_of_time(store: Store) -> None:
    hour = timedelta(hours=1)
    early, late = NOON - hour, NOON + hour  # appointments start an hour before they became known
    await store.keep("epr", [appointment("in"), appointment("bobs", patient=BOB.patient)], [], NOON)
    await store.keep("epr", [appointment("moved"), appointment("moved", "2", known=NOON + 5 * hour)], [], NOON)
    await store.keep("epr", [appointment("gone"), appointment("gone", "2", known=NOON + SOON, erased=True)], [], NOON)
    await store.keep("epr", [appointment("end", known=late + hour)], [], NOON)

    async def expected(**window: Any) -> set[str]:
        return await store.kept.expected("epr", "Appointment", **window)

    assert await expected(start=early, end=late) == {"in", "bobs"}
    assert await expected(start=early, end=late, patient=BOB.patient) == {"bobs"}
    assert await expected(start=early + SOON, end=late) == set()
    assert await expected(start=None, end=None) == {"in", "bobs", "moved", "end"}
    assert await expected(start=None, end=None, patient=BOB.patient) == {"bobs"}
    assert await store.kept.expected("other", "Appointment", start=early, end=late) == set()


async def test_a_changed_mapping_changes_when_it_took_place(store: Store) -> None:
    await store.keep("epr", [appointment("a")], [], NOON)

    def reading(resource: Resource) -> AnyFact:
        fact = appointment("a").fact
        assert isinstance(fact, Appointment)
        return replace(fact, start=NOON + timedelta(days=9))

    await store.remap("epr", reading, NOON)

    start, end = NOON + timedelta(days=8), NOON + timedelta(days=10)
    assert await store.kept.expected("epr", "Appointment", start=start, end=end) == {"a"}


async def test_how_much_of_it_is_not_kept_yet(store: Store) -> None:
    def said(status: str, minutes: int) -> Version:
        known = NOON + timedelta(minutes=minutes)
        version = appointment("c", "", known=known)
        version.resource.update(status=status, meta={"lastUpdated": known.isoformat()})
        return version

    await store.keep("epr", [appointment("a"), said("noshow", 0)], [], NOON)

    async def unknown(*versions: Version, epr: str = "epr") -> int:
        return len(await store.kept.unknown(epr, versions))

    assert await unknown(appointment("a"), appointment("a", "2"), appointment("b")) == 2
    assert await unknown(appointment("b"), appointment("b")) == 1
    assert await unknown(said("noshow", 1), said("fulfilled", 2), said("noshow", 3)) == 2
    assert await unknown(appointment("a"), epr="other") == 1
    assert await unknown() == 0


async def test_the_patients_of_an_epr_in_order(store: Store) -> None:
    await store.keep("epr", [appointment("a"), appointment("b", patient=BOB.patient)], [], NOON)
    await store.keep("other", [appointment("c", patient="Patient/cid")], [], NOON)
    assert await store.kept.patients("epr", after="", limit=10) == [ANN.patient, BOB.patient]
    assert await store.kept.patients("epr", after=ANN.patient, limit=10) == [BOB.patient]
    assert await store.kept.patients("epr", after="", limit=1) == [ANN.patient]


async def test_a_second_deletion_of_the_same_id_is_another_version(store: Store) -> None:
    await store.keep("epr", [appointment("a", "", erased=True)], [], NOON)
    await store.keep("epr", [appointment("a", "", erased=True)], [], NOON)
    await store.keep("epr", [appointment("a", "", erased=True, known=NOON + SOON)], [], NOON)
    assert [fact.known for fact in (await store.load(ANN)).facts] == [NOON, NOON + SOON]


async def test_the_same_id_in_another_epr_is_another_resource(store: Store) -> None:
    there = Subject("other", ANN.patient)
    await store.keep("epr", [appointment("a")], [], NOON)
    await store.keep("other", [appointment("a")], [], NOON)
    assert len((await store.load(ANN)).facts) == len((await store.load(there)).facts) == 1
    assert await store.due(NOON, 10) == [ANN, there]


async def test_a_version_about_nobody_is_kept_and_makes_nobody_due(store: Store) -> None:
    fact: AnyFact = Unmapped(source=Source("Appointment", "x", "1"), known=NOON, patient="", reason="no patient")
    await store.keep("epr", [Version(fact=fact, resource={})], [], NOON)
    assert await store.due(NOON, 10) == []
    assert await store.next_due() is None


async def test_many_versions_at_once(store: Store) -> None:
    many = [appointment(f"a{number}", patient=f"Patient/p{number % 700}") for number in range(1400)]
    await store.accept("epr", [Event(type="Appointment", id=version.fact.source.id) for version in many], NOON)
    await store.keep("epr", many, [arrival.row for arrival in await store.waiting(5000)], NOON)
    assert await store.waiting(10) == []
    assert len(await store.due(NOON, 5000)) == 700
    assert len((await store.load(Subject("epr", "Patient/p3"))).facts) == 2


# Timers


async def test_new_versions_make_their_patients_due_longest_overdue_first(store: Store) -> None:
    await store.keep("epr", [appointment("b", patient=BOB.patient)], [], NOON)
    await store.keep("epr", [appointment("a")], [], NOON + SOON)

    assert await store.due(NOON - SOON, 10) == []
    assert await store.due(NOON, 10) == [BOB]
    assert await store.due(NOON + SOON, 10) == [BOB, ANN]
    assert await store.due(NOON + SOON, 1) == [BOB]
    assert await store.next_due() == NOON


async def test_news_never_makes_a_timer_later(store: Store) -> None:
    await store.keep("epr", [appointment("a")], [], NOON)
    await store.keep("epr", [appointment("a", "2")], [], NOON + SOON)
    assert await store.next_due() == NOON


async def test_a_decision_sets_the_timer(store: Store) -> None:
    await store.keep("epr", [appointment("a")], [], NOON)
    await commit(store, ANN, wakes_at=NOON + SOON)
    assert await store.due(NOON, 10) == []
    assert await store.due(NOON + SOON, 10) == [ANN]

    await commit(store, ANN, wakes_at=None)
    assert await store.next_due() is None


@pytest.mark.parametrize("wakes_at", [None, NOON + SOON])
async def test_news_that_a_decision_has_not_seen_keeps_the_subject_due(store: Store, wakes_at: datetime | None) -> None:
    await store.keep("epr", [appointment("a")], [], NOON)
    before = await store.load(ANN)
    await store.keep("epr", [appointment("a", "2")], [], NOON)  # at the very instant of the decision

    await commit(store, ANN, known=before, wakes_at=wakes_at)
    assert await store.due(NOON, 10) == [ANN]


async def test_a_decision_that_wakes_before_unseen_news_wakes_then(store: Store) -> None:
    await store.keep("epr", [appointment("a")], [], NOON)
    await commit(store, ANN)
    before = await store.load(ANN)
    await store.keep("epr", [appointment("a", "2")], [], NOON + SOON)
    await commit(store, ANN, known=before, wakes_at=NOON)
    assert await store.next_due() == NOON


# Leases


async def test_one_worker_holds_a_subject_at_a_time(store: Store) -> None:
    async with store.lease(ANN, NOON) as mine, store.lease(ANN, NOON) as again, store.lease(BOB, NOON) as other:
        assert (mine, again, other) == (True, False, True)
    async with store.lease(ANN, NOON) as afterwards:
        assert afterwards


async def test_the_loser_of_a_lease_does_not_end_it(store: Store) -> None:
    async with store.lease(ANN, NOON) as mine:
        assert mine
        async with store.lease(ANN, NOON) as loser:
            assert not loser
        async with store.lease(ANN, NOON) as loser:
            assert not loser


async def test_of_many_who_ask_at_once_one_gets_the_lease(store: Store) -> None:
    async with AsyncExitStack() as stack:
        answers = await asyncio.gather(*(stack.enter_async_context(store.lease(ANN, NOON)) for _ in range(8)))
    assert sorted(answers) == [False] * 7 + [True]


async def test_a_lease_ends_with_its_block_even_when_that_fails(store: Store) -> None:
    with pytest.raises(ZeroDivisionError):
        async with store.lease(ANN, NOON):
            raise ZeroDivisionError
    async with store.lease(ANN, NOON) as mine:
        assert mine


async def test_a_lease_expires(store: Store) -> None:
    async with store.lease(ANN, NOON) as silent:
        async with store.lease(ANN, NOON + LEASE - timedelta(microseconds=1)) as early:
            assert (silent, early) == (True, False)
        async with store.lease(ANN, NOON + LEASE) as successor:
            assert successor
            async with store.lease(ANN, NOON + LEASE) as third:
                assert not third


async def test_a_worker_that_comes_back_does_not_end_its_successors_lease(store: Store) -> None:
    silent = store.lease(ANN, NOON)
    assert await silent.__aenter__()
    async with store.lease(ANN, NOON + LEASE) as successor:
        assert successor
        await silent.__aexit__(None, None, None)
        async with store.lease(ANN, NOON + LEASE) as third:
            assert not third


async def test_a_held_subject_is_not_due_until_its_lease_expires(store: Store) -> None:
    await store.keep("epr", [appointment("a")], [], NOON)
    async with store.lease(ANN, NOON):
        assert await store.due(NOON, 10) == []
        assert await store.next_due() == NOON + LEASE
        assert await store.due(NOON + LEASE, 10) == [ANN]
    assert await store.due(NOON, 10) == [ANN]
    assert await store.next_due() == NOON


async def test_a_decision_under_a_lost_lease_writes_nothing(store: Store) -> None:
    await store.keep("epr", [appointment("a")], [], NOON)
    async with store.lease(ANN, NOON):
        silent = await store.load(ANN)
        async with store.lease(ANN, NOON + LEASE):
            successor = await store.load(ANN)
            with pytest.raises(Overtaken) as refused:
                await commit(store, ANN, known=silent, effects=(write("i"),), outgoing=(create("i"),))
            await commit(store, ANN, known=successor, effects=(write("j"),), outgoing=(create("j"),))

    assert (await store.load(ANN)).effects == (write("j"),)
    assert identities(await store.undelivered(NOON, 10)) == ["j"]
    assert ANN.patient not in str(refused.value)


async def test_one_load_is_good_for_one_commit(store: Store) -> None:
    known = await store.load(ANN)
    await commit(store, ANN, known=known, effects=(write("i"),))
    with pytest.raises(Overtaken):
        await commit(store, ANN, known=known, effects=(write("i"),))
    assert len((await store.load(ANN)).effects) == 1


async def test_of_two_commits_at_once_one_is_refused(store: Store) -> None:
    known = await store.load(ANN)
    both = (commit(store, ANN, known=known, effects=(write(name),), outgoing=(create(name),)) for name in "ij")
    outcomes = await asyncio.gather(*both, return_exceptions=True)
    assert {type(outcome) for outcome in outcomes} == {type(None), Overtaken}
    assert len((await store.load(ANN)).effects) == len(await store.undelivered(NOON, 10)) == 1


# Effects and outbox


async def test_effects_come_back_in_the_order_they_were_decided(store: Store) -> None:
    started = Started(
        identity="r", at=NOON, pack="rdash", version="1", pathway="p", case="EpisodeOfCare/e", since=NOON - SOON
    )
    withdrawn = Withdrawn(identity="i", at=NOON - SOON, reason=Withdrawal.CORRECTED)
    completed = Completed(identity="i", at=NOON, by=Source("Task", "t", "4"), outcome="no-answer")
    await commit(store, ANN, effects=(started, write("i")))
    await commit(store, BOB, effects=(write("b"),))
    await commit(store, ANN, effects=(withdrawn, completed))

    assert (await store.load(ANN)).effects == (started, write("i"), withdrawn, completed)
    assert (await store.load(BOB)).effects == (write("b"),)


async def test_the_outbox_gives_rows_in_the_order_they_were_decided(store: Store) -> None:
    await commit(store, ANN, outgoing=(create("a1", "a2"), create("a2", "a1")))
    await commit(store, BOB, outgoing=(create("b1"),))
    await commit(store, ANN, outgoing=(create("a3"),))

    rows = await store.undelivered(NOON, 10)
    assert identities(rows) == ["a1", "a2", "b1", "a3"]
    assert [row.subject for row in rows] == [ANN, ANN, BOB, ANN]
    assert rows[0].outgoing == create("a1", "a2")
    assert {row.attempts for row in rows} == {0}


@pytest.mark.parametrize(
    ("limit", "expected"),
    [
        (1, ["a1", "a2", "a3"]),
        (3, ["a1", "a2", "a3"]),
        (4, ["a1", "a2", "b1", "a3"]),
    ],
)
async def test_a_subjects_rows_are_never_torn_apart(store: Store, limit: int, expected: list[str]) -> None:
    await commit(store, ANN, outgoing=(create("a1"), create("a2")))
    await commit(store, BOB, outgoing=(create("b1"),))
    await commit(store, ANN, outgoing=(create("a3"),))
    assert identities(await store.undelivered(NOON, limit)) == expected


async def test_nothing_passes_a_postponed_row_of_the_same_subject(store: Store) -> None:
    await commit(store, ANN, outgoing=(create("a1"), create("a2")))
    await commit(store, BOB, outgoing=(create("b1"),))
    first, second, _ = await store.undelivered(NOON, 10)
    assert (first.outgoing.identity, second.outgoing.identity) == ("a1", "a2")

    await store.postpone([first.row], NOON + SOON, "503")
    assert identities(await store.undelivered(NOON, 10)) == ["b1"]
    await commit(store, ANN, outgoing=(create("a3"),))
    assert identities(await store.undelivered(NOON, 10)) == ["b1"]

    later = await store.undelivered(NOON + SOON, 10)
    assert identities(later) == ["a1", "a2", "b1", "a3"]
    assert [row.attempts for row in later] == [1, 0, 0, 0]


async def test_what_was_decided_before_a_postponed_row_may_go(store: Store) -> None:
    await commit(store, ANN, outgoing=(create("a1"), create("a2"), create("a3")))
    rows = await store.undelivered(NOON, 10)
    await store.postpone([rows[1].row], NOON + SOON, "503")
    await store.postpone([rows[1].row], NOON + 2 * SOON, "503")
    assert identities(await store.undelivered(NOON + SOON, 10)) == ["a1"]
    assert [row.attempts for row in await store.undelivered(NOON + 2 * SOON, 10)] == [0, 2, 0]


async def test_a_receipt_settles_its_row_and_gives_the_reference(store: Store) -> None:
    await commit(store, ANN, outgoing=(create("a1"), create("a2")))
    await commit(store, BOB, outgoing=(create("b1"),))
    first, second, third = await store.undelivered(NOON, 10)
    await store.delivered(
        [
            Receipt(row=second.row, refused="422: no such code"),
            Receipt(row=first.row, reference="Task/1", version="1"),
            Receipt(row=third.row, reference="Task/3"),
        ],
        NOON,
    )
    assert await store.undelivered(NOON, 10) == []
    assert (await store.load(ANN)).references == {"a1": "Task/1"}
    assert (await store.load(BOB)).references == {"b1": "Task/3"}


async def test_a_refused_row_does_not_hold_up_the_next(store: Store) -> None:
    await commit(store, ANN, outgoing=(create("a1"), create("a2")))
    first, _ = await store.undelivered(NOON, 10)
    await store.postpone([first.row], NOON + SOON, "503")
    await store.delivered([Receipt(row=first.row, refused="422")], NOON)
    assert identities(await store.undelivered(NOON, 10)) == ["a2"]


async def test_a_settled_row_stays_as_it_is(store: Store) -> None:
    await commit(store, ANN, outgoing=(create("a1"),))
    [row] = await store.undelivered(NOON, 10)
    await store.delivered([Receipt(row=row.row, reference="Task/1", version="1")], NOON)
    await store.delivered([Receipt(row=row.row, refused="410")], NOON)
    await store.delivered([Receipt(row=row.row, reference="Task/2")], NOON)
    await store.postpone([row.row], NOON + SOON, "503")
    assert (await store.load(ANN)).references == {"a1": "Task/1"}
    assert await store.undelivered(NOON + 2 * SOON, 10) == []


async def test_the_last_write_to_an_identity_gives_its_reference(store: Store) -> None:
    await commit(store, ANN, outgoing=(create("a1"), create("a1")))
    first, second = await store.undelivered(NOON, 10)
    await store.delivered(
        [Receipt(row=second.row, reference="Task/2"), Receipt(row=first.row, reference="Task/1")], NOON
    )
    assert (await store.load(ANN)).references == {"a1": "Task/2"}


@pytest.mark.parametrize("receipt", [Receipt(row=999, reference="Task/1"), Receipt(row=1)])
async def test_a_receipt_that_makes_no_sense_is_our_mistake_and_changes_nothing(store: Store, receipt: Receipt) -> None:
    await commit(store, ANN, outgoing=(create("a1"),))
    [row] = await store.undelivered(NOON, 10)
    with pytest.raises(Defect):
        await store.delivered([Receipt(row=row.row, reference="Task/1"), receipt], NOON)
    assert identities(await store.undelivered(NOON, 10)) == ["a1"]
    await store.delivered([], NOON)


# Another mapping


def attended(resource: dict[str, Any]) -> AnyFact:
    """A mapping of the test's own: whatever was missed counts as attended, whoever it is about."""
    return Appointment(
        source=Source("Appointment", resource["id"], "1"),
        known=NOON,
        patient=resource.get("patient", ANN.patient),
        state=AppointmentState.ATTENDED,
    )


async def test_kept_versions_are_read_with_another_mapping_and_only_those_it_concerns_are_due(store: Store) -> None:
    await store.keep("epr", [appointment("a"), appointment("b", patient=BOB.patient)], [], NOON)
    await store.keep("other", [appointment("a")], [], NOON)
    for subject in (ANN, BOB, Subject("other", ANN.patient)):
        await commit(store, subject)

    def reading(resource: dict[str, Any]) -> AnyFact | None:
        return attended(resource) if resource["id"] == "a" else appointment("b", patient=BOB.patient).fact

    assert await store.remap("epr", reading, NOON) == Remapped(versions=2, changed=1, subjects=1)
    assert await store.due(NOON, 10) == [ANN]
    assert (await store.load(ANN)).facts == (attended({"id": "a"}),)
    assert (await store.load(Subject("other", ANN.patient))).facts == (appointment("a").fact,)
    assert await store.remap("epr", reading, NOON) == Remapped(versions=2)


async def test_read_again_a_version_keeps_its_place_and_its_time(store: Store) -> None:
    late, early = appointment("a", "7", known=NOON + SOON), appointment("a", "6")
    await store.keep("epr", [late, early], [], NOON)
    await store.remap("epr", attended, NOON)
    facts = (await store.load(ANN)).facts
    assert [(fact.source.version, fact.known) for fact in facts] == [("6", NOON), ("7", NOON + SOON)]
    last = await store.last("epr", "Appointment/a")
    assert last is not None
    assert (last.fact, last.resource) == (facts[-1], late.resource)


async def test_read_again_a_deletion_stays_one(store: Store) -> None:
    await store.keep("epr", [appointment("a"), appointment("a", "2", known=NOON + SOON, erased=True)], [], NOON)
    await store.remap("epr", attended, NOON)
    assert [fact.erased for fact in (await store.load(ANN)).facts] == [False, True]


async def test_read_again_a_version_can_be_about_somebody_else(store: Store) -> None:
    version = appointment("a")
    await store.keep(
        "epr", [Version(fact=version.fact, resource={**version.resource, "patient": BOB.patient})], [], NOON
    )
    await commit(store, ANN)
    assert (await store.remap("epr", attended, NOON)).subjects == 2
    assert await store.due(NOON, 10) == [ANN, BOB]
    assert ((await store.load(ANN)).facts, len((await store.load(BOB)).facts)) == ((), 1)


async def test_what_a_mapping_has_no_use_for_any_more_is_kept_and_says_so(store: Store) -> None:
    await store.keep("epr", [appointment("a")], [], NOON)
    await store.remap("epr", lambda resource: None, NOON)
    [fact] = (await store.load(ANN)).facts
    assert isinstance(fact, Unmapped)
    assert fact.reason == "the mapping has no use for it any more"


async def test_more_versions_than_a_batch_are_all_read_again(store: Store) -> None:
    await store.keep("epr", [appointment(f"a{number}") for number in range(1_101)], [], NOON)
    assert await store.remap("epr", attended, NOON) == Remapped(versions=1_101, changed=1_101, subjects=1)


# Subscriptions


async def test_a_registration_is_remembered_once_for_an_epr_and_criteria(store: Store) -> None:
    first = Subscribed(epr="epr", criteria="Appointment?", reference="Subscription/1", secret="s1", since=NOON)
    other = Subscribed(epr="epr", criteria="Encounter?", reference="Subscription/2", secret="s2", since=NOON)
    there = Subscribed(epr="other", criteria="Appointment?", reference="Subscription/1", secret="s3", since=NOON)
    renewed = Subscribed(
        epr="epr", criteria="Appointment?", reference="Subscription/3", secret="s4", since=NOON + SOON, former="s1"
    )
    for subscription in (first, other, there, renewed):
        await store.subscribed(subscription)

    assert await store.subscriptions("epr") == [renewed, other]
    assert await store.subscriptions("other") == [there]
    assert await store.subscriptions("nowhere") == []
