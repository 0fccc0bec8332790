"""The status tables: complete, closed, and ended where FHIR and the service say so."""

import pytest

from fhirbridge.core.effects import Kind
from fhirbridge.core.states import LATE, MOVES, is_terminal, may_follow
from fhirbridge.errors import Defect

TERMINAL = {
    "Task": {"completed", "failed", "rejected", "cancelled", "entered-in-error"},
    "Communication": {"completed", "not-done", "stopped", "entered-in-error"},
    "Flag": {"inactive", "entered-in-error"},
    "CarePlan": {"completed", "revoked", "entered-in-error"},
    "DocumentReference": {"superseded", "entered-in-error"},
}
OPEN = {
    "Task": {"draft", "requested", "received", "accepted", "ready", "in-progress", "on-hold"},
    "Communication": {"preparation", "in-progress", "on-hold", "unknown"},
    "Flag": {"active"},
    "CarePlan": {"draft", "active", "on-hold", "unknown"},
    "DocumentReference": {"current"},
}
TYPES = sorted(TERMINAL)


def test_there_is_a_table_for_everything_the_service_writes() -> None:
    assert MOVES.keys() == {kind.value for kind in Kind} | {"DocumentReference"}
    assert LATE.keys() <= MOVES.keys()


@pytest.mark.parametrize("kind", TYPES)
def test_every_status_of_r4_is_there_and_no_other(kind: str) -> None:
    assert MOVES[kind].keys() == TERMINAL[kind] | OPEN[kind]
    assert {after for following in MOVES[kind].values() for after in following} <= MOVES[kind].keys()


@pytest.mark.parametrize("kind", TYPES)
def test_what_ends_it(kind: str) -> None:
    assert {status for status in MOVES[kind] if is_terminal(kind, status)} == TERMINAL[kind]


@pytest.mark.parametrize("kind", Kind)
def test_the_service_can_end_whatever_is_open(kind: Kind) -> None:
    ways = {"Task": {"completed", "cancelled"}, "Communication": {"completed", "not-done", "stopped"}}
    ways |= {"Flag": {"inactive"}, "CarePlan": {"completed", "revoked"}}
    assert all(may_follow(kind, status, end) for status in OPEN[kind] for end in ways[kind])


@pytest.mark.parametrize("kind", TYPES)
def test_nothing_follows_what_has_ended_but_itself(kind: str) -> None:
    ended = TERMINAL[kind]
    assert {(a, b) for a in ended for b in MOVES[kind] if may_follow(kind, a, b)} == {(a, a) for a in ended}


def test_work_that_somebody_began_is_not_asked_for_again() -> None:
    assert not may_follow("Task", "in-progress", "requested")
    assert not may_follow("Communication", "in-progress", "preparation")


def test_an_invented_status_ends_nothing_and_is_not_moved_on() -> None:
    assert not is_terminal("Task", "bogus")
    assert not may_follow("Task", "bogus", "completed")


def test_a_type_that_the_service_does_not_write_is_a_defect() -> None:
    with pytest.raises(Defect, match="Patient"):
        is_terminal("Patient", "active")
