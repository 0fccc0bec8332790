"""A report as a page with charts, as CSV and as JSON."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime

import jinja2
from markupsafe import Markup

from fhirbridge.core.calendar import Calendar
from fhirbridge.fhir.wording import display
from fhirbridge.reporting.charts import PARTS, chart
from fhirbridge.reporting.duties import State
from fhirbridge.reporting.figures import Figures, Report
from fhirbridge.reporting.sheets import data, lines

_STATES = {
    State.IN_TIME: "in time",
    State.LATE: "late",
    State.NOT_DONE: "not done",
    State.WITHDRAWN: "withdrawn",
    State.OPEN: "not due yet",
}


def html(report: Report, calendar: Calendar) -> bytes:
    """A page by itself: styles, charts and tables are inside, nothing is fetched."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("fhirbridge.reporting", "."), autoescape=True, undefined=jinja2.StrictUndefined
    )
    environment.filters["role"] = lambda role: display(role) if role else ""
    environment.filters["instant"] = lambda at: calendar.at_time(at) if at else ""
    environment.filters["state"] = _STATES.__getitem__
    midnight = datetime.min.time()
    first, last = (
        calendar.on_date(calendar.instant(datetime.combine(day, midnight)))
        for day in (report.period.first, report.period.last)
    )
    page = environment.get_template("page.html").render(
        report=report,
        parts=PARTS,
        period=f"{first} to {last}",
        first=first,
        last=last,
        until=calendar.at_time(report.until),
        heads=_heads,
        cells=_cells,
        overview=Markup(  # noqa: S704  # drawn by us, with every label escaped
            chart(((team.name, team.figures) for team in report.teams), "chart-all", "What was due, by team")
        ),
        charts=[
            Markup(  # noqa: S704  # see above
                chart(
                    ((clause.row, clause.figures) for clause in team.clauses),
                    f"chart-{number}",
                    f"What was due for {team.name}, by clause",
                )
            )
            for number, team in enumerate(report.teams, start=1)
        ],
    )
    return page.encode()


def _heads(first: str) -> Markup:
    names = (first, "Due", "In time", "Late", "Not done", "Withdrawn", "Not due yet")
    cells = Markup("").join(Markup('<th scope="col">{}</th>').format(name) for name in names)
    return Markup("<thead><tr>{}</tr></thead>").format(cells)


def _cells(figures: Figures) -> Markup:
    counts = (getattr(figures, name) for name in Figures.__struct_fields__)
    return Markup("").join(Markup("<td>{}</td>").format(count) for count in counts)


def table(report: Report, calendar: Calendar) -> bytes:
    """CSV: a line for each team and ledger row; for each state the cases behind the figure, with spaces between."""
    heads = ("team", "row", "clause", *Figures.__struct_fields__, *(f"{state}-cases" for state in State))
    return lines(heads, _lines(report))


def _lines(report: Report) -> Iterator[tuple[object, ...]]:
    for team in report.teams:
        for clause in team.clauses:
            cases = (
                " ".join(dict.fromkeys(duty.patient for duty in clause.duties if duty.state is state))
                for state in State
            )
            counts = (getattr(clause.figures, name) for name in Figures.__struct_fields__)
            yield team.name, clause.row, clause.clause, *counts, *cases


FORMATS: dict[str, Callable[[Report, Calendar], bytes]] = {"html": html, "csv": table, "json": data}
"""How a report can be written down, by the name of the format."""
