"""FHIR's dates and times: which are possible, and which instant or day they stand for.

FHIR R4 (datatypes, date, dateTime, instant) knows any offset, `Z`, fractions of a second of any length, a leap second,
and dates of which only the year or the month is known. What is possible for a person or a service is narrower than
what can be written: outside the years 1800 to 2999 a date is a slip of the keyboard, and near the ends of Python's
calendar it would overflow as soon as a time zone is applied. The year 9999 alone has a meaning, "no end", which many
systems write where R4 would leave Period.end out.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta, tzinfo

from fhirbridge.errors import SenderError
from fhirbridge.fhir.wording import shown

_DATE = re.compile(r"\d{4}(-\d{2}(-\d{2})?)?", re.ASCII)
_INSTANT = re.compile(
    r"\d{4}-\d{2}-\d{2}T([01]\d|2[0-3]):[0-5]\d:([0-5]\d|60)(\.\d+)?(Z|[+-](0\d|1[0-3]):[0-5]\d|[+-]14:00)", re.ASCII
)
_EARLIEST, _LATEST, _NO_END = "1800", "2999", "9999"
_FULL_DATE, _MONTH, _DECEMBER = 10, 7, 12
_ONE_SECOND = timedelta(seconds=1)


def flaw_in_instant(value: object) -> str:
    """Why `value` is not a possible FHIR instant; "" when it is."""
    if not isinstance(value, str) or not _INSTANT.fullmatch(value):
        return f"{shown(value)} is not an instant; write it like 2026-03-02T09:30:00Z, with an offset"
    return _impossible(value)


def flaw_in_date(value: object) -> str:
    """Why `value` is not a possible FHIR date (YYYY, YYYY-MM or YYYY-MM-DD); "" when it is."""
    if not isinstance(value, str) or not _DATE.fullmatch(value):
        return f"{shown(value)} is not a date; write it like 2026-03-02"
    return _impossible(value)


def flaw_in_date_time(value: object) -> str:
    """Why `value` is not a possible FHIR dateTime, partial or full; "" when it is."""
    if isinstance(value, str) and (_INSTANT.fullmatch(value) or _DATE.fullmatch(value)):
        return _impossible(value)
    return f"{shown(value)} is not a dateTime; write it like 2026-03-02 or 2026-03-02T09:30:00Z"


def flaw_in_end(value: object) -> str:
    """Why `value` is not a possible Period.end; "" when it is. The year 9999 is: it says that there is no end."""
    if isinstance(value, str) and value.startswith(_NO_END) and (_INSTANT.fullmatch(value) or _DATE.fullmatch(value)):
        return ""
    return flaw_in_date_time(value)


def _impossible(value: str) -> str:
    try:
        if len(value) > _FULL_DATE:
            _parsed(value)
        else:
            _first_day(value)
    except ValueError:
        return f"{value} is not possible: the calendar has no such day or time"
    if _EARLIEST <= value[:4] <= _LATEST:
        return ""
    return f"{value} is not possible: the year must be from {_EARLIEST} to {_LATEST}"


def to_instant(value: object, zone: tzinfo) -> datetime:
    """The UTC instant of a FHIR dateTime or instant; a date without time is the first moment of it in `zone`.

    Raises SenderError when it is not a possible dateTime.
    """
    if isinstance(value, str) and value[10:11] == "T" and _EARLIEST <= value[:4] <= _LATEST:
        try:
            parsed = datetime.fromisoformat(value)
        except ValueError:
            parsed = _parsed(_checked(value, flaw_in_date_time))
        if parsed.tzinfo is UTC:
            return parsed
        if parsed.tzinfo is not None:
            return parsed.astimezone(UTC)
    text = _checked(value, flaw_in_date_time)
    return datetime.combine(_first_day(text), time(), zone).astimezone(UTC)


def to_end(value: object, zone: tzinfo) -> datetime | None:
    """The UTC instant at which a Period.end is over; None when the year 9999 says that there is no end.

    FHIR R4 (datatypes, Period): an end without time includes all of that day, month or year, so it is the last second
    of it in `zone`. Raises SenderError when it is not a possible dateTime.
    """
    if isinstance(value, str) and value.startswith(_NO_END) and not flaw_in_end(value):
        return None
    if isinstance(value, str) and len(value) <= _FULL_DATE:
        last = _last_day(_checked(value, flaw_in_date_time))
        return datetime.combine(last, time(23, 59, 59), zone).astimezone(UTC)
    return to_instant(value, zone)


def to_birth_date(value: object) -> date:
    """The day of birth. Where only the year or month is known, the last day of it: nobody counts as grown up too soon.

    Raises SenderError when it is not a possible date.
    """
    return _last_day(_checked(value, flaw_in_date))


def _checked(value: object, flaw: Callable[[object], str]) -> str:
    said = flaw(value)
    if said or not isinstance(value, str):
        raise SenderError(said, issue="value")
    return value


def _parsed(text: str) -> datetime:
    if text[17:19] == "60":  # a leap second; Python's calendar has none, so it is the first moment after it
        return datetime.fromisoformat(f"{text[:17]}59{text[19:]}") + _ONE_SECOND
    parsed = datetime.fromisoformat(text)
    if parsed.tzinfo is None:
        raise ValueError(text)
    return parsed


def _first_day(text: str) -> date:
    return date.fromisoformat(text + "-01-01"[len(text) - 4 :] if len(text) < _FULL_DATE else text)


def _last_day(text: str) -> date:
    first = _first_day(text)
    if len(text) == _FULL_DATE:
        return first
    month = first.month if len(text) == _MONTH else _DECEMBER
    if month == _DECEMBER:
        return date(first.year, _DECEMBER, 31)
    return date(first.year, month + 1, 1) - timedelta(days=1)
