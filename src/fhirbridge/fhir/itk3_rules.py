"""What the published profiles ask of an ITK3 message, as a table of rules: checked before a message leaves.

The ids are those of GP Connect Messaging, Send Document (NHS England). A rule is a question to the message Bundle.
"""

from __future__ import annotations

import re
from base64 import b64decode
from collections.abc import Callable
from typing import Any

from msgspec import Struct

from fhirbridge.fhir import canonical
from fhirbridge.fhir.itk3 import (
    BINARY,
    COMPOSITION,
    DOCUMENT_BUNDLE,
    EVENT,
    HANDLING,
    HANDLING_FIELDS,
    HEADER_ORGANISATION,
    MESSAGE_BUNDLE,
    MESSAGE_HEADER,
    ORGANISATION,
    PATIENT,
    Workflow,
)
from fhirbridge.fhir.r4 import Resource

MAILBOX = re.compile(r"(?=\d*[A-Z])[A-Z0-9]{5,20}")
"""A MESH mailbox: capitals and digits, not digits alone (that is a telephone number)."""
_DATE = re.compile(r"\d{4}-\d\d-\d\d")
_INSTANT = re.compile(r".*T.*([+-]\d\d:\d\d|Z)")


class _Message(Struct, frozen=True):
    """The parts of a message, each {} where it is missing; `by_url` finds them by their fullUrl."""

    bundle: Resource
    header: Resource
    document: Resource
    composition: Resource
    patient: Resource
    by_url: dict[str, Resource]
    workflow: Workflow

    def handling(self, name: str) -> Resource:
        """One of the six fields."""
        fields = [e for e in self.header.get("extension", ()) if e.get("url") == HANDLING]
        parts = fields[0].get("extension", ()) if fields else ()
        named = [part for part in parts if part.get("url") == name]
        return named[0] if len(named) == 1 else {}

    def at(self, reference: Any) -> Resource:
        """What a Reference leads to within the message."""
        return self.by_url.get(str(reference.get("reference")), {}) if isinstance(reference, dict) else {}


def _is(resource: Resource, kind: str, profile: str) -> bool:
    return resource.get("resourceType") == kind and profile in resource.get("meta", {}).get("profile", ())


def _identified(resource: Resource, system: str) -> bool:
    return any(each["system"] == system and each["value"] for each in resource["identifier"])


def _is_message(m: _Message) -> bool:
    return _is(m.bundle, "Bundle", MESSAGE_BUNDLE) and m.bundle["type"] == "message"


def _six_fields(m: _Message) -> bool:
    given = [part["url"] for e in m.header["extension"] if e["url"] == HANDLING for part in e["extension"]]
    return sorted(given) == sorted(HANDLING_FIELDS)


def _definition(m: _Message) -> bool:
    return bool(m.handling("MessageDefinition")["valueReference"]["reference"] == m.workflow.definition)


def _sender(m: _Message) -> bool:
    sender = m.at(m.header["sender"])
    return _is(sender, "Organization", HEADER_ORGANISATION) and _identified(sender, canonical.ODS_CODE)


def _source(m: _Message) -> bool:
    return set(m.header["source"]) == {"endpoint"} and bool(MAILBOX.fullmatch(m.header["source"]["endpoint"]))


def _event(m: _Message) -> bool:
    return (m.header["event"]["system"], m.header["event"]["code"]) == (EVENT, m.workflow.event)


def _nothing_left_out(m: _Message) -> bool:
    return not {"author", "enterer", "destination", "responsible", "reason"} & set(m.header)


def _one_focus(m: _Message) -> bool:
    return (
        len(m.header["focus"]) == 1 and _is(m.document, "Bundle", DOCUMENT_BUNDLE) and m.document["type"] == "document"
    )


def _custodian(m: _Message) -> bool:
    return _is(m.at(m.composition["custodian"]), "Organization", ORGANISATION)


def _author(m: _Message) -> bool:
    return m.at(m.composition["author"][0]) == m.at(m.composition["custodian"])


def _organisation(m: _Message) -> bool:
    one = m.at(m.composition["custodian"])
    return _identified(one, canonical.ODS_CODE) and bool(one["name"] and one["telecom"][0]["value"])


def _known_patient(m: _Message) -> bool:
    name, born = m.patient["name"][0], m.patient["birthDate"]
    official = name["use"] == "official" and bool(name["family"])
    return official and _identified(m.patient, canonical.NHS_NUMBER) and bool(_DATE.fullmatch(born))


def _profiles(m: _Message) -> bool:
    return all(each.get("meta", {}).get("profile") for each in (m.bundle, *m.by_url.values()))


def _sections(m: _Message) -> bool:
    entries = [entry for section in m.composition["section"] for entry in section["entry"]]
    return bool(entries) and all(_is(m.at(entry), "Binary", BINARY) for entry in entries)


