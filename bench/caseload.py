"""A caseload to measure with: appointments as an EPR stores them, about 2.5 KB each, in several versions, in any order.

Seeded: the same numbers give the same bytes. Nobody in it exists.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson

APPOINTMENTS_EACH = 20
BEGINNING = datetime(2025, 1, 6, 9, tzinfo=UTC)
END = datetime(2026, 1, 5, 9, tzinfo=UTC)
SHARES = (("fulfilled", 0.78), ("noshow", 0.10), ("cancelled", 0.12))

_SIGNAL = "https://fhirbridge.example/fhir/CodeSystem/signal"
_REASONS = "http://terminology.hl7.org/CodeSystem/appointment-cancellation-reason"
_NOTE = (
    "Review of mood, sleep, medication and side effects; agreed goals and crisis plan gone through with the patient, "
    "who was offered a choice of times, the number of the team and of the crisis line, and the letter in large print. "
)


def write(folder: Path, appointments: int, files: int = 4, seed: int = 1) -> tuple[int, int]:
    """Write the caseload as NDJSON into `files` files; how many lines and how many bytes."""
    chance = random.Random(seed)
    folder.mkdir(parents=True, exist_ok=True)
    outs = [(folder / f"caseload-{number}.ndjson").open("wb") for number in range(files)]
    lines = size = 0
    # Shuffled in blocks, so that a million fit: within a block any order, and blocks of patients over all the files.
    block: list[bytes] = []
    for person in range(max(appointments // APPOINTMENTS_EACH, 1)):
        block += (orjson.dumps(each, option=orjson.OPT_APPEND_NEWLINE) for each in _person(person, chance))
        if len(block) > 200_000 or person == max(appointments // APPOINTMENTS_EACH, 1) - 1:
            chance.shuffle(block)
            for number, line in enumerate(block):
                outs[number % files].write(line)
                size += len(line)
            lines += len(block)
            block = []
    for out in outs:
        out.close()
    return lines, size


def _person(number: int, chance: random.Random) -> Iterator[dict[str, Any]]:
    patient = f"Patient/p{number}"
    opened = BEGINNING + timedelta(days=chance.randrange(20))
    yield {
        "resourceType": "EpisodeOfCare",
        "id": f"e{number}",
        "meta": _meta(1, opened),
        "status": "active",
        "patient": {"reference": patient},
        "managingOrganization": {"reference": f"Organization/team{number % 40}"},
        "period": {"start": _instant(opened)},
    }
    if chance.random() < 0.9:
        code = "risk-none" if chance.random() < 0.8 else "risk"
        yield {
            "resourceType": "Flag",
            "id": f"f{number}",
            "meta": _meta(1, opened + timedelta(hours=1)),
            "status": "active",
            "code": {"coding": [{"system": _SIGNAL, "code": code}]},
            "subject": {"reference": patient},
            "period": {"start": _instant(opened)},
        }
    at = opened
    for index in range(APPOINTMENTS_EACH):
        at += timedelta(days=chance.choice((7, 14, 14, 21)), minutes=15 * chance.randrange(-8, 8))
        yield from _appointment(f"a{number}-{index}", number, at, chance)


def _appointment(name: str, number: int, at: datetime, chance: random.Random) -> Iterator[dict[str, Any]]:
    booked = at - timedelta(days=chance.choice((3, 7, 10)), hours=chance.randrange(6))
    outcome = chance.choices([status for status, _ in SHARES], [share for _, share in SHARES])[0]
    resource = _resource(name, number, at, booked)
    yield resource | {"meta": _meta(1, booked), "status": "booked"}
    version = 2
    if chance.random() < 0.3:  # somebody changes something that nobody here needs
        yield resource | {"meta": _meta(2, booked + timedelta(hours=20)), "status": "booked", "comment": _NOTE}
        version = 3
    known = at + timedelta(minutes=chance.randrange(10, 200))
    if outcome == "cancelled":
        known = at - timedelta(hours=chance.randrange(3, 40))
        reason = chance.choice(("pat", "prov"))
        resource |= {"cancelationReason": {"coding": [{"system": _REASONS, "code": reason}]}}
    yield resource | {"meta": _meta(version, known), "status": outcome}


def _resource(name: str, number: int, at: datetime, booked: datetime) -> dict[str, Any]:
    """One Appointment with what a real one carries beside what is needed."""
    return {
        "resourceType": "Appointment",
        "id": name,
        "text": {"status": "generated", "div": f'<div xmlns="http://www.w3.org/1999/xhtml"><p>{_NOTE}</p></div>'},
        "identifier": [
            {"system": "https://epr.example/appointment", "value": name},
            {"system": "https://epr.example/slot", "value": f"slot-{number}-{at.timestamp():.0f}"},
        ],
        "serviceCategory": [_coded("http://terminology.hl7.org/CodeSystem/service-category", "8", "Counselling")],
        "serviceType": [_coded("https://epr.example/service", "cmht", "Community mental health team")],
        "specialty": [_coded("http://snomed.info/sct", "394587001", "Psychiatry")],
        "appointmentType": _coded("http://terminology.hl7.org/CodeSystem/v2-0276", "FOLLOWUP", "A follow up visit"),
        "priority": 5,
        "description": "Follow-up with the community mental health team",
        "start": _instant(at),
        "end": _instant(at + timedelta(minutes=50)),
        "minutesDuration": 50,
        "created": _instant(booked),
        "patientInstruction": _NOTE,
        "participant": [
            _participant(f"Patient/p{number}", "PATIENT", "SBJ", "subject"),
            _participant(f"Practitioner/staff{number % 400}", "A MEMBER OF STAFF", "PPRF", "primary performer"),
            _participant(f"HealthcareService/team{number % 40}", "A COMMUNITY TEAM", "PART", "participation"),
            _participant(f"Location/clinic{number % 15}", "A CLINIC", "LOC", "location"),
        ],
    }


def _participant(reference: str, name: str, code: str, shown: str) -> dict[str, Any]:
    kind = _coded("http://terminology.hl7.org/CodeSystem/v3-ParticipationType", code, shown)
    actor = {"reference": reference, "display": name, "type": reference.partition("/")[0]}
    return {"type": [kind], "actor": actor, "required": "required", "status": "accepted"}


def _coded(system: str, code: str, shown: str) -> dict[str, Any]:
    return {"coding": [{"system": system, "code": code, "display": shown}], "text": shown}


def _meta(version: int, at: datetime) -> dict[str, Any]:
    profile = "https://fhir.hl7.org.uk/StructureDefinition/UKCore-Appointment"
    return {
        "versionId": str(version),
        "lastUpdated": _instant(at),
        "source": "https://epr.example",
        "profile": [profile],
    }


def _instant(at: datetime) -> str:
    return at.strftime("%Y-%m-%dT%H:%M:%S+00:00")
