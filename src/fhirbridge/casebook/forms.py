"""FHIR R4 resources as a sample EPR would hold them: one plain function for each type, nothing decided.

None has `meta`: the chart numbers and dates the versions. Names and numbers are made up; NHS numbers are from the range
kept for tests (999).
"""

from __future__ import annotations

from datetime import UTC, datetime

from fhirbridge.fhir import canonical
from fhirbridge.fhir.r4 import Resource

PATIENT = "Patient/p"
_TERMINOLOGY = "http://terminology.hl7.org/CodeSystem"
SERVICE = "https://epr.example/CodeSystem/service"
"""The sample EPR's own codes of its services: what an appointment and an episode share."""
_ROLE_CODE = f"{_TERMINOLOGY}/v3-RoleCode"
_ROLE_CLASS = f"{_TERMINOLOGY}/v3-RoleClass"

RELATIONSHIPS: dict[str, tuple[str, str]] = {
    "mother": (_ROLE_CODE, "MTH"),
    "father": (_ROLE_CODE, "FTH"),
    "sister": (_ROLE_CODE, "SIS"),
    "brother": (_ROLE_CODE, "BRO"),
    "wife": (_ROLE_CODE, "WIFE"),
    "husband": (_ROLE_CODE, "HUSB"),
    "partner": (_ROLE_CODE, "DOMPART"),
    "daughter": (_ROLE_CODE, "DAUC"),
    "son": (_ROLE_CODE, "SONC"),
    "friend": (_ROLE_CODE, "FRND"),
    "neighbour": (_ROLE_CODE, "NBOR"),
    "carer": (_ROLE_CLASS, "CAREGIVER"),
}
"""Words for a related person, with system and code."""

AUDIENCES: dict[str, tuple[str, str]] = {"family": (_ROLE_CODE, "FAMMEMB"), "agency": (_ROLE_CLASS, "AGNT")}
"""Whom a consent can be about."""

VISITORS: dict[str, tuple[str, str]] = {"advocate": (canonical.SNOMED, "429577009")}
"""Words for people from outside the care team who may visit, with system and code."""


def utc(at: datetime) -> str:
    """The instant as FHIR writes it, in UTC."""
    return at.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def concept(system: str, code: str) -> Resource:
    """A CodeableConcept of one coding."""
    return {"coding": [{"system": system, "code": code}]}


def reference(to: str) -> Resource:
    """A literal Reference."""
    return {"reference": to}


def patient(born: str, practice: str) -> Resource:
    """The patient of every case."""
    return {
        "resourceType": "Patient",
        "id": PATIENT.partition("/")[2],
        "identifier": [{"system": canonical.NHS_NUMBER, "value": "9990000018"}],
        "active": True,
        "name": [{"family": "Example", "given": ["Alex"]}],
        "birthDate": born,
        "generalPractitioner": [reference(practice)],
    }


def appointment(name: str, start: datetime, end: datetime, referral: str, service: str) -> Resource:
    """An appointment without its status."""
    people = [{"actor": reference(PATIENT), "status": "accepted"}]
    resource: Resource = {"resourceType": "Appointment", "id": name, "status": "booked"}
    if service:
        resource["serviceType"] = [concept(SERVICE, service)]
    if referral:
        resource["basedOn"] = [reference(f"ServiceRequest/{referral}")]
    return resource | {"start": utc(start), "end": utc(end), "participant": people}


def cancelled_by(whom: str) -> Resource:
    """The reason of a cancellation by `patient` or `provider`."""
    return concept(f"{_TERMINOLOGY}/appointment-cancellation-reason", {"patient": "pat", "provider": "prov"}[whom])


def encounter(name: str, start: datetime, status: str) -> Resource:
    """A contact that took place, in the community."""
    return {
        "resourceType": "Encounter",
        "id": name,
        "status": status,
        "class": {"system": f"{_TERMINOLOGY}/v3-ActCode", "code": "AMB"},
        "subject": reference(PATIENT),
        "period": {"start": utc(start)},
    }


