"""Communication → what a FHIR receiver is sent: a message Bundle for `$process-message`, or a transaction.

FHIR R4, messaging (https://hl7.org/fhir/R4/messaging.html). The receiver gets what they need: the words and the letter,
whom it is about (NHS number, name, date of birth), and nothing of the EPR's own references, reasons or policies.
Nothing is random and nothing tells the time of sending: the same dispatch gives the same bytes, so that whoever gets it
twice can see that it is the same.
"""

from __future__ import annotations

from typing import Any
from uuid import UUID, uuid5

from fhirbridge.fhir import canonical
from fhirbridge.fhir.r4 import Resource

DISPATCH = f"{canonical.BASE}/identifier/dispatch"
"""Identifies one Communication to one recipient, however often it is sent."""
EVENT = f"{canonical.BASE}/CodeSystem/message-event"
COMMUNICATION = "communication"
"""The one event of what is sent: somebody is told something."""

_PARTS = UUID("c1a7c3de-0f53-5b5e-9a57-4f8e2d1b6c90")
"""Namespace of the ids within a message; never changes."""
_TOLD = ("category", "priority", "medium", "topic", "payload")
"""Elements of the Communication that a receiver needs as they are."""


def message(key: str, communication: Resource, person: Resource | None, to: Resource, source: str) -> Resource:
    """The message Bundle; `to` is the receiver (`name`, `endpoint`, `ods`), `source` where answers go.

    `MessageHeader.id` is the key: an answer names it as `response.identifier`.
    """
    parts = _parts(key, communication, person, to)
    header: Resource = {
        "resourceType": "MessageHeader",
        "id": key,
        "eventCoding": {"system": EVENT, "code": COMMUNICATION},
        "destination": [{"name": to["name"], "endpoint": to["endpoint"]}],
        "source": {"name": "fhirbridge", "software": "fhirbridge", "endpoint": source},
        "focus": [{"reference": _urn(parts[0]["id"])}],
    }
    return {
        "resourceType": "Bundle",
        "id": key,
        "identifier": {"system": DISPATCH, "value": key},
        "type": "message",
        "entry": [{"fullUrl": _urn(each["id"]), "resource": each} for each in (header, *parts)],
    }


def transaction(key: str, communication: Resource, person: Resource | None, to: Resource) -> Resource:
    """A transaction that creates the Communication once, with the Patient contained in it."""
    told, *about = _parts(key, communication, person, to)
    contained = [*about, *told.get("contained", [])]
    references = {_urn(each["id"]): f"#{each['id']}" for each in about}
    told = _renamed({name: value for name, value in told.items() if name not in {"id", "contained"}}, references)
    if contained:
        told["contained"] = [_renamed(each, references) for each in contained]
    request = {"method": "POST", "url": "Communication", "ifNoneExist": f"identifier={DISPATCH}|{key}"}
    entry = {"fullUrl": _urn(_part(key, "Communication")), "resource": told, "request": request}
    return {"resourceType": "Bundle", "type": "transaction", "entry": [entry]}


def _parts(key: str, communication: Resource, person: Resource | None, to: Resource) -> list[Resource]:
    """The Communication as the receiver gets it, and whom it is about."""
    patient = _patient(key, person)
    subject = {"reference": _urn(patient["id"])} if patient else {"display": "The patient"}
    recipient: Resource = {"display": to["name"]}
    if to.get("ods"):
        recipient["identifier"] = {"system": canonical.ODS_CODE, "value": to["ods"]}
        recipient["type"] = "Organization"
    told: Resource = {
        "resourceType": "Communication",
        "id": _part(key, "Communication"),
        "identifier": [{"system": DISPATCH, "value": key}, *communication.get("identifier", [])],
        "status": "completed",
        **{name: communication[name] for name in _TOLD if name in communication},
        "subject": subject,
        "recipient": [recipient],
    }
    if "contained" in communication:
        told["contained"] = [
            {**each, "subject": subject} if "subject" in each else each for each in communication["contained"]
        ]
    return [told, patient] if patient else [told]


def _patient(key: str, person: Resource | None) -> Resource | None:
    """What tells the patient from others."""
    if person is None:
        return None
    numbers = [each for each in person.get("identifier", []) if each.get("system") == canonical.NHS_NUMBER]
    found: Resource = {"resourceType": "Patient", "id": _part(key, "Patient")}
    if numbers:
        found["identifier"] = [{"system": canonical.NHS_NUMBER, "value": numbers[0].get("value")}]
    return found | {name: person[name] for name in ("name", "gender", "birthDate") if name in person}


def _renamed(value: Any, references: dict[str, str]) -> Any:
    if isinstance(value, list):
        return [_renamed(each, references) for each in value]
    if not isinstance(value, dict):
        return value
    renamed = {name: _renamed(each, references) for name, each in value.items()}
    if (named := value.get("reference")) in references:
        renamed["reference"] = references[named]
    return renamed


def _part(key: str, kind: str) -> str:
    return str(uuid5(_PARTS, f"{key}\n{kind}"))


def _urn(identity: str) -> str:
    return f"urn:uuid:{identity}"
