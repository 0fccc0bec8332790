"""What staff do at the EPR, over plain HTTP: they admit people, say what became of appointments, and answer Tasks.

They know nothing of the service: the same could be typed into any EPR's screens.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import httpx

from fhirbridge.core.calendar import Calendar
from fhirbridge.demo.people import Caseload, Event, Person, Relative, instant
from fhirbridge.errors import Defect, EprError
from fhirbridge.fhir.canonical import ACTION, NHS_NUMBER, OUTCOME, SIGNAL

Resource = dict[str, Any]

SERVICE = "HealthcareService/community-team"
AGENCY = "Organization/housing-support"
PRACTICE = "Organization/riverside-surgery"

_ROLES = "http://terminology.hl7.org/CodeSystem/v3-RoleCode"
_REASONS = "http://terminology.hl7.org/CodeSystem/appointment-cancellation-reason"
_LASTS = timedelta(minutes=50)
_STATUS = {"missed": "noshow", "attended": "fulfilled", "booked": "booked", "cancelled_by_provider": "cancelled"}


class Staff:
    """Staff of one service. `http` has the EPR's base URL."""

    def __init__(self, http: httpx.AsyncClient, caseload: Caseload, calendar: Calendar) -> None:
        self._http = http
        self._caseload = caseload
        self._calendar = calendar

    async def open(self) -> None:
        """Enter the organisations that people have to do with."""
        await self._put("Organization", "riverside-surgery", name="Riverside Surgery")
        await self._put("Organization", "housing-support", name="Harbour Housing Support")
        await self._put("HealthcareService", "community-team", name=self._caseload.service)

    async def admit(self, person: Person) -> list[Resource]:
        """Enter what is on record when the story begins; the versions that this made."""
        given, _, family = person.name.rpartition(" ")
        street, town, postcode = person.address.split(", ")
        patient = await self._put(
            "Patient",
            person.id,
            identifier=[{"system": NHS_NUMBER, "value": person.nhs_number}],
            name=[{"given": [given], "family": family}],
            birthDate=person.born,
            address=[{"use": "home", "line": [street], "city": town, "postalCode": postcode}],
            generalPractitioner=[{"reference": PRACTICE}],
        )
        subject = {"reference": f"Patient/{person.id}"}
        began = {"start": (person.seen or self._caseload.begins)[:10]}
        entered = [patient, *await self._episode(person, subject, began), *await self._signals(person, subject, began)]
        if person.relative:
            entered.append(await self._relative(person.id, person.relative, subject))
        if person.seen:
            entered.append(await self._appointment(person, person.seen, "attended"))
        return entered

    async def enter(self, person: Person, event: Event, now: datetime) -> Resource:
        """Enter one event; the version that this made.

        Raises:
            Defect: the story answers a Task that the service has not asked for.
        """
        for became in _STATUS:
            if start := getattr(event, became):
                return await self._appointment(person, start, became)
        if event.answered:
            return await self._answer(person, event, now)
        patient = {"reference": f"Patient/{person.id}"}
        return await self._put(
            "Communication",
            f"{person.id}-message",
            status="completed",
            subject=patient,
            sender=patient,
            sent=now.isoformat(),
            payload=[{"contentString": event.wrote}],
        )

    async def _episode(self, person: Person, subject: Resource, began: Resource) -> list[Resource]:
        """The episode, after the referral that it follows."""
        episode: Resource = {"status": "active", "patient": subject, "period": began}
        entered = []
        if person.referred:
            requester = {"reference": PRACTICE}
            request = {"status": "active", "intent": "order", "priority": person.referred, "requester": requester}
            entered.append(await self._put("ServiceRequest", f"{person.id}-referral", subject=subject, **request))
            episode["referralRequest"] = [{"reference": f"ServiceRequest/{person.id}-referral"}]
        return [*entered, await self._put("EpisodeOfCare", f"{person.id}-episode", **episode)]

    async def _signals(self, person: Person, subject: Resource, began: Resource) -> list[Resource]:
        codes = [f"risk-{person.risk}"] if person.risk else []
        codes += ["sharing-refused"] if person.shares_nothing else []
        flag = {"status": "active", "subject": subject, "period": began}
        return [await self._put("Flag", f"{person.id}-{code}", **flag, code=_coded(SIGNAL, code)) for code in codes]

    async def _relative(self, person: str, relative: Relative, subject: Resource) -> Resource:
        return await self._put(
            "RelatedPerson",
            f"{person}-relative",
            active=True,
            patient=subject,
            name=[{"text": relative.name}],
            relationship=[_coded(_ROLES, relative.relationship)],
            telecom=[{"system": "phone", "value": relative.telephone}],
        )

    async def _appointment(self, person: Person, start: str, became: str) -> Resource:
        begins = instant(start, self._calendar)
        reason = {"cancelationReason": _coded(_REASONS, "prov")} if became == "cancelled_by_provider" else {}
        based_on = {"basedOn": [{"reference": f"ServiceRequest/{person.id}-referral"}]} if person.referred else {}
        actors = (f"Patient/{person.id}", SERVICE)
        return await self._put(
            "Appointment",
            f"{person.id}-{begins:%m%d}",
            status=_STATUS[became],
            start=self._calendar.local(begins).isoformat(),
            end=self._calendar.local(begins + _LASTS).isoformat(),
            participant=[{"actor": {"reference": actor}, "status": "accepted"} for actor in actors],
            **reason,
            **based_on,
        )

    async def _answer(self, person: Person, event: Event, now: datetime) -> Resource:
        search = {"patient": f"Patient/{person.id}", "status": "requested", "code": f"{ACTION}|{event.answered}"}
        found = (await self._asked("GET", "Task", params=search)).get("entry", [])
        if not found:
            raise Defect(f"the story of {person.id} answers {event.answered} at {event.at}, which nobody asked for")
        task = found[0]["resource"]
        answer = {
            "status": "completed",
            "executionPeriod": {"end": now.isoformat()},
            "output": [{"type": {"text": "outcome"}, "valueCodeableConcept": _coded(OUTCOME, event.outcome or "done")}],
        }
        return await self._asked("PUT", f"Task/{task['id']}", json={**task, **answer})

    async def _put(self, kind: str, identity: str, **elements: Any) -> Resource:
        resource = {"resourceType": kind, "id": identity, **elements}
        return await self._asked("PUT", f"{kind}/{identity}", json=resource)

    async def _asked(self, method: str, path: str, **request: Any) -> Resource:
        answer = await self._http.request(method, f"/{path}", headers={"Prefer": "return=representation"}, **request)
        if not answer.is_success:
            raise EprError(f"the sample EPR refused {method} {path}: {answer.status_code} {answer.text[:200]}")
        stored: Resource = answer.json()
        return stored


def _coded(system: str, code: str) -> Resource:
    return {"coding": [{"system": system, "code": code}]}
