"""How a case file writes instants: `2026-03-02 09:30` (local), `2026-03-02 09:30+00:00`, or a date alone."""

from __future__ import annotations

import re
from datetime import UTC, datetime, time

from fhirbridge.core.calendar import Calendar
from fhirbridge.fhir.located_yaml import Spot

_INSTANT = re.compile(r"\d{4}-\d{2}-\d{2}(?:[ T]\d{2}:\d{2}(?::\d{2})?(?:Z|[+-]\d{2}:\d{2})?)?")
_DATE_ONLY = 10
_END_OF_DAY = time(23, 59, 59)
_MIDNIGHT = time()


def instant(spot: Spot, calendar: Calendar, *, ends: bool = False) -> datetime:
    """The instant written there, UTC. A date alone is its first moment; with `ends`, 23:59:59 of that day.

    Raises:
        ConfigurationError: it is no instant; `file:line` and how to write one are named.
    """
    found = parsed(spot.text(), calendar, ends=ends)
    if found is None:
        spot.fail(f"{spot.text()!r} is no instant: write 2026-03-02 09:30, 2026-03-02 09:30+00:00 or 2026-03-02")
    return found


def parsed(text: str, calendar: Calendar, *, ends: bool = False) -> datetime | None:
    """As `instant`, for a text; None where it is no possible instant."""
    if not _INSTANT.fullmatch(text):
        return None
    try:
        wall = datetime.fromisoformat(text)
    except ValueError:
        return None
    if len(text) == _DATE_ONLY:
        wall = datetime.combine(wall.date(), _END_OF_DAY if ends else _MIDNIGHT)
    return wall.astimezone(UTC) if wall.tzinfo else calendar.instant(wall)


def shown(at: datetime | None, calendar: Calendar) -> str:
    """The instant as a case file writes it."""
    if at is None:
        return "no time"
    wall = calendar.local(at)
    text = f"{wall:%Y-%m-%d %H:%M}"
    if wall.second:
        text += f":{wall:%S}"
    ambiguous = calendar.instant(wall.replace(tzinfo=None, fold=0)) != at.replace(microsecond=0)
    return text + (f"{wall:%z}"[:3] + ":" + f"{wall:%z}"[3:] if ambiguous else "")
