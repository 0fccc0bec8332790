"""What every `ports.Gaps` keeps to, in memory, on SQLite and on PostgreSQL."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from msgspec.structs import replace

from fhirbridge.core.gaps import Cause, Gap
from fhirbridge.ports import Event, Hearing, Store, Subject

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
ANN = Subject("epr", "Patient/ann")
GAP = Gap(epr="epr", type="Appointment", feed="rest-hook", cause=Cause.ERROR, since=NOON, until=NOON + MINUTE)


async def read(store: Store, gap: Gap, began: datetime) -> None:
    await store.gaps.covered(gap.epr, gap.type, gap.since, began, began + MINUTE)


async def test_a_gap_is_open_until_it_is_closed(store: Store) -> None:
    assert await store.gaps.found(GAP)
    assert await store.gaps.open() == [GAP]
    assert await store.gaps.open("other") == []
    assert await store.gaps.close("epr", NOON + 5 * MINUTE) == []

    await read(store, GAP, NOON + 2 * MINUTE)
    assert await store.gaps.open() == [GAP]
    assert await store.gaps.close("epr", NOON + 5 * MINUTE) == [GAP]
    assert await store.gaps.open() == []
    assert await store.gaps.close("epr", NOON + 6 * MINUTE) == []


async def test_what_is_known_about_a_patient_carries_the_gaps_of_their_epr(store: Store) -> None:
    await store.gaps.found(GAP)
    assert (await store.load(ANN)).gaps == (GAP,)
    assert (await store.load(Subject("other", "Patient/ann"))).gaps == ()


async def test_a_gap_that_is_found_again_is_widened(store: Store) -> None:
    await store.gaps.found(GAP)
    later = replace(GAP, since=NOON + MINUTE, until=NOON + 3 * MINUTE, feed="backport")
    assert not await store.gaps.found(later)
    assert not await store.gaps.found(replace(GAP, since=NOON - MINUTE, until=NOON))
    assert await store.gaps.open() == [replace(GAP, since=NOON - MINUTE, until=NOON + 3 * MINUTE)]
    assert await store.gaps.found(replace(GAP, cause=Cause.NUMBERS))
    assert len(await store.gaps.open("epr")) == 2


async def test_a_gap_that_was_closed_can_open_again(store: Store) -> None:
    await store.gaps.found(GAP)
    await read(store, GAP, NOON + 2 * MINUTE)
    await store.gaps.close("epr", NOON + 5 * MINUTE)
    assert await store.gaps.found(GAP)


@pytest.mark.parametrize(
    ("type_", "since", "began"),
    [
        ("Task", NOON, NOON + 2 * MINUTE),
        ("Appointment", NOON + MINUTE, NOON + 2 * MINUTE),
        ("Appointment", NOON, NOON),
    ],
    ids=["of another type", "from too late on", "begun too early"],
)
async def test_a_reading_that_is_not_enough_closes_nothing(
    store: Store, type_: str, since: datetime, began: datetime
) -> None:
    await store.gaps.found(GAP)
    await store.gaps.covered("epr", type_, since, began, NOON + 4 * MINUTE)
    assert await store.gaps.close("epr", NOON + 5 * MINUTE) == []


async def test_what_is_found_after_the_reading_keeps_the_gap_open(store: Store) -> None:
    await store.gaps.found(GAP)
    await read(store, GAP, NOON + 2 * MINUTE)
    await store.gaps.found(replace(GAP, until=NOON + 3 * MINUTE))
    assert await store.gaps.close("epr", NOON + 5 * MINUTE) == []


async def test_a_gap_stays_open_until_what_was_read_is_digested(store: Store) -> None:
    await store.gaps.found(GAP)
    await store.accept("epr", [Event(type="Appointment", id="a")], NOON + 2 * MINUTE)
    await read(store, GAP, NOON + 2 * MINUTE)
    await store.accept("epr", [Event(type="Appointment", id="later")], NOON + 4 * MINUTE)
    assert await store.gaps.close("epr", NOON + 5 * MINUTE) == []

    first, _ = await store.waiting(9)
    await store.keep("epr", [], [first.row], NOON + 5 * MINUTE)
    assert await store.gaps.close("epr", NOON + 6 * MINUTE) == [GAP]


async def test_who_was_held_back_is_due_when_the_last_gap_closes(store: Store) -> None:
    other = replace(GAP, type="Task")
    await store.gaps.found(GAP)
    await store.gaps.found(other)
    assert await store.gaps.hold(ANN)
    assert await store.gaps.hold(ANN)
    await read(store, GAP, NOON + 2 * MINUTE)
    await store.gaps.close("epr", NOON + 5 * MINUTE)
    assert await store.due(NOON + 5 * MINUTE, 9) == []

    await read(store, other, NOON + 2 * MINUTE)
    await store.gaps.close("epr", NOON + 6 * MINUTE)
    assert await store.due(NOON + 6 * MINUTE, 9) == [ANN]


async def test_who_waits_for_the_gaps_of_an_epr_is_told(store: Store) -> None:
    await store.gaps.found(GAP)
    await store.gaps.hold(Subject("epr", "Patient/bob"))
    await store.gaps.hold(ANN)
    assert await store.gaps.waiting("epr") == [ANN, Subject("epr", "Patient/bob")]
    assert await store.gaps.waiting("other") == []

    await read(store, GAP, NOON + 2 * MINUTE)
    await store.gaps.close("epr", NOON + 5 * MINUTE)
    assert await store.gaps.waiting("epr") == []


async def test_a_gap_that_closes_during_a_decision_is_news(store: Store) -> None:
    await store.gaps.found(GAP)
    known = await store.load(ANN)
    await store.gaps.hold(ANN)
    await read(store, GAP, NOON + 2 * MINUTE)
    await store.gaps.close("epr", NOON + 5 * MINUTE)
    await store.commit(
        ANN, effects=(), outgoing=(), wakes_at=None, decided_at=NOON + 6 * MINUTE, revision=known.revision
    )
    assert await store.due(NOON + 6 * MINUTE, 9) == [ANN]


async def test_nobody_is_held_where_no_gap_is_open(store: Store) -> None:
    assert not await store.gaps.hold(ANN)
    await store.gaps.found(replace(GAP, epr="other"))
    assert not await store.gaps.hold(ANN)


async def test_marks_are_kept(store: Store) -> None:
    assert await store.gaps.marked("epr", "alive") is None
    await store.gaps.mark("epr", "alive", NOON)
    await store.gaps.mark("epr", "alive", NOON + MINUTE)
    await store.gaps.mark("other", "alive", NOON)
    assert await store.gaps.marked("epr", "alive") == NOON + MINUTE


async def test_what_was_heard_is_kept(store: Store) -> None:
    assert await store.gaps.hearing("epr", "Appointment") is None
    first = Hearing(epr="epr", type="Appointment", heard=NOON, at=NOON)
    then = replace(first, top=7, promised=9, promised_at=NOON, doubtful=True, heard=NOON + MINUTE)
    await store.gaps.heard(first)
    await store.gaps.heard(then)
    assert await store.gaps.hearing("epr", "Appointment") == then
    assert await store.gaps.hearing("epr", "Task") is None
