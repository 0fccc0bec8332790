"""The caseload of discharge coordinators as a page with tables, as CSV and as JSON."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from fhirbridge.core.calendar import Calendar
from fhirbridge.reporting.caseload import Caseload
from fhirbridge.reporting.sheets import Sheet, Table, data, lines, named, page


def html(found: Caseload, calendar: Calendar) -> bytes:
    """A page with a table of coordinators and one of people whose tasks nobody owns."""
    over = sum(each.over for each in found.coordinators)
    return page(
        Sheet(
            title="Caseload of discharge coordinators",
            told=f"{found.title} ({found.pack} {found.version}). As known on {calendar.at_time(found.until)}.",
            says=(
                f"One coordinator works with no more than {found.limit} people. Coordinators with more: {over}.",
                f"Open tasks that nobody owns: {found.unallocated_tasks}.",
            ),
            tables=(_coordinators(found), _unallocated(found)),
            unsaid=found.unsaid,
        )
    )


def _coordinators(found: Caseload) -> Table:
    return Table(
        title="Coordinators",
        caption="Those with the most people first",
        empty="Nobody owns an open task of a discharge coordinator.",
        heads=("Coordinator", "People", f"More than {found.limit}", "Open tasks", "Who"),
        rows=tuple(
            (
                named(each.epr, each.coordinator),
                str(len(each.people)),
                "yes" if each.over else "no",
                str(each.tasks),
                ", ".join(each.people),
            )
            for each in found.coordinators
        ),
    )


def _unallocated(found: Caseload) -> Table:
    return Table(
        title="Unallocated",
        caption="People with open tasks that nobody owns",
        empty="Somebody owns every open task.",
        heads=("Patient", "Tasks without an owner", "Has a coordinator for other tasks"),
        rows=tuple(
            (named(each.epr, each.patient), str(each.tasks), "yes" if each.coordinated else "no")
            for each in found.unallocated
        ),
    )


def table(found: Caseload, calendar: Calendar) -> bytes:
    """CSV: a line for each coordinator, and one for the tasks of each EPR that nobody owns, without a coordinator."""
    heads = ("epr", "coordinator", "people", "limit", "over", "tasks", "patients", "not-known")
    return lines(heads, _lines(found))


def _lines(found: Caseload) -> Iterator[tuple[object, ...]]:
    unsaid = " ".join(found.unsaid)
    for each in found.coordinators:
        over = "yes" if each.over else "no"
        patients = " ".join(each.people)
        yield each.epr, each.coordinator, len(each.people), found.limit, over, each.tasks, patients, unsaid
    for epr in dict.fromkeys(each.epr for each in found.unallocated):
        free = [each for each in found.unallocated if each.epr == epr]
        patients = " ".join(each.patient for each in free)
        yield epr, "unallocated", len(free), None, None, sum(each.tasks for each in free), patients, unsaid


CASELOAD_FORMATS: dict[str, Callable[[Caseload, Calendar], bytes]] = {"html": html, "csv": table, "json": data}
"""How a caseload can be written down, by the name of the format."""
