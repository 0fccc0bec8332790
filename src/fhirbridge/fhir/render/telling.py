"""What tells of a thing that the EPR cannot take as itself: a Communication or a document that a person can read.

It says what is to be done, by whom, until when and why; and of a change or an end, that it takes the place of what was
told before. It has an identity of its own, derived from the write that it tells of: nobody takes it for the thing
itself, and the same write is told once.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator
from typing import Any
from uuid import UUID, uuid5

from fhirbridge.core.codes import ROLES
from fhirbridge.core.states import is_terminal
from fhirbridge.fhir import canonical
from fhirbridge.fhir.directory import MEDIA
from fhirbridge.fhir.r4 import Resource
from fhirbridge.fhir.render.elements import beginning, concept
from fhirbridge.fhir.render.outgoing import Outgoing
from fhirbridge.fhir.wording import sentence
from fhirbridge.fhir.worklist import action_of

_NOTICES = UUID("0d6bb0a5-5f0d-5e0c-8c1b-7a0f4be3b6a2")
"""Namespace of the identities of notices; never changes."""

_LOINC = "http://loinc.org"
_NAMES = {"Task": "To be done", "Flag": "To be seen", "CarePlan": "Plan", "Communication": "Message"}
_OVER = {
    "cancelled": "No longer to be done",
    "completed": "Done",
    "failed": "Not done",
    "rejected": "Declined",
    "inactive": "No longer holds",
    "revoked": "Taken back",
    "stopped": "Stopped",
    "not-done": "Not sent",
    "entered-in-error": "Written in error",
}


def notice_identity(write: str) -> str:
    """The identity of what tells of the write with this code."""
    return str(uuid5(_NOTICES, write))


def notice(as_type: str, write: str, thing: Resource, provenance: Resource, before: str) -> Outgoing:
    """What tells of `thing` as it stands after the write: a Communication, or a DocumentReference.

    `provenance` is that of the write. `before` is a reference to what told of the thing before, which this takes the
    place of; empty where nothing did.
    """
    form = _document if as_type == "DocumentReference" else _communication
    identity = notice_identity(write)
    return Outgoing(
        identity=identity,
        type=as_type,
        verb="create",
        resource=form(identity, thing, provenance, before),
        provenance=provenance,
    )


def superseded(identity: str) -> Outgoing:
    """The change to a document that another has taken the place of."""
    return Outgoing(
        identity=identity, type="DocumentReference", verb="change", resource={"status": "superseded"}, provenance={}
    )


def readable(thing: Resource, provenance: Resource, *, again: bool) -> str:
    """The thing in plain English; `again` where it takes the place of what was told before."""
    return "\n".join(filter(None, _lines(thing, provenance, again=again)))


def _lines(thing: Resource, provenance: Resource, *, again: bool) -> Iterator[str]:
    kind, status = thing["resourceType"], str(thing.get("status", ""))
    over = is_terminal(kind, status) and not (kind == "Communication" and status == "completed")
    yield f"{_OVER.get(status, 'Ended') if over else _NAMES[kind]}: {title(thing)}"
    if again:
        yield "This takes the place of what was written about it before."
    if over and (why := _text(thing.get("statusReason"))):
        yield f"Why it ended: {sentence(why)}"
    if what := thing.get("description") or _payload(thing):
        yield f"What: {sentence(what)}"
    yield from _points(thing)
    if whom := _whom(thing):
        yield f"{'To' if kind == 'Communication' else 'By'} whom: {whom}"
    if due := thing.get("restriction", {}).get("period", {}).get("end"):
        yield f"Until when: {due}"
    if thing.get("priority", "routine") != "routine":
        yield f"Priority: {thing['priority']}"
    if why := _why(thing) or _text(next(iter(provenance.get("reason", [])), None)):
        yield f"Why: {sentence(why)}"
    if clauses := list(_inputs(thing, "clause")):
        yield f"Policy: {', '.join(clauses)}"
    if kind == "Task" and not over:
        yield "It can be completed on the worklist of fhirbridge, not here."


def title(thing: Resource) -> str:
    """What a thing is called."""
    named = thing.get("title") or _text(thing.get("topic")) or _text(thing.get("code"))
    return str(named or _text(next(iter(thing.get("category", [])), None)) or thing["resourceType"])


def _communication(identity: str, thing: Resource, provenance: Resource, before: str) -> Resource:
    role = _role(thing)
    resource = beginning("Communication", identity)
    resource["extension"] = [{"url": canonical.RECIPIENT_ROLE, "valueCode": role}]
    resource["instantiatesCanonical"] = provenance["policy"][:1]
    if before:
        resource["inResponseTo"] = [_told(before, "Communication")]
    resource["status"] = "completed"
    resource["category"] = [concept(canonical.ACTION, action_of(thing), text=title(thing))]
    resource["priority"] = thing.get("priority", "routine")
    resource["medium"] = [concept(canonical.PARTICIPATION_MODE, MEDIA["electronic"][0], shown=MEDIA["electronic"][1])]
    resource["subject"] = _subject(thing)
    resource["topic"] = {"text": title(thing)}
    if isinstance(about := thing.get("focus"), dict):
        resource["about"] = [about]
    resource["sent"] = provenance["recorded"]
    recipients = [one for one in _people(thing) if one != resource["subject"]]
    resource["recipient"] = recipients or [{"display": ROLES[role]}]
    resource["payload"] = [{"contentString": readable(thing, provenance, again=bool(before))}]
    return resource


def _role(thing: Resource) -> str:
    """Whom the notice is for: who is to act, else whoever leads the patient's care."""
    performers = (coding for one in thing.get("performerType", []) for coding in one.get("coding", []))
    return next((c["code"] for c in performers if c.get("system") == canonical.ROLE), "lead-professional")


