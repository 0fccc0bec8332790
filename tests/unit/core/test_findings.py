"""The algebra of findings: what holds, since when, because of what, and when that may change."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fhirbridge.core.decision import Reason
from fhirbridge.core.findings import Finding, all_of, any_of, earliest, negated
from fhirbridge.core.history import BEGINNING

T = datetime(2026, 2, 2, 10, tzinfo=UTC)
HOUR = timedelta(hours=1)
YES, NO = Reason("It is so."), Reason("It is not so.")

# All of them, listed: one choice instead of four is drawn several times as fast.
findings = st.sampled_from(
    [
        Finding(holds, since, because, changes_at)
        for holds in (False, True)
        for since in (T + hours * HOUR for hours in range(6))
        for because in ((), (YES,), (NO,), (YES, NO))
        for changes_at in (None, *(T + hours * HOUR for hours in range(6, 10)))
    ]
)
several = st.lists(findings, max_size=4).map(tuple)


def test_all_hold_since_the_last_began_to() -> None:
    found = all_of((Finding(True, T, (YES,)), Finding(True, T + HOUR, (NO,))))
    assert found == Finding(True, T + HOUR, (YES, NO))


def test_not_all_hold_since_the_first_failed() -> None:
    found = all_of((Finding(True, T, (YES,)), Finding(False, T + HOUR, (NO,)), Finding(False, T + 2 * HOUR)))
    assert found == Finding(False, T + HOUR, (NO,))


def test_any_holds_since_the_first_began_to() -> None:
    found = any_of((Finding(False, T, (NO,)), Finding(True, T + 2 * HOUR, (YES,)), Finding(True, T + HOUR)))
    assert found == Finding(True, T + HOUR, (YES,))


def test_none_holds_since_the_last_ceased_to() -> None:
    assert any_of((Finding(False, T, (NO,)), Finding(False, T + HOUR, (NO,)))) == Finding(False, T + HOUR, (NO,))


def test_of_nothing_all_hold_and_none_does() -> None:
    assert all_of(()) == Finding(True, BEGINNING)
    assert any_of(()) == Finding(False, BEGINNING)


def test_the_first_change_counts() -> None:
    parts = (Finding(True, T, changes_at=T + 3 * HOUR), Finding(False, T, changes_at=T + 2 * HOUR), Finding(True, T))
    assert all_of(parts).changes_at == any_of(parts).changes_at == T + 2 * HOUR


@pytest.mark.parametrize(("instants", "first"), [((), None), ((None, None), None), ((T + HOUR, None, T), T)])
def test_earliest_passes_over_what_is_not_given(instants: tuple[datetime | None, ...], first: datetime | None) -> None:
    assert earliest(instants) == first


@given(findings)
def test_turned_round_twice_is_the_same(finding: Finding) -> None:
    assert negated(negated(finding)) == finding
    assert negated(finding).holds is not finding.holds


@given(several)
def test_not_all_is_any_not(parts: tuple[Finding, ...]) -> None:
    left, right = negated(all_of(parts)), any_of(tuple(negated(part) for part in parts))
    assert (left.holds, left.since, left.changes_at) == (right.holds, right.since, right.changes_at)


@given(several)
def test_the_order_of_the_parts_does_not_matter(parts: tuple[Finding, ...]) -> None:
    for join in (all_of, any_of):
        there, back = join(parts), join(parts[::-1])
        assert (there.holds, there.since, there.changes_at) == (back.holds, back.since, back.changes_at)
        assert set(there.because) == set(back.because)


@given(several)
def test_reasons_are_said_once(parts: tuple[Finding, ...]) -> None:
    for join in (all_of, any_of):
        because = join(parts).because
        assert len(because) == len(set(because))
