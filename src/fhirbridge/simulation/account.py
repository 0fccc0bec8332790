"""What was written, for a person to read: when, what, for whom, by when, and why.

Everything is taken from the resources and their Provenance, so that it says what somebody finds in the EPR, no more.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime

from fhirbridge.core.calendar import Calendar
from fhirbridge.fhir.r4 import Resource
from fhirbridge.fhir.wording import KINDS, display
from fhirbridge.simulation.playing import Written

_ENDED = {
    "completed": "Done",
    "cancelled": "Withdrawn",
    "stopped": "Withdrawn",
    "not-done": "Withdrawn",
    "inactive": "Ended",
    "revoked": "Withdrawn",
}


def account(
    written: Iterable[Written], calendar: Calendar, standings: Mapping[str, Iterable[str]] | None = None
) -> Iterator[str]:
    """Lines of plain text, a paragraph for each person and in it one for each write, in the order of time.

    `standings` are lines, by person, that say how it stands in the end.
    """
    ends = standings or {}
    by_patient: dict[str, list[Written]] = {patient: [] for patient in ends}
    for write in written:
        by_patient.setdefault(write.patient, []).append(write)
    for patient in sorted(by_patient):
        yield patient
        for write in by_patient[patient]:
            yield f"  {calendar.at_time(write.at)}"
            yield from (f"    {line}" for line in told(write, calendar))
        yield from (f"  {line}" for line in ends.get(patient, ()))
        yield ""


def told(write: Written, calendar: Calendar) -> Iterator[str]:
    """One write: a line for what it is, and one each for whom, by when and why."""
    resource = write.resource
    yield f"{_what_happened(write)}: {title(resource)} ({_action(resource)})"
    if write.before is None:
        to = ", ".join(for_whom(resource))
        due = due_by(resource, calendar)
        if to or due:
            yield "; ".join(part for part in (f"for: {to}" if to else "", f"due: {due}" if due else "") if part)
    if why := reason(write.provenance):
        yield f"why: {why}"


def title(resource: Resource) -> str:
    """What a resource of the service is about."""
    coded = resource.get("topic") or resource.get("code") or {}
    return str(coded.get("text") or resource.get("title") or resource["resourceType"])


def _action(resource: Resource) -> str:
    """What is done or said: a step's title may stand for several things."""
    coded = resource.get("code") or resource["category"][0]
    return display(coded["coding"][0]["code"])


def for_whom(resource: Resource) -> list[str]:
    """Who has to act or is told."""
    roles = [extension["valueCode"] for extension in resource.get("extension", []) if "valueCode" in extension]
    people = [one.get("text", "") for one in resource.get("performerType", [])]
    people += [one.get("display", "") for one in resource.get("recipient", [])]
    return list(dict.fromkeys(filter(None, people))) or [display(role) for role in roles]


def due_by(resource: Resource, calendar: Calendar) -> str:
    """The deadline on the local clock; "" where there is none."""
    end = resource.get("restriction", {}).get("period", {}).get("end")
    return calendar.at_time(datetime.fromisoformat(end)) if end else ""


def reason(provenance: Resource) -> str:
    """Why it was written: the ledger's rows and the sentences with the dates that count."""
    return " ".join(one.get("text", "") for one in provenance.get("reason", []))


def _what_happened(write: Written) -> str:
    resource, before = write.resource, write.before
    kind = KINDS[resource["resourceType"]]
    if before is None:
        return kind
    if resource["status"] != before["status"]:
        return f"{_ENDED.get(resource['status'], 'Changed')}, {kind.lower()}"
    return f"Changed, {kind.lower()}"
