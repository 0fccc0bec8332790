"""A record for dry runs: two missed appointments of somebody in receipt of services, without risk."""

from __future__ import annotations

from typing import Any

Resource = dict[str, Any]
SYSTEM = "https://fhirbridge.example/fhir/CodeSystem"


def stored(kind: str, identity: str, at: str, version: str = "1", **elements: Any) -> Resource:
    """A resource version as an EPR stored it at an instant."""
    return {"resourceType": kind, "id": identity, "meta": {"versionId": version, "lastUpdated": at}, **elements}


def appointment(identity: str, patient: str, status: str, start: str, known: str, version: str = "1") -> Resource:
    return stored(
        "Appointment",
        identity,
        known,
        version,
        status=status,
        start=start,
        end=start.replace(":00:00", ":30:00"),
        participant=[{"actor": {"reference": f"Patient/{patient}"}, "status": "accepted"}],
    )


def twice_missed(patient: str) -> list[Resource]:
    """Attended on 12 January 2026, missed on the 19th and the 26th at 10:00, known an hour later."""
    subject = {"reference": f"Patient/{patient}"}
    none = {"coding": [{"system": f"{SYSTEM}/signal", "code": "risk-none"}]}
    began, before = {"start": "2026-01-01"}, "2026-01-01T09:00:00Z"
    return [
        stored("Patient", patient, before, birthDate="1980-01-01"),
        stored("EpisodeOfCare", f"{patient}-e", before, status="active", patient=subject, period=began),
        stored("Flag", f"{patient}-f", before, status="active", subject=subject, code=none, period=began),
        appointment(f"{patient}-0", patient, "fulfilled", "2026-01-12T10:00:00Z", "2026-01-12T11:00:00Z"),
        appointment(f"{patient}-1", patient, "noshow", "2026-01-19T10:00:00Z", "2026-01-19T11:00:00Z"),
        appointment(f"{patient}-2", patient, "noshow", "2026-01-26T10:00:00Z", "2026-01-26T11:00:00Z"),
    ]


def corrected(patient: str, at: str) -> Resource:
    """The second miss turned out to be an attendance."""
    return appointment(f"{patient}-2", patient, "fulfilled", "2026-01-26T10:00:00Z", at, version="2")


def coded(system: str, code: str) -> Resource:
    return {"coding": [{"system": f"{SYSTEM}/{system}", "code": code}]}


def answer(identity: str, patient: str, outcome: str, at: str) -> Resource:
    """A Task of the EPR's own that says what came of contacting the patient."""
    output = [{"type": {"text": "outcome"}, "valueCodeableConcept": coded("outcome", outcome)}]
    about: Resource = {"for": {"reference": f"Patient/{patient}"}, "code": coded("action", "contact-patient")}
    about |= {"status": "completed", "intent": "order", "executionPeriod": {"end": at}, "output": output}
    return stored("Task", identity, at, **about)
