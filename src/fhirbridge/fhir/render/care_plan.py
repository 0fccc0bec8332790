"""CarePlan: what several steps add up to (R4, `CarePlan`).

R4 gives a CarePlan no statusReason: why it ended is in a note, and in the Provenance.
"""

from __future__ import annotations

from fhirbridge.core.decision import Amend, Complete, Create, Withdraw
from fhirbridge.core.effects import Kind, Withdrawal
from fhirbridge.fhir import canonical
from fhirbridge.fhir.r4 import Resource
from fhirbridge.fhir.render.elements import beginning, concept, local, thing_reference, withdrawal_text
from fhirbridge.fhir.render.form import Form
from fhirbridge.fhir.render.setting import Rendering

_RAN_ITS_COURSE = frozenset({Withdrawal.RE_ENGAGED, Withdrawal.DISCHARGED})
"""Reasons under which a plan was right while it lasted, and is over; under any other it is revoked."""


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
    return resource | _activity(setting)


def _amend(write: Amend, setting: Rendering) -> Resource:
    described = {"description": write.obligation.description} if write.obligation.description else {}
    return {"title": write.obligation.title, **described, **_activity(setting)}


def _complete(write: Complete, setting: Rendering) -> Resource:
    answer = write.obligation.answer
    return _ended("completed", f"Answered by {answer.reference}." if answer else "Done.", setting)


def _withdraw(write: Withdraw, setting: Rendering) -> Resource:
    status = "completed" if write.reason in _RAN_ITS_COURSE else "revoked"
    return _ended(status, withdrawal_text(write.reason, write.because), setting)


def _ended(status: str, why: str, setting: Rendering) -> Resource:
    now = local(setting.now, setting.calendar)
    return {"status": status, "period": {"end": now}, "note": [{"time": now, "text": why}]}


def _activity(setting: Rendering) -> Resource:
    tasks = [{"reference": thing_reference(Kind.TASK, task)} for task in dict.fromkeys(setting.activities)]
    return {"activity": tasks} if tasks else {}


FORM = Form(create=_create, amend=_amend, complete=_complete, withdraw=_withdraw)
