"""No instant is left out, whatever the clocks do, and none is read twice in one pass."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fhirbridge.service.windows import LONGEST, Span, Window, days, spans_since

LONDON = ZoneInfo("Europe/London")
# Lord Howe changes by half an hour, Havana and Beirut at midnight itself.
ZONES = [LONDON, *map(ZoneInfo, ("Australia/Lord_Howe", "America/Havana", "Asia/Beirut", "Pacific/Apia", "UTC"))]

BEGIN = datetime(2020, 1, 1, tzinfo=UTC)
instants = st.integers(0, 5_000 * 86_400_000).map(lambda passed: BEGIN + timedelta(milliseconds=passed))
windows = st.builds(
    Window,
    past=st.integers(2, 120),
    future=st.integers(2, 120),
    slice=st.integers(1, 31),
    near=st.integers(0, 2),
)


def is_seamless(spans: list[Span]) -> bool:
    ordered = sorted(spans)
    joined = all(one.end == other.start for one, other in pairwise(ordered))
    return joined and all(span.start < span.end for span in ordered)


@given(start=instants, back=st.timedeltas(timedelta(0), timedelta(days=40)))
def test_what_changed_since_is_covered_without_a_seam(start: datetime, back: timedelta) -> None:
    now = start + back
    spans = spans_since(start, now)

    assert is_seamless(spans)
    assert spans[0].start <= start
    assert spans[-1].end > now
    assert spans[-1].end <= now + timedelta(seconds=1)
    assert all(span.end - span.start <= LONGEST for span in spans)


def test_what_is_still_to_come_is_not_asked_for() -> None:
    now = datetime(2026, 3, 2, tzinfo=UTC)
    assert spans_since(now + timedelta(minutes=5), now) == []


@given(now=instants, window=windows, zone=st.sampled_from(ZONES))
def test_a_window_covers_each_of_its_local_days_from_midnight_to_midnight(
    now: datetime, window: Window, zone: ZoneInfo
) -> None:
    spans = window.spans(now, zone)
    today = now.astimezone(zone).date()

    assert is_seamless(spans)
    first, last = today - timedelta(days=window.past), today + timedelta(days=window.future)
    assert min(spans).start.astimezone(zone).date() == first
    assert max(spans).end.astimezone(zone).date() == last + timedelta(days=1)
    assert all(span.end - span.start <= timedelta(days=window.slice + 1) for span in spans)


@given(now=instants, window=windows, zone=st.sampled_from(ZONES))
def test_today_comes_first_and_is_part_of_the_whole(now: datetime, window: Window, zone: ZoneInfo) -> None:
    near = window.near_today(now, zone)

    assert window.spans(now, zone)[: len(near)] == near
    assert is_seamless(near)
    assert near[0].start <= now < near[-1].end


@pytest.mark.parametrize(("day", "hours"), [(date(2026, 3, 29), 23), (date(2026, 10, 25), 25), (date(2026, 7, 1), 24)])
def test_a_day_on_which_the_clocks_change_is_as_long_as_it_is(day: date, hours: int) -> None:
    [span] = days(day, day + timedelta(days=1), 1, LONDON)
    assert span.end - span.start == timedelta(hours=hours)


def test_bounds_are_written_in_utc() -> None:
    [span] = days(date(2026, 7, 1), date(2026, 7, 2), 1, LONDON)
    assert span.bounds == ("ge2026-06-30T23:00:00Z", "lt2026-07-01T23:00:00Z")
