"""What event numbers say about events that did not come."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from msgspec.structs import replace

from fhirbridge.adapters.feeds.counting import PATIENCE, checked, counted, received
from fhirbridge.core.gaps import Cause
from fhirbridge.ports import Hearing

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
LATER = NOON + timedelta(minutes=1)
FIVE = Hearing(epr="main", type="Appointment", heard=NOON, at=NOON, top=5)


def test_numbers_in_their_turn_are_counted() -> None:
    after, skipped = received(FIVE, (6, 7), 7, LATER)
    assert (after, skipped) == (replace(FIVE, heard=LATER, at=LATER, top=7), False)


@pytest.mark.parametrize("numbers", [(7,), (6, 8), (9, 6)])
def test_a_number_that_is_skipped_is_noticed_at_once(numbers: tuple[int, ...]) -> None:
    after, skipped = received(FIVE, numbers, max(numbers), LATER)
    assert skipped
    assert after.top == max(numbers)


def test_the_first_number_says_only_from_where_to_count() -> None:
    after, skipped = received(replace(FIVE, top=None), (40,), 40, LATER)
    assert (after.top, skipped) == (40, False)


def test_an_event_that_comes_again_changes_nothing_but_raises_a_doubt() -> None:
    after, skipped = received(FIVE, (4,), 4, LATER)
    assert (after.top, after.at, after.doubtful, skipped) == (5, NOON, True, False)
    assert checked(after, 5, LATER) == (replace(FIVE, heard=LATER), None)


def test_a_count_that_began_anew_is_told_from_an_event_that_comes_again() -> None:
    doubtful, _ = received(FIVE, (1,), 1, LATER)
    after, cause = checked(doubtful, 2, LATER)
    assert (cause, after.top, after.doubtful) == (Cause.RESET, 2, False)


def test_where_the_count_cannot_be_asked_for_a_doubt_is_a_reset() -> None:
    doubtful, _ = received(FIVE, (1,), 1, LATER)
    after, cause = checked(doubtful, None, LATER)
    assert (cause, after.top, after.doubtful) == (Cause.RESET, None, False)
    assert checked(after, None, LATER) == (after, None)


def test_a_heartbeat_that_counts_less_raises_a_doubt() -> None:
    assert counted(FIVE, 3, LATER).doubtful
    assert not counted(FIVE, 5, LATER).doubtful


def test_the_last_event_is_missed_when_the_epr_counts_further() -> None:
    promised = counted(FIVE, 6, LATER)
    assert (promised.promised, promised.promised_at) == (6, LATER)
    assert checked(promised, None, LATER + PATIENCE / 2)[1] is None
    after, cause = checked(promised, None, LATER + PATIENCE)
    assert (cause, after.top, after.promised_at) == (Cause.NUMBERS, 6, None)
    assert checked(after, 6, LATER + 2 * PATIENCE) == (after, None)


def test_an_event_that_was_on_its_way_is_not_missed() -> None:
    promised, _ = checked(FIVE, 6, LATER)
    came, skipped = received(promised, (6,), 6, LATER)
    assert not skipped
    assert checked(came, 6, LATER + 2 * PATIENCE)[1] is None


def test_a_stream_of_events_hides_none_that_was_missed() -> None:
    """What was promised first is waited for, however often the count goes on."""
    promised = counted(FIVE, 6, NOON)
    again = counted(promised, 7, NOON + PATIENCE / 2)
    assert checked(again, 8, NOON + PATIENCE)[1] is Cause.NUMBERS


def test_the_count_at_the_first_check_is_where_it_begins() -> None:
    after, cause = checked(replace(FIVE, top=None), 12, LATER)
    assert (after.top, cause) == (12, None)
