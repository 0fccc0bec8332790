"""Task: somebody has to do something by a deadline (R4, workflow module).

The inputs carry the account: one `clause` for each ledger row that asks for it, one `because` in plain English, and
one `evidence` for each resource version that counts.
"""

from __future__ import annotations

from fhirbridge.core.decision import Amend, Complete, Create, Obligation, Withdraw
from fhirbridge.core.effects import Kind
from fhirbridge.fhir import canonical
from fhirbridge.fhir.r4 import Resource
from fhirbridge.fhir.render.elements import (
    beginning,
    by_when,
    concept,
    local,
    said,
    thing_reference,
    withdrawal,
)
from fhirbridge.fhir.render.form import Form
from fhirbridge.fhir.render.setting import Rendering
from fhirbridge.fhir.wording import sentences


def _create(write: Create, setting: Rendering) -> Resource:
    obligation = write.obligation
    resource = beginning(Kind.TASK, obligation.identity)
    resource["instantiatesCanonical"] = obligation.canonical
    if obligation.plan:
        resource["basedOn"] = [thing_reference(Kind.CARE_PLAN, obligation.plan)]
    resource["groupIdentifier"] = {"system": canonical.PATHWAY, "value": obligation.run}
    resource["status"] = "requested"
    resource["intent"] = "order"
    resource["priority"] = obligation.priority
    resource["code"] = concept(canonical.ACTION, obligation.action, text=obligation.title)
    resource["description"] = _description(obligation, setting)
    if obligation.trigger:
        resource["focus"] = {"reference": obligation.trigger.reference}
    resource["for"] = {"reference": obligation.key.patient}
    resource["authoredOn"] = local(setting.now, setting.calendar)
    contact = setting.contacts(obligation.role, obligation.key.patient)[0]
    resource["performerType"] = [concept(canonical.ROLE, obligation.role, text=contact.display)]
    if contact.resolved:
        resource["owner"] = contact.as_reference()
    return resource | _due(obligation, setting) | {"input": _inputs(obligation)}


def _amend(write: Amend, setting: Rendering) -> Resource:
    obligation = write.obligation
    return {
        "priority": obligation.priority,
        "description": _description(obligation, setting),
        "lastModified": local(setting.now, setting.calendar),
        **_due(obligation, setting),
        "input": _inputs(obligation),
    }


def _complete(write: Complete, setting: Rendering) -> Resource:
    obligation = write.obligation
    elements: Resource = {"status": "completed", "lastModified": local(setting.now, setting.calendar)}
    output: list[Resource] = []
    if obligation.answer:
        output.append(
            {
                "type": concept(canonical.TASK_OUTPUT, "answered-by", text="answered-by"),
                "valueReference": {"reference": obligation.answer.reference, "type": obligation.answer.type},
            }
        )
    if obligation.outcome:
        output.append(
            {
                "type": concept(canonical.TASK_OUTPUT, "outcome", text="outcome"),
                "valueCodeableConcept": concept(canonical.OUTCOME, obligation.outcome),
            }
        )
    return elements | ({"output": output} if output else {})


def _withdraw(write: Withdraw, setting: Rendering) -> Resource:
    return {
        "status": "cancelled",
        "statusReason": withdrawal(write.reason, write.because),
        "lastModified": local(setting.now, setting.calendar),
    }


def _description(obligation: Obligation, setting: Rendering) -> str:
    due = f"To be done by {by_when(obligation.due, setting.calendar)}" if obligation.due else ""
    return sentences([obligation.title, obligation.description, due])


def _due(obligation: Obligation, setting: Rendering) -> Resource:
    return {"restriction": {"period": {"end": local(obligation.due, setting.calendar)}}} if obligation.due else {}


def _inputs(obligation: Obligation) -> list[Resource]:
    inputs = [{"type": _input("clause"), "valueString": clause} for clause in dict.fromkeys(obligation.clauses)]
    if because := said(obligation.because):
        inputs.append({"type": _input("because"), "valueString": because})
    for detail in obligation.details:
        inputs.append({"type": _input("detail", detail.heading), "valueString": detail.says})
    cited = (source for detail in obligation.details for source in detail.sources)
    for source in dict.fromkeys((*obligation.evidence, *cited)):
        inputs.append({"type": _input("evidence"), "valueReference": {"reference": source.versioned}})
    return inputs


def _input(code: str, text: str = "") -> Resource:
    return concept(canonical.TASK_INPUT, code, text=text or code)


FORM = Form(create=_create, amend=_amend, complete=_complete, withdraw=_withdraw)
