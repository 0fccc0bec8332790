"""When what an EPR stored while it told of nothing becomes known, and which gaps are open."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from fhirbridge.core.facts import Source, Team
from fhirbridge.simulation.outages import Outage, arrival, open_gaps

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
FIRST = Outage(since=NOON, until=NOON + 2 * HOUR, types=("CareTeam",))
SECOND = Outage(since=NOON + 2 * HOUR, until=NOON + 3 * HOUR, types=("CareTeam", "Task"))


def team(hours: float) -> Team:
    return Team(source=Source("CareTeam", "t", "1"), known=NOON + hours * HOUR, patient="Patient/p", status="active")


@pytest.mark.parametrize(("stored", "known"), [(-1, -1), (0, 2), (1.5, 2), (2, 2), (3, 3)])
def test_what_was_stored_during_an_outage_is_known_at_its_end(stored: float, known: float) -> None:
    assert arrival(team(stored), [FIRST]) == NOON + known * HOUR


def test_an_outage_that_follows_at_once_hides_it_on() -> None:
    assert arrival(team(1), [SECOND, FIRST]) == NOON + 3 * HOUR


def test_other_types_are_told_of() -> None:
    assert arrival(team(1), [Outage(since=NOON, until=NOON + HOUR, types=("Task",))]) == NOON + HOUR


def test_a_gap_is_open_for_each_type_from_the_beginning_until_the_end() -> None:
    def types(hours: float) -> list[str]:
        return [gap.type for gap in open_gaps([SECOND, FIRST], NOON + hours * HOUR)]

    assert types(-1) == []
    assert types(0) == types(1) == ["CareTeam"]
    assert types(2) == ["CareTeam", "Task"]
    assert types(3) == []
