"""When an ask is due, and whether that has passed undone.

A due date that a person set in the EPR stays as they set it. What was written keeps the due date that it has, unless it
is due by an appointment or a discharge that has moved, or the record turns out to begin earlier than was known.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta

from fhirbridge.core.calendar import Calendar
from fhirbridge.core.facts import Task
from fhirbridge.core.history import History
from fhirbridge.core.own import Thing
from fhirbridge.core.policy import Act, Step
from fhirbridge.core.scene import Ask, Scene
from fhirbridge.core.signs import Ending
from fhirbridge.core.spells import TOOK_UP
from fhirbridge.core.vocabulary import ANSWERED

_SAME_INSTANT = timedelta(seconds=1)


class Deadlines:
    """The due dates of one decision; `tasks` are the service's Tasks as the EPR has them, by identity."""

    def __init__(self, calendar: Calendar, tasks: Mapping[str, History[Task]]) -> None:
        self._calendar = calendar
        self._tasks = tasks

    def due(
        self, thing: Thing | None, scene: Scene, step: Step, act: Act, since: datetime, fixed: datetime | None
    ) -> datetime | None:
        """When what is asked for since that instant is due; `fixed` is the end of the period that it recurs in."""
        if act.due is None:
            return None
        persons = self.by_person(thing)
        if persons is not None:
            return persons
        if thing is not None and step.id in thing.steps and act.due_by is None and since >= thing.since:
            return thing.due
        run = scene.run
        written = thing.due if thing is not None else None
        due = fixed or self._calendar.after(run.counted_from if run and act.due_from_start else since, act.due)
        if act.due_by == "first-appointment":
            begun = min(since, thing.since) if thing is not None else since
            unbooked = self._calendar.after(begun, act.due)
            return _first_appointment(scene, begun, unbooked) or unbooked
        if act.due_by == "discharge-date":
            return _discharge_date(scene, since) or written or due
        return min(due, thing.due) if thing is not None and thing.due is not None else due

    def by_person(self, thing: Thing | None) -> datetime | None:
        """The due date that the EPR shows, where the service never wrote it; EPRs may drop parts of a second."""
        task = self._tasks.get(thing.identity) if thing is not None else None
        shown = task.latest.due if task is not None else None
        if thing is None or shown is None or any(abs(shown - due) < _SAME_INSTANT for due in thing.dues):
            return None
        return shown


def lapsed(ask: Ask, ending: Ending | None, now: datetime) -> datetime | None:
    """The due instant, if it has passed before the ending and nothing had answered the ask by then."""
    due = ask.due
    if due is None or due > now or (ending is not None and ending.at <= due):
        return None
    in_time = ask.answer is not None and ask.answer.at <= due and ask.answer.status in ANSWERED
    return None if in_time else due


def _discharge_date(scene: Scene, since: datetime) -> datetime | None:
    """The end that the episode or the stay has recorded ahead."""
    case = scene.course.case
    histories = [h.latest for h in (case.episode, *case.stays) if h is not None]
    ends = [fact.end for fact in histories if fact.status != "finished" and fact.end is not None and fact.end > since]
    return min(ends, default=None)


def _first_appointment(scene: Scene, since: datetime, until: datetime) -> datetime | None:
    """The first appointment of the case after that instant that was not cancelled, and was known of until the other."""
    ahead = (v for v in scene.visits if v.at > since and v.state in TOOK_UP)
    return next((v.at for v in ahead if v.history.stretches[0].known <= until), None)
