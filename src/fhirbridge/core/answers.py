"""What Tasks of a case were answered with, whoever asked for them."""

from __future__ import annotations

from datetime import datetime

from fhirbridge.core.attribution import cases_of_task, happened_at
from fhirbridge.core.facts import Source
from fhirbridge.core.own import Own
from fhirbridge.core.spells import Course
from fhirbridge.core.timeline import Record
from fhirbridge.core.vocabulary import ANSWERED, NOT_DONE


def answers(course: Course, record: Record, own: Own, outcomes: frozenset[str]) -> list[tuple[datetime, str, Source]]:
    """When, with which of these outcomes, and by which version Tasks of the case were answered, oldest first."""
    found = []
    for task in record.tasks:
        outcome = task.latest.outcome
        given = outcome is not None and outcome in outcomes and task.latest.status in ANSWERED
        if given and outcome is not None and course.case.id in cases_of_task(task, own, record.cases):
            found.append((happened_at(task), outcome, task.latest.source))
    return sorted(found)


def completed(course: Course, record: Record, own: Own, action: str) -> list[tuple[datetime, Source]]:
    """When, and by which version, Tasks with this action were completed, and not in vain, oldest first."""
    return sorted(
        (happened_at(task), task.latest.source)
        for task in record.tasks
        if action in task.latest.actions
        and task.latest.status == "completed"
        and task.latest.outcome not in NOT_DONE
        and course.case.id in cases_of_task(task, own, record.cases)
    )


def anchor(source: Source, record: Record) -> str:
    """A name for the Task that does not depend on where it is stored: the obligation it was written for, if any."""
    for task in record.tasks:
        if task.latest.source == source and task.latest.obligation is not None:
            return f"obligation:{task.latest.obligation}"
    return source.reference
