"""Communication: somebody has to be told something; one for each role that is told (R4, `Communication`).

R4 gives a Communication no inputs, so the ledger rows are its reason codes and the reasons its note.
"""

from __future__ import annotations

from fhirbridge.core.decision import Amend, Complete, Create, MarkDelivery, Obligation, Withdraw
from fhirbridge.core.effects import Kind
from fhirbridge.errors import ConfigurationError
from fhirbridge.fhir import canonical
from fhirbridge.fhir.directory import MEDIA
from fhirbridge.fhir.r4 import Resource
from fhirbridge.fhir.render.elements import (
    beginning,
    concept,
    local,
    said,
    thing_reference,
    withdrawal,
)
from fhirbridge.fhir.render.form import Form
from fhirbridge.fhir.render.setting import Rendering


def _create(write: Create, setting: Rendering) -> Resource:
    obligation = write.obligation
    contacts = setting.contacts(obligation.role, obligation.key.patient)
    resource = beginning(Kind.COMMUNICATION, obligation.identity)
    resource["extension"] = [{"url": canonical.RECIPIENT_ROLE, "valueCode": obligation.role}]
    resource["instantiatesCanonical"] = [obligation.canonical]
    resource["status"] = "completed" if setting.handed_over else "preparation"
    resource["category"] = [concept(canonical.ACTION, obligation.action)]
    resource["priority"] = obligation.priority
    resource["medium"] = [_medium(obligation.medium or contacts[0].medium or "written", obligation.action)]
    resource["subject"] = {"reference": obligation.key.patient}
    resource["topic"] = {"text": obligation.title}
    if obligation.plan:
        resource["about"] = [thing_reference(Kind.CARE_PLAN, obligation.plan)]
    elif obligation.trigger:
        resource["about"] = [{"reference": obligation.trigger.reference}]
    if setting.handed_over:
        resource["sent"] = local(setting.now, setting.calendar)
    resource["recipient"] = [contact.as_reference() for contact in contacts]
    resource["payload"] = [{"contentString": obligation.description or obligation.title}]
    return resource | _account(obligation, setting)


def _amend(write: Amend, setting: Rendering) -> Resource:
    return {"priority": write.obligation.priority, **_account(write.obligation, setting)}


def _complete(write: Complete, setting: Rendering) -> Resource:
    answer = write.obligation.answer
    told = f"Answered by {answer.reference}." if answer else "Answered."
    return {"status": "completed", "note": [{"time": local(setting.now, setting.calendar), "text": told}]}


def _withdraw(write: Withdraw, setting: Rendering) -> Resource:
    # R4 tells apart what stopped before it began (not-done) from what had begun (stopped).
    status = "not-done" if write.thing.sent is None else "stopped"
    return {"status": status, "statusReason": withdrawal(write.reason, write.because)}


def mark(write: MarkDelivery, setting: Rendering) -> Resource:
    """What is known of its delivery: `sent` once handed over, `received` once acknowledged, and what is wrong."""
    told = write.mark
    elements: Resource = {"status": told.status}
    if told.sent is not None:
        elements["sent"] = local(told.sent, setting.calendar)
    if told.received is not None:
        elements["received"] = local(told.received, setting.calendar)
    if told.says:
        elements["statusReason"] = {"text": told.says}
    if write.thing.mark is not None and write.thing.mark.nobody and not told.nobody:
        contacts = setting.contacts(write.thing.key.role, write.thing.key.patient)
        elements["recipient"] = [contact.as_reference() for contact in contacts]
    return elements


def _account(obligation: Obligation, setting: Rendering) -> Resource:
    account: Resource = {}
    if obligation.clauses:
        account["reasonCode"] = [
            {"coding": [{"system": canonical.CLAUSE, "code": clause}], "text": clause}
            for clause in dict.fromkeys(obligation.clauses)
        ]
    if because := said(obligation.because):
        account["note"] = [{"time": local(setting.now, setting.calendar), "text": because}]
    return account


def _medium(medium: str, action: str) -> Resource:
    if medium not in MEDIA:
        known = ", ".join(MEDIA)
        raise ConfigurationError(f"action {action!r} asks for the unknown medium {medium!r}: use one of {known}")
    code, shown = MEDIA[medium]
    return concept(canonical.PARTICIPATION_MODE, code, shown=shown)


FORM = Form(create=_create, amend=_amend, complete=_complete, withdraw=_withdraw)
