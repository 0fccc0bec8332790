"""Subscription topics of ours: every change to the resources of one type, for each type that the service follows.

The same topic in two shapes. An EPR of R4B or R5 holds a SubscriptionTopic (https://hl7.org/fhir/R5/subscriptiontopic.html);
R4 has no such resource, and servers that follow the Subscriptions R5 Backport guide there hold the R5 elements as
extensions of a Basic.
"""

from __future__ import annotations

from collections.abc import Iterator

from fhirbridge.fhir.capability import topic
from fhirbridge.fhir.r4 import Resource

FOLLOWED = (
    "Appointment",
    "CarePlan",
    "CareTeam",
    "Communication",
    "Condition",
    "Consent",
    "Encounter",
    "EpisodeOfCare",
    "Flag",
    "Patient",
    "RelatedPerson",
    "ServiceRequest",
    "Task",
)
"""Types whose changes the service can use."""

_R5 = "http://hl7.org/fhir/5.0/StructureDefinition/extension-SubscriptionTopic"
_INTERACTIONS = ("create", "update", "delete")


def topics(version: str) -> Iterator[Resource]:
    """Each topic as a SubscriptionTopic of R5 and as a Basic of R4; `version` is that of the service."""
    for resource_type in FOLLOWED:
        yield subscription_topic(resource_type, version)
        yield basic_topic(resource_type, version)


def subscription_topic(resource_type: str, version: str) -> Resource:
    """The topic of a type as a SubscriptionTopic."""
    trigger = {
        "description": _described(resource_type),
        "resource": _definition(resource_type),
        "supportedInteraction": list(_INTERACTIONS),
    }
    return {
        "resourceType": "SubscriptionTopic",
        "id": resource_type,
        "url": topic(resource_type),
        "version": version,
        "title": _title(resource_type),
        "status": "active",
        "description": _described(resource_type),
        "resourceTrigger": [trigger],
    }


def basic_topic(resource_type: str, version: str) -> Resource:
    """The same as a Basic, whose id is `topic-{type}`."""
    trigger = [
        {"url": "description", "valueMarkdown": _described(resource_type)},
        {"url": "resource", "valueUri": _definition(resource_type)},
        *({"url": "supportedInteraction", "valueCode": one} for one in _INTERACTIONS),
    ]
    return {
        "resourceType": "Basic",
        "id": f"topic-{resource_type}",
        "extension": [
            {"url": f"{_R5}.url", "valueUri": topic(resource_type)},
            {"url": f"{_R5}.version", "valueString": version},
            {"url": f"{_R5}.title", "valueString": _title(resource_type)},
            {"url": f"{_R5}.description", "valueMarkdown": _described(resource_type)},
            {"url": f"{_R5}.resourceTrigger", "extension": trigger},
        ],
        "modifierExtension": [{"url": f"{_R5}.status", "valueCode": "active"}],
        "code": {"coding": [{"system": "http://hl7.org/fhir/fhir-types", "code": "SubscriptionTopic"}]},
    }


def _title(resource_type: str) -> str:
    return f"Every change to a resource of type {resource_type}"


def _described(resource_type: str) -> str:
    return f"A resource of type {resource_type} was created, changed or deleted."


def _definition(resource_type: str) -> str:
    return f"http://hl7.org/fhir/StructureDefinition/{resource_type}"
