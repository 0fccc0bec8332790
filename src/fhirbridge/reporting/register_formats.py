"""The safeguarding register as a page with tables, as CSV and as JSON."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from fhirbridge.core.calendar import Calendar
from fhirbridge.fhir.terminology import OUTCOMES, SIGNALS
from fhirbridge.fhir.wording import display
from fhirbridge.reporting.register import Register
from fhirbridge.reporting.sheets import Sheet, Table, data, in_days, lines, named, page


def html(found: Register, calendar: Calendar) -> bytes:
    """A page with a table for each kind of period, and for visits, reviews and what is not known of whom."""
    since = calendar.on_date(found.since)
    tables = [_periods(found, signal, since, calendar) for signal in found.signals]
    return page(
        Sheet(
            title="Safeguarding register",
            told=f"{found.title} ({found.pack} {found.version}). As known on {calendar.at_time(found.until)}.",
            says=(f"Shown is what goes on, or has ended since {since}.",),
            tables=(*tables, _visits(found, since, calendar), _reviews(found, calendar), _unknown(found)),
            unsaid=found.unsaid,
        )
    )


def _periods(found: Register, signal: str, since: str, calendar: Calendar) -> Table:
    return Table(
        title=SIGNALS[signal],
        caption=f"Since {since}, with length",
        empty="Nothing is on record.",
        heads=("Patient", "Began", "Ended", "Length", "Says so", "Not known"),
        rows=tuple(
            (
                named(person.epr, person.patient),
                calendar.at_time(period.since),
                calendar.at_time(period.ended) if period.ended else "goes on",
                in_days(period.length),
                period.source,
                " ".join(period.unsaid) or "nothing",
            )
            for person in found.people
            for period in person.periods
            if period.signal == signal
        ),
    )


def _visits(found: Register, since: str, calendar: Calendar) -> Table:
    return Table(
        title="Visits by an advocate",
        caption=f"In the last 28 days, since {since}",
        empty="Nobody is in the register.",
        heads=("Patient", "Visits", "When"),
        rows=tuple(
            (
                named(person.epr, person.patient),
                str(len(person.visits)),
                "; ".join(calendar.at_time(visit.at) for visit in person.visits) or "none on record",
            )
            for person in found.people
        ),
    )


def _reviews(found: Register, calendar: Calendar) -> Table:
    return Table(
        title="Overdue reviews",
        caption="Reviews not done since they were due",
        empty="No review that the service asked for is overdue.",
        heads=("Patient", "Review", "Clause", "By", "Due since", "Dates missed"),
        rows=tuple(
            (
                named(person.epr, person.patient),
                each.title,
                f"{each.clause} ({each.row})",
                display(each.role),
                calendar.at_time(each.due),
                str(each.missed),
            )
            for person in found.people
            for each in person.overdue
        ),
    )


def _unknown(found: Register) -> Table:
    return Table(
        title="Consent, and what is not known",
        caption="For each person",
        empty="Nobody is in the register.",
        heads=("Patient", "Agrees to be named", "Not known"),
        rows=tuple(
            (
                named(person.epr, person.patient),
                OUTCOMES.get(person.consent, person.consent) if person.consent else "not on record",
                " ".join(person.unsaid) or "nothing",
            )
            for person in found.people
        ),
    )


def table(found: Register, calendar: Calendar) -> bytes:
    """CSV: a line for each period, with what else is known of the person."""
    heads = ("epr", "patient", "signal", "since", "ended", "hours", "source", "advocate-visits", "last-advocate-visit")
    return lines((*heads, "overdue-reviews", "consent", "not-known"), _lines(found))


def _lines(found: Register) -> Iterator[tuple[object, ...]]:
    for person in found.people:
        for period in person.periods:
            yield (
                person.epr,
                person.patient,
                period.signal,
                period.since,
                period.ended,
                int(period.length.total_seconds() // 3600),
                period.source,
                len(person.visits),
                person.visits[-1].at if person.visits else None,
                " ".join(each.row for each in person.overdue),
                person.consent,
                " ".join((*period.unsaid, *person.unsaid, *found.unsaid)),
            )


REGISTER_FORMATS: dict[str, Callable[[Register, Calendar], bytes]] = {"html": html, "csv": table, "json": data}
"""How a register can be written down, by the name of the format."""
