"""Which record survives, and what the records come to under it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from fhirbridge.core.effects import AnyEffect, HandedOver, Key, Kind, Withdrawal, Written
from fhirbridge.core.facts import AnyFact, Appointment, AppointmentState, Person, Source, Task
from fhirbridge.core.merging import Link, Merged, doubts, groups, links, moves, said, survivors, united
from fhirbridge.core.own import fold
from fhirbridge.core.timeline import Record

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
A, B, C = "Patient/a", "Patient/b", "Patient/c"


def by(replaced: str, survivor: str, said_by: str = "") -> Link:
    return Link(said_by or replaced, replaced, survivor)


def person(patient: str, version: int = 1, **fields: object) -> Person:
    source = Source("Patient", patient.removeprefix("Patient/"), str(version))
    return Person(source=source, known=NOON + version * HOUR, patient=patient, **fields)  # type: ignore[arg-type]


def visit(patient: str, version: int = 1, state: AppointmentState = AppointmentState.MISSED) -> Appointment:
    source = Source("Appointment", "x", str(version))
    return Appointment(source=source, known=NOON + version * HOUR, patient=patient, state=state, start=NOON)


@pytest.mark.parametrize(
    ("found", "ends"),
    [
        ([], {}),
        ([by(A, B)], {A: B}),
        ([by(A, B), by(B, C)], {A: C, B: C}),
        ([by(A, B, said_by=B)], {A: B}),
        ([by(A, A)], {}),
        ([by(A, B), by(B, A)], {}),
        ([by(A, B), by(B, C), by(C, B)], {}),
        ([by(A, B), by(A, C, said_by=C)], {A: B}),
    ],
    ids=["none", "one", "chain", "by the other", "by itself", "circle", "into a circle", "its own word counts"],
)
def test_who_survives(found: list[Link], ends: dict[str, str]) -> None:
    assert survivors(found) == ends
    assert survivors(reversed(found)) == ends


def test_a_group_is_all_that_was_ever_linked() -> None:
    assert groups([by(A, B), by(C, B)]) == {A: A, B: A, C: A}
    assert groups([by(B, C)]) == {B: B, C: B}


def test_only_the_latest_version_of_a_patient_says_anything() -> None:
    assert links([person(A, 2), person(A, 1, replaced_by=B)]) == frozenset()
    assert links([person(B, 1, replaces=(A, C))]) == {by(A, B, said_by=B), by(C, B, said_by=B)}
    assert list(said(person(A, 1, replaced_by=B, erased=True))) == []


@pytest.mark.parametrize(("survivor", "replaced"), [(A, B), (B, A)])
def test_the_facts_of_all_count_and_of_the_patients_the_survivor_s_own_speaks(survivor: str, replaced: str) -> None:
    mine, other = person(survivor, 1), person(replaced, 1, deceased=True)
    records = [Merged(replaced, (other, visit(replaced)), ()), Merged(survivor, (mine,), ())]
    one = united(survivor, records, NOON)

    assert {fact.patient for fact in one.facts} == {survivor}
    assert Record.of(one.facts).person == mine
    assert len(Record.of(one.facts).visits) == 1


def written(patient: str, identity: str, kind: Kind, case: str) -> list[AnyEffect]:
    key = Key(patient=patient, case=case, pack="p", kind=kind, action="act", role="gp", scope="start")
    effect = Written(identity=identity, at=NOON, key=key, run="r", pathway="w", steps=("s",), since=NOON)
    return [effect, HandedOver(identity=identity, at=NOON)] if kind is Kind.COMMUNICATION else [effect]


def test_what_was_done_for_the_others_counts_as_done_for_the_survivor() -> None:
    answered = Task(
        source=Source("Task", "t", "2"),
        known=NOON,
        patient=A,
        status="completed",
        obligation="answered",
        actions=("act",),
    )
    effects = [
        *written(A, "open", Kind.TASK, "EpisodeOfCare/e"),
        *written(A, "answered", Kind.TASK, A),
        *written(A, "sent", Kind.COMMUNICATION, A),
    ]
    one = united(B, [Merged(A, (answered,), tuple(effects)), Merged(B, (person(B),), ())], NOON)

    things = fold(one.effects).things
    assert {thing.key.patient for thing in things.values()} == {B}
    assert {name: thing.key.case for name, thing in things.items()} == {
        "open": "EpisodeOfCare/e",
        "answered": B,
        "sent": B,
    }
    assert {name: thing.reason for name, thing in things.items()} == {
        "open": Withdrawal.MERGED,
        "answered": None,
        "sent": None,
    }


def test_where_the_survivor_was_never_heard_of_the_replaced_patient_speaks() -> None:
    one = united(B, [Merged(A, (person(A, 1, practitioners=("Organization/gp",)),), ())], NOON)

    found = Record.of(one.facts).person
    assert found is not None
    assert (found.patient, found.practitioners) == (B, ("Organization/gp",))


def test_what_is_about_somebody_else_now_never_was_about_the_first() -> None:
    first, second, third = visit(A, 1), visit(B, 2), visit(A, 3)
    assert [(gone.patient, gone.known, gone.erased) for gone in moves([second, first])] == [(A, second.known, True)]
    assert [gone.patient for gone in moves([first, second, third])] == [A, B]
    assert list(moves([first, visit(A, 2)])) == []


def test_within_the_survivor_s_record_nothing_has_moved() -> None:
    first, second = visit(A, 1), visit(B, 2)
    facts: tuple[AnyFact, ...] = (first, *moves([first, second]))
    one = united(B, [Merged(A, facts, ()), Merged(B, (second,), ())], NOON)

    (history,) = Record.of(one.facts).sources.values()
    assert len(history.stretches) == 1


@pytest.mark.parametrize(
    ("fields", "doubtful"),
    [
        ({}, False),
        ({"active": False}, True),
        ({"active": False, "deceased": True}, False),
        ({"active": False, "replaced_by": B}, False),
    ],
)
def test_an_inactive_record_that_names_no_other_leaves_a_doubt(fields: dict[str, object], doubtful: bool) -> None:
    assert bool(doubts(Record.of([person(A, 1, **fields)]))) is doubtful
