"""The story told: for each person what happened and what the service wrote because of it, read back from the EPR."""

from __future__ import annotations

import re
from datetime import datetime

from msgspec import Struct

from fhirbridge.core.calendar import Calendar
from fhirbridge.demo.people import Caseload, Event, Person, instant
from fhirbridge.fhir.canonical import ORIGIN
from fhirbridge.fhir.r4 import Resource
from fhirbridge.fhir.wording import display
from fhirbridge.ports import Epr
from fhirbridge.simulation.account import due_by, for_whom, reason, title

WRITTEN = ("Task", "Communication", "Flag", "CarePlan")

_SENTENCES = re.compile(r"(?<=[.!?]) (?=[A-Z“])")
_WORDS = {"Task": "asks", "Communication": "writes to", "Flag": "puts a flag on the record", "CarePlan": "makes a plan"}


class Line(Struct, frozen=True, order=True):
    """One thing that happened. `by_service` tells what the service did from what people did; `why` its reasons."""

    at: datetime
    by_service: bool
    says: str
    why: str = ""


async def tell(caseload: Caseload, epr: Epr, calendar: Calendar) -> dict[str, list[Line]]:
    """For each person, by id, what happened in the order of time."""
    told = {
        person.id: [Line(instant(event.at, calendar), False, _event(event, calendar)) for event in person.events]
        for person in caseload.people
    }
    written = {
        f"{kind}/{resource['id']}": resource
        for kind in WRITTEN
        async for resource in epr.search(kind, {"_tag": f"{ORIGIN}|fhirbridge"})
    }
    async for provenance in epr.search("Provenance", {"_tag": f"{ORIGIN}|fhirbridge"}):
        resource = written.get(provenance["target"][0]["reference"].partition("/_history")[0])
        if resource is not None:
            told[_patient(resource)].append(_write(resource, provenance, calendar))
    return {person: sorted(lines) for person, lines in told.items()}


def introduction(person: Person) -> str:
    """Who it is about."""
    number = person.nhs_number
    return f"{person.name} (NHS number {number[:3]} {number[3:6]} {number[6:]}) {person.story}"


def news(why: str, told: set[str]) -> str:
    """The sentences of `why` that have not been told yet; `told` grows by them."""
    fresh = [each for each in _SENTENCES.split(why) if each not in told]
    told.update(fresh)
    return " ".join(fresh)


def _patient(resource: Resource) -> str:
    about = resource.get("for") or resource["subject"]
    return str(about["reference"]).removeprefix("Patient/")


def _write(resource: Resource, provenance: Resource, calendar: Calendar) -> Line:
    at = datetime.fromisoformat(provenance["occurredDateTime"])
    about = title(resource)
    why = reason(provenance)
    if provenance["activity"]["coding"][0]["code"] != "CREATE":
        return Line(at, True, f"{_change(why)} “{about}”", why)
    whom = " and ".join(for_whom(resource))
    kind = resource["resourceType"]
    if kind == "Task":
        due = due_by(resource, calendar)
        return Line(at, True, f"asks {_named(whom)}: “{about}”" + (f", by {due}" if due else ""), why)
    return Line(at, True, f"{_WORDS[kind]}{f' {_named(whom)}' if whom else ''}: “{about}”", why)


def _change(why: str) -> str:
    for begins, says in (
        ("Withdrawn", "withdraws"),
        ("Answered", "closes"),
        ("Done", "closes"),
        ("Delivery", "follows the delivery of"),
    ):
        if why.startswith(begins):
            return says
    return "adds to"


def _named(words: str) -> str:
    """A role with its article, a name as it is."""
    if any(word.istitle() for word in words.split()[1:]):
        return words
    words = words[:1].lower() + words[1:] if words[1:2].islower() else words
    return words if words.startswith(("the ", "whoever ")) else f"the {words}"


def _event(event: Event, calendar: Calendar) -> str:
    for became in ("missed", "attended", "booked", "cancelled_by_provider"):
        if start := getattr(event, became):
            on = calendar.at_time(instant(start, calendar))
            return f"the appointment on {on}: {became.replace('_', ' ')}"
    if event.answered:
        return f"staff answer “{display(event.answered).lower()}”: {display(event.outcome or 'done').lower()}"
    return f"the patient writes: “{event.wrote}”"