def stay(name: str, start: datetime) -> Resource:
    """An inpatient stay that has begun."""
    return encounter(name, start, "in-progress") | {"class": {"system": f"{_TERMINOLOGY}/v3-ActCode", "code": "IMP"}}


def visit(name: str, at: datetime, visitor: str) -> Resource:
    """A meeting with one of `VISITORS`."""
    taking_part = {"type": [concept(*VISITORS[visitor])]}
    return encounter(name, at, "finished") | {"participant": [taking_part]}


def episode(name: str, start: datetime, status: str) -> Resource:
    """An episode of care."""
    return {
        "resourceType": "EpisodeOfCare",
        "id": name,
        "status": status,
        "patient": reference(PATIENT),
        "period": {"start": utc(start)},
    }


def referral(name: str, authored: datetime, priority: str, requester: str) -> Resource:
    """A referral; without `priority` it says nothing of it."""
    resource: Resource = {"resourceType": "ServiceRequest", "id": name, "status": "active", "intent": "order"}
    if priority:
        resource["priority"] = priority
    resource |= {"subject": reference(PATIENT), "authoredOn": utc(authored)}
    return resource | ({"requester": reference(requester)} if requester else {})


def signal(name: str, code: str, start: datetime) -> Resource:
    """A Flag of the EPR with one of the service's signals."""
    return {
        "resourceType": "Flag",
        "id": name,
        "status": "active",
        "code": concept(canonical.SIGNAL, code),
        "subject": reference(PATIENT),
        "period": {"start": utc(start)},
    }


def related_person(name: str, relationship: str, start: datetime) -> Resource:
    """Somebody related to the patient."""
    return {
        "resourceType": "RelatedPerson",
        "id": name,
        "active": True,
        "patient": reference(PATIENT),
        "relationship": [concept(*RELATIONSHIPS[relationship])],
        "period": {"start": utc(start)},
    }


def consent(name: str, start: datetime, permits: bool, audience: str) -> Resource:
    """A decision about sharing, with everybody or with one audience."""
    provision: Resource = {"type": "permit" if permits else "deny", "period": {"start": utc(start)}}
    if audience:
        actor = {"role": concept(*AUDIENCES[audience]), "reference": {"display": audience}}
        provision["actor"] = [actor]
    return {
        "resourceType": "Consent",
        "id": name,
        "status": "active",
        "scope": concept(f"{_TERMINOLOGY}/consentscope", "patient-privacy"),
        "category": [concept("http://loinc.org", "59284-0")],
        "patient": reference(PATIENT),
        "dateTime": utc(start),
        "policyRule": concept(f"{_TERMINOLOGY}/v3-ActCode", "OPTIN" if permits else "OPTOUT"),
        "provision": provision,
    }


def task(name: str, action: str, status: str, outcome: str, ended: datetime) -> Resource:
    """A Task that staff made themselves: it carries no identifier of the service."""
    resource: Resource = {
        "resourceType": "Task",
        "id": name,
        "status": status,
        "intent": "order",
        "code": concept(canonical.ACTION, action),
        "for": reference(PATIENT),
    }
    return resource | answered(status, outcome, ended)


def answered(status: str, outcome: str, ended: datetime) -> Resource:
    """The elements in which staff answer a Task."""
    elements: Resource = {"status": status}
    if status in {"completed", "failed", "rejected"}:
        elements["executionPeriod"] = {"end": utc(ended)}
    if outcome:
        output = {"type": {"text": "outcome"}, "valueCodeableConcept": concept(canonical.OUTCOME, outcome)}
        elements["output"] = [output]
    return elements


def due(by: datetime) -> Resource:
    """The element in which staff move the due date of a Task."""
    return {"restriction": {"period": {"end": utc(by)}}}


def message(name: str, sent: datetime, other: str, *, comes_in: bool) -> Resource:
    """A message about the patient between the team and the `other` (a reference); `comes_in` when they sent it."""
    team, them = reference("CareTeam/team"), reference(other)
    return {
        "resourceType": "Communication",
        "id": name,
        "status": "completed",
        "subject": reference(PATIENT),
        "sender": them if comes_in else team,
        "recipient": [team if comes_in else them],
        "sent": utc(sent),
    }
