"""What staff enter into an EPR, over plain HTTP: patients in receipt of services, without risk, and their misses."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

import httpx

SYSTEM = "https://fhirbridge.example/fhir/CodeSystem"
Resource = dict[str, Any]


class Staff:
    """Staff at an EPR. Every patient is a new one, so that tests may share the EPR.

    With `numbered` all they enter is numbered with that prefix, so that two EPRs can be given the very same record.
    `token` is theirs at an EPR that asks for one.
    """

    def __init__(self, base_url: str, numbered: str = "", token: str = "") -> None:
        self._numbers = (f"{numbered}-{number}" for number in count(1)) if numbered else None
        self._http = httpx.Client(
            base_url=base_url, headers={"Content-Type": "application/fhir+json", "Accept": "application/fhir+json"}
        )
        if token:
            self._http.headers["Authorization"] = f"Bearer {token}"

    def close(self) -> None:
        self._http.close()

    def create(self, resource: Resource) -> Resource:
        kind = resource["resourceType"]
        if self._numbers:
            identity = next(self._numbers)
            answer = self._http.put(f"/{kind}/{identity}", json={**resource, "id": identity})
        else:
            answer = self._http.post(f"/{kind}", json=resource, headers={"Prefer": "return=representation"})
        answer.raise_for_status()
        created: Resource = answer.json()
        return created

    def read(self, reference: str) -> Resource:
        answer = self._http.get(f"/{reference}")
        answer.raise_for_status()
        found: Resource = answer.json()
        return found

    def change(self, reference: str, **elements: Any) -> Resource:
        self._http.put(f"/{reference}", json={**self.read(reference), **elements}).raise_for_status()
        return self.read(reference)

    def search(self, kind: str, **parameters: str) -> list[Resource]:
        answer = self._http.get(f"/{kind}", params=parameters)
        answer.raise_for_status()
        return [entry["resource"] for entry in answer.json().get("entry", [])]

    def low_risk_patient(self) -> str:
        """In receipt of services (one appointment attended), risk recorded as absent; the reference."""
        patient = f"Patient/{self.create({'resourceType': 'Patient', 'birthDate': '1980-01-01'})['id']}"
        subject = {"reference": patient}
        began = {"start": "2026-01-05"}
        episode = {"resourceType": "EpisodeOfCare", "status": "active", "patient": subject, "period": began}
        self.create(episode)
        code = {"coding": [{"system": f"{SYSTEM}/signal", "code": "risk-none"}]}
        self.create({"resourceType": "Flag", "status": "active", "subject": subject, "code": code, "period": began})
        self.appointment(patient, "fulfilled", 21)
        return patient

    def appointment(self, patient: str, status: str, days_ago: float) -> str:
        """One that was so many days ago; the reference."""
        start = datetime.now(UTC) - timedelta(days=days_ago)
        booked = self.create(
            {
                "resourceType": "Appointment",
                "status": status,
                "start": start.isoformat(timespec="seconds"),
                "end": (start + timedelta(minutes=30)).isoformat(timespec="seconds"),
                "participant": [{"actor": {"reference": patient}, "status": "accepted"}],
            }
        )
        return f"Appointment/{booked['id']}"

    def tasks(self, patient: str, code: str) -> list[Resource]:
        """The patient's Tasks with this code in the action system."""
        return [
            task
            for task in self.search("Task", patient=patient)
            if any(coding.get("code") == code for coding in task["code"]["coding"])
        ]

    def answer(self, task: Resource, outcome: str) -> None:
        """Complete a Task with an outcome."""
        coded = {"coding": [{"system": f"{SYSTEM}/outcome", "code": outcome}]}
        output = [{"type": {"text": "outcome"}, "valueCodeableConcept": coded}]
        self.change(f"Task/{task['id']}", status="completed", output=output)
