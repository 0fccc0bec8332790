"""Messages to and from a receiver, for tests and for the guide."""

from __future__ import annotations

from typing import Any

KEY = "5b1b4c1e-6d0f-5a3c-9f57-0d6a9d1c7b21"
IDENTITY = "0f6b7f0e-8a43-5c5c-8d0e-1f2a3b4c5d6e"
COMMUNICATION: dict[str, Any] = {
    "resourceType": "Communication",
    "meta": {"profile": ["https://fhirbridge.example/fhir/StructureDefinition/fhirbridge-Communication"]},
    "identifier": [{"system": "https://fhirbridge.example/fhir/identifier/obligation", "value": IDENTITY}],
    "instantiatesCanonical": ["https://fhirbridge.example/fhir/PlanDefinition/discharge-planning|1.0.0"],
    "status": "preparation",
    "category": [
        {
            "coding": [
                {
                    "system": "https://fhirbridge.example/fhir/CodeSystem/action",
                    "code": "discharge-notice",
                    "display": "Discharge notice",
                }
            ]
        }
    ],
    "priority": "routine",
    "subject": {"reference": "Patient/p1"},
    "about": [{"reference": "EpisodeOfCare/e1"}],
    "recipient": [{"reference": "Organization/gp1", "display": "Example Surgery"}],
    "payload": [{"contentString": "The client has been discharged from our service."}],
    "reasonCode": [{"text": "planning-gp-informed"}],
    "note": [{"text": "The episode was ended on Monday 2 March 2026."}],
}
PERSON: dict[str, Any] = {
    "resourceType": "Patient",
    "id": "p1",
    "meta": {"versionId": "3"},
    "identifier": [
        {"system": "https://fhir.nhs.uk/Id/nhs-number", "value": "9990000018"},
        {"system": "https://trust.example/number", "value": "12345"},
    ],
    "name": [{"family": "Example", "given": ["Robin"]}],
    "telecom": [{"system": "phone", "value": "0161 496 0009"}],
    "birthDate": "1980-01-01",
    "gender": "other",
    "generalPractitioner": [{"reference": "Organization/gp1"}],
}
TO = {"name": "Example Surgery", "endpoint": "https://fhir.surgery.example/r4", "ods": "A81001"}
SOURCE = "https://fhirbridge.trust.example/fhir/$process-message"


def acknowledgement(
    code: str = "ok", *, about: str = KEY, details: str = "", issue: str = "processing", says: str = ""
) -> dict[str, Any]:
    """The message with which a receiver acknowledges; `details` is a code of ITK3."""
    entries: list[dict[str, Any]] = [
        {
            "fullUrl": "urn:uuid:9d4f6f0e-3b52-4c58-9f0e-7a61c6f0d5aa",
            "resource": {
                "resourceType": "MessageHeader",
                "id": "9d4f6f0e-3b52-4c58-9f0e-7a61c6f0d5aa",
                "eventCoding": {
                    "system": "https://fhirbridge.example/fhir/CodeSystem/message-event",
                    "code": "communication",
                },
                "source": {"endpoint": "https://fhir.surgery.example/r4"},
                "response": {"identifier": about, "code": code},
            },
        }
    ]
    if code != "ok" or details:
        found: dict[str, Any] = {"severity": "information" if code == "ok" else "error", "code": issue}
        if details:
            system = "https://fhir.nhs.uk/STU3/CodeSystem/ITK-ResponseCode-1"
            found["details"] = {"coding": [{"system": system, "code": details}]}
        if says:
            found["diagnostics"] = says
        outcome = {"resourceType": "OperationOutcome", "id": "outcome", "issue": [found]}
        entries.append({"fullUrl": "urn:uuid:3e0d1b52-8f1c-4a1e-9a55-0c7c1f1b2d33", "resource": outcome})
        entries[0]["resource"]["response"]["details"] = {"reference": "urn:uuid:3e0d1b52-8f1c-4a1e-9a55-0c7c1f1b2d33"}
    return {
        "resourceType": "Bundle",
        "type": "message",
        "timestamp": "2026-03-02T11:30:00+00:00",
        "entry": entries,
    }


def answer(words: str = "We will monitor Robin.", *, about: str = KEY) -> dict[str, Any]:
    """The message with which a receiver writes back."""
    written = {
        "resourceType": "Communication",
        "id": "5f0c2a6e-1d1b-4b7e-8f5d-2c6a7e9b0d11",
        "inResponseTo": [
            {"identifier": {"system": "https://fhirbridge.example/fhir/identifier/dispatch", "value": about}}
        ],
        "status": "completed",
        "sent": "2026-03-02T12:00:00+00:00",
        "payload": [{"contentString": words}],
    }
    header = {
        "resourceType": "MessageHeader",
        "id": "7c1d3e5f-0a9b-4c8d-8e7f-6a5b4c3d2e1f",
        "eventCoding": {
            "system": "https://fhirbridge.example/fhir/CodeSystem/message-event",
            "code": "communication",
        },
        "source": {"endpoint": "https://fhir.surgery.example/r4"},
        "focus": [{"reference": "urn:uuid:5f0c2a6e-1d1b-4b7e-8f5d-2c6a7e9b0d11"}],
    }
    return {
        "resourceType": "Bundle",
        "type": "message",
        "timestamp": "2026-03-02T12:00:05+00:00",
        "entry": [
            {"fullUrl": "urn:uuid:7c1d3e5f-0a9b-4c8d-8e7f-6a5b4c3d2e1f", "resource": header},
            {"fullUrl": "urn:uuid:5f0c2a6e-1d1b-4b7e-8f5d-2c6a7e9b0d11", "resource": written},
        ],
    }
