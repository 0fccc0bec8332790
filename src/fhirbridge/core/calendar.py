"""Three kinds of time, kept apart by three types, because confusing them is how deadlines go wrong.

*Elapsed time* (`PT24H`) runs through nights, weekends and clock changes. A *local period* (`P1D`, `P3W`, `P1M`) is the
same wall-clock time so many days, weeks or months on. *Working days* (`2WD`) end with the n-th working day after
today. `same day` is the end of the local day. A day ends at 23:59:59 local time.

All instants are UTC; the calendar knows the local zone and the bank holidays it was given, and has a version, because a
running pathway keeps the holidays it started with.
"""

from __future__ import annotations

import re
from calendar import monthrange
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from msgspec import Struct

from fhirbridge.errors import ConfigurationError

_END_OF_DAY = time(23, 59, 59)
_SATURDAY = 5


class Elapsed(Struct, frozen=True):
    """So much time on any clock."""

    seconds: int


class LocalPeriod(Struct, frozen=True):
    """The same local time so many months and days on."""

    months: int = 0
    days: int = 0


class WorkingDays(Struct, frozen=True):
    """The end of the n-th working day after the day it is counted from."""

    days: int


class SameDay(Struct, frozen=True):
    """The end of the local day; of the next one when that very moment is the end of the day already."""


Span = Elapsed | LocalPeriod | WorkingDays | SameDay

_SPAN = re.compile(
    r"^(?:P(?:(?P<months>\d+)M)?(?:(?P<weeks>\d+)W)?(?:(?P<days>\d+)D)?"
    r"|PT(?:(?P<hours>\d+)H)?(?:(?P<minutes>\d+)M)?(?:(?P<seconds>\d+)S)?"
    r"|(?P<working>\d+)WD)$"
)


@lru_cache(maxsize=512)
def span(text: str) -> Span:
    """Read `PT24H`, `P1D`, `P3W`, `P1M`, `2WD` or `same day`; ConfigurationError for anything else."""
    if text == "same day":
        return SameDay()
    match = _SPAN.match(text)
    parts = {name: int(value) for name, value in match.groupdict().items() if value} if match else {}
    if not parts:
        raise ConfigurationError(f"{text!r} is no period: write PT24H, P1D, P3W, P1M, 2WD or 'same day'")
    if "working" in parts:
        return WorkingDays(parts["working"])
    if text.startswith("PT"):
        return Elapsed(parts.get("hours", 0) * 3600 + parts.get("minutes", 0) * 60 + parts.get("seconds", 0))
    return LocalPeriod(months=parts.get("months", 0), days=parts.get("weeks", 0) * 7 + parts.get("days", 0))


def times(period: Span, count: int) -> Span:
    """The period so many times over: counted from one anchor, never chained."""
    match period:
        case LocalPeriod(months=months, days=days):
            return LocalPeriod(months=months * count, days=days * count)
        case Elapsed(seconds=seconds):
            return Elapsed(seconds * count)
        case WorkingDays(days=days):
            return WorkingDays(days * count)
        case SameDay():
            return LocalPeriod(days=count)


def spoken(text: str) -> str:
    """The period in words: `P3W` is "three weeks", `PT24H` "24 hours", `2WD` "two working days"."""
    kind = span(text)
    match kind:
        case SameDay():
            return "the end of the day"
        case WorkingDays(days=days):
            return _count(days, "working day")
        case Elapsed(seconds=seconds):
            return _elapsed_words(seconds)
        case LocalPeriod(months=months, days=days):
            words = [_count(months, "month")] if months else []
            if days and days % 7 == 0:
                words.append(_count(days // 7, "week"))
            elif days or not months:
                words.append(_count(days, "day"))
            return " and ".join(words)


def _elapsed_words(seconds: int) -> str:
    for size, unit in ((3600, "hour"), (60, "minute")):
        if seconds and seconds % size == 0:
            return _count(seconds // size, unit)
    return _count(seconds, "second")


_NUMBERS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")


def _count(number: int, unit: str) -> str:
    shown = _NUMBERS[number] if number < len(_NUMBERS) else str(number)
    return f"{shown} {unit}{'' if number == 1 else 's'}"


class Calendar(Struct, frozen=True):
    """Local time and working days of one place.

    `zone` is an IANA name; `holidays` the dates, besides weekends, on which nobody works; `version` says which list.
    """

    zone: str = "Europe/London"
    holidays: frozenset[date] = frozenset()
    version: str = ""

    def local(self, instant: datetime) -> datetime:
        """The instant on the local wall clock."""
        return instant.astimezone(_zone(self.zone))

    def instant(self, wall: datetime) -> datetime:
        """The instant of a naive local time; a time the clocks skip is moved on by what they skipped."""
        return wall.replace(tzinfo=_zone(self.zone)).astimezone(UTC)

    def end_of_day(self, day: date) -> datetime:
        """23:59:59 local time of that day, as an instant."""
        return self.instant(datetime.combine(day, _END_OF_DAY))

    def start_of_day(self, day: date) -> datetime:
        """Midnight local time at the start of that day, as an instant."""
        return self.instant(datetime.combine(day, time()))

    def is_working(self, day: date) -> bool:
        """Monday to Friday, and no holiday."""
        return day.weekday() < _SATURDAY and day not in self.holidays

    def after(self, since: datetime, period: Span) -> datetime:
        """The instant that lies `period` after `since`."""
        match period:
            case Elapsed(seconds=seconds):
                return since + timedelta(seconds=seconds)
            case LocalPeriod(months=months, days=days):
                wall = self.local(since).replace(tzinfo=None)
                return self.instant(_months_on(wall, months) + timedelta(days=days))
            case WorkingDays(days=days):
                return self.end_of_day(self._working_day_after(self.local(since).date(), days))
            case SameDay():
                day = self.local(since).date()
                end = self.end_of_day(day)
                return end if since < end else self.end_of_day(day + timedelta(days=1))

    def _working_day_after(self, day: date, count: int) -> date:
        while count > 0:
            day += timedelta(days=1)
            if self.is_working(day):
                count -= 1
        return day

    def on_date(self, instant: datetime) -> str:
        """The local date in full: "Monday 2 March 2026"."""
        return _said(self.zone, instant)[0]

    def at_time(self, instant: datetime) -> str:
        """The local date and time in full: "Monday 2 March 2026 at 10:00"."""
        return _said(self.zone, instant)[1]


def _months_on(wall: datetime, months: int) -> datetime:
    if not months:
        return wall
    index = wall.year * 12 + wall.month - 1 + months
    year, month = divmod(index, 12)
    return wall.replace(year=year, month=month + 1, day=min(wall.day, monthrange(year, month + 1)[1]))


@lru_cache(maxsize=16)
def _zone(name: str) -> ZoneInfo:
    return ZoneInfo(name)


@lru_cache(maxsize=65536)
def _said(zone: str, instant: datetime) -> tuple[str, str]:
    """Date, and date and time, in full: sentences name the same few instants over and over."""
    wall = instant.astimezone(_zone(zone))
    on = f"{wall:%A} {wall.day} {wall:%B %Y}"
    return on, f"{on} at {wall:%H:%M}"
