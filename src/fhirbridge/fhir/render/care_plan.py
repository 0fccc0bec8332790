"""CarePlan: what several steps add up to (R4, `CarePlan`).

Its activities are its points, each with its state, and then its Tasks: by R4's cpl-3 an activity has either a detail or
a reference. R4 gives a CarePlan no statusReason: why it ended is in a note, and in the Provenance.
"""

from __future__ import annotations

from collections.abc import Iterable

from fhirbridge.core.decision import Amend, Complete, Create, Obligation, Withdraw
from fhirbridge.core.effects import Kind, Point, Withdrawal
from fhirbridge.fhir import canonical
from fhirbridge.fhir.r4 import Resource
from fhirbridge.fhir.render.elements import beginning, concept, local, thing_reference, withdrawal_text
from fhirbridge.fhir.render.form import Form
from fhirbridge.fhir.render.setting import Rendering

_RAN_ITS_COURSE = frozenset({Withdrawal.RE_ENGAGED, Withdrawal.DISCHARGED})
"""Reasons under which a plan was right while it lasted, and is over; under any other it is revoked."""

_LEFT_OPEN = {"not-started": "cancelled", "in-progress": "stopped"}
"""What becomes of a point that was still open when the plan ended."""


def _create(write: Create, setting: Rendering) -> Resource:
    obligation = write.obligation
    resource = beginning(Kind.CARE_PLAN, obligation.identity)
    resource["instantiatesCanonical"] = [obligation.canonical]
    resource["status"] = "active"
    resource["intent"] = "plan"
    resource["category"] = [concept(canonical.ACTION, obligation.action)]
    resource["title"] = obligation.title
    if obligation.description:
        resource["description"] = obligation.description
    resource["subject"] = {"reference": obligation.key.patient}
    resource["period"] = {"start": local(min(obligation.since, setting.now), setting.calendar)}
    resource["created"] = local(setting.now, setting.calendar)
    return resource | _activity(obligation)


def _amend(write: Amend, setting: Rendering) -> Resource:
    described = {"description": write.obligation.description} if write.obligation.description else {}
    return {"title": write.obligation.title, **described, **_activity(write.obligation)}


def _complete(write: Complete, setting: Rendering) -> Resource:
    answer = write.obligation.answer
    return _ended("completed", f"Answered by {answer.reference}." if answer else "Done.", setting)


def _withdraw(write: Withdraw, setting: Rendering) -> Resource:
    status = "completed" if write.reason in _RAN_ITS_COURSE else "revoked"
    left = [Point(p.name, p.title, _LEFT_OPEN.get(p.state, p.state)) for p in write.thing.points]
    return _ended(status, withdrawal_text(write.reason, write.because), setting) | _listed(_details(left))


def _ended(status: str, why: str, setting: Rendering) -> Resource:
    now = local(setting.now, setting.calendar)
    return {"status": status, "period": {"end": now}, "note": [{"time": now, "text": why}]}


def described(point: Point) -> str:
    """What a point is called in the plan, by which its activity is found again."""
    return f"Point {point.name}: {point.title}"


def _activity(obligation: Obligation) -> Resource:
    tasks = [{"reference": thing_reference(Kind.TASK, task)} for task in obligation.activities]
    return _listed([*_details(obligation.points), *tasks])


def _details(points: Iterable[Point]) -> list[Resource]:
    return [{"detail": {"status": point.state, "description": described(point)}} for point in points]


def _listed(activities: list[Resource]) -> Resource:
    return {"activity": activities} if activities else {}


FORM = Form(create=_create, amend=_amend, complete=_complete, withdraw=_withdraw)