def _attachments(m: _Message) -> bool:
    binaries = [each for each in m.by_url.values() if each["resourceType"] == "Binary"]
    return all(
        each["contentType"] == "application/pdf" and b64decode(each["content"], validate=True).startswith(b"%PDF-")
        for each in binaries
    )


def _leads_somewhere(m: _Message) -> bool:
    return all(reference in m.by_url for reference in _references(m.bundle))


Rule = tuple[str, str, Callable[[_Message], object]]

RULES: tuple[Rule, ...] = (
    ("ITK-Message-Bundle-1", "the Bundle is a message", _is_message),
    ("ITK-Message-Bundle-1", "the Bundle has an identifier", lambda m: m.bundle["identifier"]["value"]),
    ("ITK-MessageHeader-2", "the header comes first", lambda m: _is(m.header, "MessageHeader", MESSAGE_HEADER)),
    ("ITK-MessageHeader-2", "there is nothing that the profile leaves out", _nothing_left_out),
    ("Extension-ITK-MessageHandling-2", "there are the six fields, each once", _six_fields),
    ("GPCM-SD-040", "BusAckRequested is true", lambda m: m.handling("BusAckRequested")["valueBoolean"] is True),
    ("GPCM-SD-041", "InfAckRequested is true", lambda m: m.handling("InfAckRequested")["valueBoolean"] is True),
    ("GPCM-SD-070", "RecipientType is FA", lambda m: m.handling("RecipientType")["valueCoding"]["code"] == "FA"),
    ("GPCM-SD-042", "SenderReference is given", lambda m: m.handling("SenderReference")["valueString"]),
    ("GPCM-SD-043", "MessageDefinition is that of the workflow", _definition),
    ("GPCM-SD-044", "LocalExtension is NONE", lambda m: m.handling("LocalExtension")["valueString"] == "NONE"),
    ("GPCM-SD-045", "the sender is an organisation with an ODS code", _sender),
    ("GPCM-SD-046", "source.endpoint is a MESH mailbox, and all there is of the source", _source),
    ("GPCM-SD-047", "the event is that of the workflow", _event),
    ("GPCM-SD-048", "the timestamp has an offset", lambda m: _INSTANT.fullmatch(m.header["timestamp"])),
    ("GPCM-SD-103", "the one focus is the document", _one_focus),
    ("GPCM-SD-104", "the document begins with a Composition", lambda m: _is(m.composition, "Composition", COMPOSITION)),
    ("GPCM-SD-105", "the custodian is the sending organisation", _custodian),
    ("GPCM-SD-106", "the subject is the patient", lambda m: _is(m.patient, "Patient", PATIENT)),
    ("GPCM-SD-107", "the author is the sending organisation", _author),
    ("GPCM-SD-028", "the organisation has ODS code, name and telephone number", _organisation),
    ("GPCM-SD-035", "the patient has NHS number, official name and date of birth", _known_patient),
    ("GPCM-SD-108", "every resource names its profile", _profiles),
    ("GPCM-SD-110", "every section leads to an attachment", _sections),
    ("GPCM-SD-111", "every attachment is a PDF in base64", _attachments),
    (
        "GPCM-SD-115",
        "the document's type is of SNOMED CT",
        lambda m: m.composition["type"]["coding"][0]["system"] == canonical.SNOMED,
    ),
    ("STU3", "every reference leads somewhere within the message", _leads_somewhere),
)
"""Id, what is asked, and the question."""


def faults(bundle: Resource, workflow: Workflow) -> list[str]:
    """The rules that the message breaks, each with its id; empty when it may be sent."""
    return [f"{rule}: not so: {asked}" for rule, asked, holds in RULES if not _asked(holds, _parts(bundle, workflow))]


def _asked(holds: Callable[[_Message], object], message: _Message) -> bool:
    try:
        return bool(holds(message))
    except (KeyError, IndexError, TypeError, ValueError):
        return False


def _parts(bundle: Resource, workflow: Workflow) -> _Message:
    entries = bundle.get("entry") or [{}]
    by_url = {str(e.get("fullUrl")): e["resource"] for e in entries if "resource" in e}
    header = entries[0].get("resource", {})
    focus = (header.get("focus") or [{}])[0].get("reference")
    document = by_url.get(str(focus), {})
    inner = {str(e.get("fullUrl")): e["resource"] for e in document.get("entry", ()) if "resource" in e}
    composition: Resource = next(iter(inner.values()), {})
    patient = inner.get(str(composition.get("subject", {}).get("reference")), {})
    return _Message(bundle, header, document, composition, patient, by_url | inner, workflow)


def _references(value: Any) -> list[str]:
    if isinstance(value, list):
        return [reference for each in value for reference in _references(each)]
    if not isinstance(value, dict):
        return []
    own = value.get("reference")
    mine = [own] if isinstance(own, str) and own.startswith("urn:") else []
    return mine + [reference for each in value.values() for reference in _references(each)]
