"""What every `ports.Merges` keeps to, in memory, on SQLite and on PostgreSQL."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from fhirbridge.core.merging import Link
from fhirbridge.ports import Store, Subject

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
LATER = NOON + timedelta(hours=1)
OLD, MIDDLE, NEW, APART = (f"Patient/{name}" for name in ("old", "middle", "new", "apart"))
OLD_TO_MIDDLE = Link(OLD, OLD, MIDDLE)
MIDDLE_TO_NEW = Link(NEW, MIDDLE, NEW)


def subject(patient: str, epr: str = "epr") -> Subject:
    return Subject(epr, patient)


async def linked(store: Store, patient: str, epr: str = "epr") -> set[Link]:
    return set(await store.merges.linked(subject(patient, epr)))


async def test_what_is_said_is_found_from_every_side_over_any_number_of_links(store: Store) -> None:
    await store.merges.claim(subject(OLD), [OLD_TO_MIDDLE], NOON)
    await store.merges.claim(subject(NEW), [MIDDLE_TO_NEW], NOON)
    await store.merges.claim(subject(APART), [], NOON)

    for patient in (OLD, MIDDLE, NEW):
        assert await linked(store, patient) == {OLD_TO_MIDDLE, MIDDLE_TO_NEW}
    assert await linked(store, APART) == set()
    assert await linked(store, OLD, "other") == set()


async def test_what_is_known_about_a_patient_carries_the_links_that_name_them(store: Store) -> None:
    await store.merges.claim(subject(OLD), [OLD_TO_MIDDLE], NOON)
    await store.merges.claim(subject(NEW), [MIDDLE_TO_NEW], NOON)

    assert (await store.load(subject(OLD))).links == {OLD_TO_MIDDLE}
    assert (await store.load(subject(MIDDLE))).links == {OLD_TO_MIDDLE, MIDDLE_TO_NEW}
    assert (await store.load(subject(APART))).links == frozenset()


async def test_what_a_record_says_takes_the_place_of_what_it_said(store: Store) -> None:
    await store.merges.claim(subject(OLD), [OLD_TO_MIDDLE], NOON)
    await store.merges.claim(subject(OLD), [Link(OLD, OLD, NEW)], NOON)
    assert await linked(store, OLD) == {Link(OLD, OLD, NEW)}

    await store.merges.claim(subject(OLD), [], NOON)
    assert await linked(store, NEW) == set()


async def test_whoever_is_named_by_what_changes_is_due_and_the_record_itself_is_not(store: Store) -> None:
    await store.merges.claim(subject(OLD), [OLD_TO_MIDDLE], NOON)
    assert await store.due(NOON, 10) == [subject(MIDDLE)]

    await store.merges.claim(subject(OLD), [Link(OLD, OLD, NEW)], LATER)
    assert set(await store.due(LATER, 10)) == {subject(MIDDLE), subject(NEW)}


async def test_saying_the_same_again_makes_nobody_due(store: Store) -> None:
    await store.merges.claim(subject(OLD), [OLD_TO_MIDDLE], NOON)
    known = await store.load(subject(MIDDLE))
    await store.commit(
        subject(MIDDLE), effects=(), outgoing=(), wakes_at=None, decided_at=NOON, revision=known.revision
    )

    await store.merges.claim(subject(OLD), [OLD_TO_MIDDLE], LATER)
    assert await store.due(LATER, 10) == []
    await store.merges.wake(subject(MIDDLE), LATER)
    assert await store.due(LATER, 10) == [subject(MIDDLE)]