def _document(identity: str, thing: Resource, provenance: Resource, before: str) -> Resource:
    text = readable(thing, provenance, again=bool(before))
    resource = beginning("DocumentReference", identity)
    del resource["meta"]["profile"]
    resource["status"] = "current"
    resource["docStatus"] = "final"
    resource["type"] = {"coding": [{"system": _LOINC, "code": "34109-9", "display": "Note"}], "text": title(thing)}
    resource["subject"] = _subject(thing)
    resource["date"] = provenance["recorded"]
    resource["author"] = [{"type": "Device", "display": "fhirbridge"}]
    if before:
        resource["relatesTo"] = [{"code": "replaces", "target": _told(before, "DocumentReference")}]
    resource["description"] = title(thing)
    attachment = {
        "contentType": "text/plain; charset=utf-8",
        "language": "en-GB",
        "data": base64.b64encode(text.encode()).decode(),
        "title": title(thing),
        "creation": provenance["recorded"],
    }
    resource["content"] = [{"attachment": attachment}]
    return resource


def _told(before: str, as_type: str) -> Resource:
    return {"reference": before, "type": as_type}


def _subject(thing: Resource) -> Resource:
    subject: Resource = thing.get("for") or thing.get("subject") or {}
    return subject


def _people(thing: Resource) -> list[Resource]:
    owner = [thing["owner"]] if "owner" in thing else []
    return owner or [{"display": role} for role in _roles(thing)]


def _whom(thing: Resource) -> str:
    people: list[Resource] = thing.get("recipient") or _people(thing)
    return ", ".join(filter(None, (one.get("display") or one.get("reference", "") for one in people)))


def _roles(thing: Resource) -> list[str]:
    return [role for role in map(_text, thing.get("performerType", [])) if role]


def _points(thing: Resource) -> Iterator[str]:
    for activity in thing.get("activity", []):
        if detail := activity.get("detail"):
            yield f"- {detail.get('description', '')} ({detail.get('status', '')})"


def _why(thing: Resource) -> str:
    notes = " ".join(str(note.get("text", "")) for note in thing.get("note", []))
    return " ".join(filter(None, [*_inputs(thing, "because"), notes]))


def _inputs(thing: Resource, code: str) -> Iterator[str]:
    for entry in thing.get("input", []):
        if any(c.get("system") == canonical.TASK_INPUT and c.get("code") == code for c in entry["type"]["coding"]):
            yield str(entry.get("valueString", ""))


def _payload(thing: Resource) -> str:
    return " ".join(str(part.get("contentString", "")) for part in thing.get("payload", [])).strip()


def _text(concept: Any) -> str:
    """The words of a CodeableConcept."""
    if not isinstance(concept, dict):
        return ""
    shown = (coding.get("display") or coding.get("code") for coding in concept.get("coding", []))
    return str(concept.get("text") or next(filter(None, shown), ""))
