"""What a person makes of a step on the service's own worklist: the Task as an EPR would hold it afterwards.

It has to say what the mapping of any EPR would read there: the status, the outcome, when it happened; and for people,
who said so.
"""

from __future__ import annotations

from datetime import datetime

from msgspec import Struct

from fhirbridge.core.calendar import Calendar
from fhirbridge.core.states import is_terminal, may_follow
from fhirbridge.core.vocabulary import ANSWERED, OUTCOMES
from fhirbridge.errors import SenderError
from fhirbridge.fhir import canonical
from fhirbridge.fhir.r4 import Resource
from fhirbridge.fhir.render.elements import concept, local


class Completion(Struct, frozen=True, kw_only=True):
    """What came of a step, as a person says.

    `by` is their name, as the record shall show it; `status` is `completed`, `failed` or `rejected`; `outcome` a code
    of the outcome system; `happened` when it was done, by default when it is said.
    """

    by: str
    status: str = "completed"
    outcome: str = ""
    note: str = ""
    happened: datetime | None = None


def completed(task: Resource, completion: Completion, now: datetime, calendar: Calendar) -> Resource:
    """The Task with what the person says came of it.

    Raises:
        SenderError: it is no Task, it has ended already, or what is said of it cannot be.
    """
    _check(task, completion, now)
    happened = completion.happened or now
    period = {**task.get("executionPeriod", {}), "end": local(happened, calendar)}
    changed = {**task, "status": completion.status, "executionPeriod": period, "lastModified": local(now, calendar)}
    if completion.outcome:
        output = {
            "type": concept(canonical.TASK_OUTPUT, "outcome", text="outcome"),
            "valueCodeableConcept": concept(canonical.OUTCOME, completion.outcome),
        }
        changed["output"] = [*task.get("output", []), output]
    says = completion.note.strip() or f"{completion.status.capitalize()} on the worklist."
    note = {"authorString": completion.by, "time": local(now, calendar), "text": says}
    changed["note"] = [*task.get("note", []), note]
    return changed


def _check(task: Resource, completion: Completion, now: datetime) -> None:
    status = str(task.get("status", ""))
    if task.get("resourceType") != "Task":
        raise SenderError("only a Task is a step that can be completed", place="reference", issue="not-supported")
    if not completion.by.strip():
        raise SenderError("say who did it", place="by", issue="required")
    if completion.status not in ANSWERED:
        known = ", ".join(sorted(ANSWERED))
        raise SenderError(f"{completion.status[:40]!r} is no way to end a step: use {known}", place="status")
    if completion.outcome and completion.outcome not in OUTCOMES:
        known = ", ".join(sorted(OUTCOMES))
        raise SenderError(
            f"{completion.outcome[:40]!r} is no outcome: use {known}", place="outcome", issue="code-invalid"
        )
    if completion.happened is not None and completion.happened > now:
        raise SenderError("what has not happened yet cannot be completed", place="happened", issue="value")
    if is_terminal("Task", status) or not may_follow("Task", status, completion.status):
        ended = f"the step is {status}: it cannot become {completion.status}"
        raise SenderError(ended, place="status", issue="conflict")
