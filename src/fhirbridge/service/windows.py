"""Which stretches of time to read, so that none is left out: pure.

A span begins at its start and ends just before its end, which is where the next one begins. Spans are small, because
the fewer pages an answer has, the less can slip from one to another while it is read.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from msgspec import Struct

LONGEST = timedelta(days=1)
"""How much of the past one search by `_lastUpdated` covers at most."""

_SECOND = timedelta(seconds=1)
_DAY = timedelta(days=1)


class Span(Struct, frozen=True, order=True):
    """From `start` to just before `end`: instants in UTC, to the second."""

    start: datetime
    end: datetime

    @property
    def bounds(self) -> tuple[str, str]:
        """The span as two values of a FHIR search parameter (R4, search.html#date)."""
        return f"ge{self.start:%Y-%m-%dT%H:%M:%SZ}", f"lt{self.end:%Y-%m-%dT%H:%M:%SZ}"


class Window(Struct, frozen=True, kw_only=True):
    """Which days are read again and again, counted from today in local time: `past` before it, `future` after it.

    A search covers `slice` days. The days up to `near` before and after today, on which most is written down, are read
    more often than the rest.
    """

    past: int = 28
    future: int = 90
    slice: int = 7
    near: int = 2

    def spans(self, now: datetime, zone: ZoneInfo) -> list[Span]:
        """The whole window, today's neighbourhood first."""
        today = now.astimezone(zone).date()
        near = self.near_today(now, zone)
        before = days(today - self.past * _DAY, today - self.near * _DAY, self.slice, zone)
        after = days(today + (self.near + 1) * _DAY, today + (self.future + 1) * _DAY, self.slice, zone)
        return [*near, *reversed(before), *after]

    def near_today(self, now: datetime, zone: ZoneInfo) -> list[Span]:
        """The days around today."""
        today = now.astimezone(zone).date()
        return days(today - self.near * _DAY, today + (self.near + 1) * _DAY, self.slice, zone)


def spans_since(start: datetime, now: datetime, longest: timedelta = LONGEST) -> list[Span]:
    """Everything from `start` until now, the oldest first; nothing where `start` is still to come."""
    begin = _floor(start)
    end = _floor(now) + _SECOND
    spans = []
    while begin < end:
        spans.append(Span(begin, min(begin + longest, end)))
        begin += longest
    return spans


def days(first: date, end: date, at_once: int, zone: ZoneInfo) -> list[Span]:
    """The days from `first` until before `end`, from midnight to midnight of local time, `at_once` days a span."""
    starts = [first + number * _DAY for number in range(0, (end - first).days, at_once)]
    return [Span(_midnight(start, zone), _midnight(min(start + at_once * _DAY, end), zone)) for start in starts]


def _midnight(day: date, zone: ZoneInfo) -> datetime:
    return datetime.combine(day, time(), zone).astimezone(UTC)


def _floor(moment: datetime) -> datetime:
    return moment.astimezone(UTC).replace(microsecond=0)
