"""Duties → the figures of a period: for each team and clause, how many were due, and what became of them."""

from __future__ import annotations

import re
from calendar import monthrange
from collections.abc import Iterable
from datetime import date, datetime

from msgspec import Struct

from fhirbridge.core.calendar import Calendar
from fhirbridge.errors import SenderError
from fhirbridge.reporting.duties import Duty, State

_QUARTER = re.compile(r"(\d{4})-Q([1-4])", re.IGNORECASE)


class Period(Struct, frozen=True):
    """Whole local days, the first and the last of them."""

    first: date
    last: date

    def holds(self, at: datetime, calendar: Calendar) -> bool:
        """Whether the instant lies in it."""
        return self.first <= calendar.local(at).date() <= self.last


class Figures(Struct, frozen=True):
    """How many duties there were, and what became of them; `due` is the sum of the others."""

    due: int
    in_time: int
    late: int
    not_done: int
    withdrawn: int
    open: int


class Clause(Struct, frozen=True, kw_only=True):
    """The figures of one row of the ledger, with the duties behind them."""

    row: str
    clause: str
    titles: tuple[str, ...]
    figures: Figures
    duties: tuple[Duty, ...]


class Team(Struct, frozen=True, kw_only=True):
    """The figures of one team, all together and for each clause."""

    name: str
    figures: Figures
    clauses: tuple[Clause, ...]


class Report(Struct, frozen=True, kw_only=True):
    """A period under one pack, as known at `until`."""

    pack: str
    version: str
    title: str
    period: Period
    until: datetime
    figures: Figures
    teams: tuple[Team, ...]


def quarter(text: str) -> Period:
    """A quarter of the calendar year: `2026-Q1` is January to March.

    Raises:
        SenderError: it is none.
    """
    match = _QUARTER.fullmatch(text.strip())
    if match is None or not int(match[1]):
        raise SenderError(
            f"{text[:20]!r} is no quarter; write the year and the quarter, e.g. 2026-Q1", place="--quarter"
        )
    year, last = int(match[1]), 3 * int(match[2])
    return Period(date(year, last - 2, 1), date(year, last, monthrange(year, last)[1]))


def report(
    duties: Iterable[Duty],
    rows: Iterable[str],
    period: Period,
    calendar: Calendar,
    *,
    pack: str,
    version: str,
    title: str,
    until: datetime,
) -> Report:
    """The duties that were due in the period, by team and then by ledger row, in the order of `rows`."""
    order = {row: index for index, row in enumerate(dict.fromkeys(rows))}
    counting = [duty for duty in duties if period.holds(duty.due, calendar)]
    teams: dict[str, dict[str, list[Duty]]] = {}
    for duty in counting:
        teams.setdefault(duty.team, {}).setdefault(duty.row, []).append(duty)
    return Report(
        pack=pack,
        version=version,
        title=title,
        period=period,
        until=until,
        figures=_figures(counting),
        teams=tuple(
            Team(
                name=name,
                figures=_figures(duty for several in of.values() for duty in several),
                clauses=tuple(_clause(row, of[row]) for row in sorted(of, key=lambda row: order.get(row, len(order)))),
            )
            for name, of in sorted(teams.items())
        ),
    )


def _clause(row: str, duties: list[Duty]) -> Clause:
    ordered = tuple(sorted(duties, key=lambda duty: (duty.due, duty.patient, duty.identity)))
    titles = tuple(dict.fromkeys(duty.title for duty in ordered))
    return Clause(row=row, clause=ordered[0].clause, titles=titles, figures=_figures(ordered), duties=ordered)


def _figures(duties: Iterable[Duty]) -> Figures:
    """Each thing counts once in the figures of a team, whichever rows ask for it."""
    states = {duty.identity: duty.state for duty in duties}
    found = list(states.values())
    return Figures(
        due=len(found),
        in_time=found.count(State.IN_TIME),
        late=found.count(State.LATE),
        not_done=found.count(State.NOT_DONE),
        withdrawn=found.count(State.WITHDRAWN),
        open=found.count(State.OPEN),
    )
