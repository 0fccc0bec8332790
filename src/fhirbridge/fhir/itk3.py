"""Communication → ITK3 message: how a document reaches a GP practice in England (GP Connect: Send Document).

FHIR STU3 in XML. A message Bundle holds a MessageHeader with what is asked of the receiver, the sending organisation,
and a document Bundle with the letter as PDF. Sources: NHS England, ITK3 Messaging Distribution 2.10, and GP Connect
Messaging, Send Document 1.3 (requirements GPCM-SD-028 to 111). Structured Transfer of Care documents are the same
message with another event and another document: see `Workflow`.

The MessageHeader's id is the dispatch's own key, so that whatever is answered is found again, whoever sent it, and
whenever. Nothing is random: the same Communication gives the same bytes.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid5

from msgspec import Struct

from fhirbridge.errors import SenderError
from fhirbridge.fhir import canonical
from fhirbridge.fhir.practice_address import identity_of
from fhirbridge.fhir.r4 import Resource
from fhirbridge.fhir.stu3 import narrative

_NHS = "https://fhir.nhs.uk/STU3"
_CARE_CONNECT = "https://fhir.hl7.org.uk/STU3/StructureDefinition"
MESSAGE_BUNDLE = f"{_NHS}/StructureDefinition/ITK-Message-Bundle-1"
MESSAGE_HEADER = f"{_NHS}/StructureDefinition/ITK-MessageHeader-2"
HEADER_ORGANISATION = f"{_NHS}/StructureDefinition/CareConnect-ITK-Header-Organization-1"
DOCUMENT_BUNDLE = f"{_NHS}/StructureDefinition/ITK-Document-Bundle-1"
BINARY = f"{_NHS}/StructureDefinition/ITK-Attachment-Binary-1"
COMPOSITION = f"{_CARE_CONNECT}/CareConnect-Composition-1"
ORGANISATION = f"{_CARE_CONNECT}/CareConnect-Organization-1"
PATIENT = f"{_CARE_CONNECT}/CareConnect-Patient-1"
HANDLING = f"{_NHS}/StructureDefinition/Extension-ITK-MessageHandling-2"
EVENT = f"{_NHS}/CodeSystem/ITK-MessageEvent-2"
RECIPIENT_TYPE = f"{_NHS}/CodeSystem/ITK-RecipientType-1"
RFC4122 = "https://tools.ietf.org/html/rfc4122"

HANDLING_FIELDS = (
    "BusAckRequested",
    "InfAckRequested",
    "RecipientType",
    "MessageDefinition",
    "SenderReference",
    "LocalExtension",
)
"""All six, in the order in which they are written."""

_PARTS = UUID("1f0a9e52-7c0d-5c4e-9c3b-8f6f2a3d5b71")
"""Namespace of the ids within a message; never changes."""


class Workflow(Struct, frozen=True, kw_only=True):
    """One kind of message: its MESH workflow and that of the answer, its event, its definition, its document's type."""

    name: str
    answer: str
    event: str
    event_says: str
    definition: str
    document_type: str
    document_type_says: str


SEND_DOCUMENT = Workflow(
    name="GPCONNECT_SEND_DOCUMENT",
    answer="GPCONNECT_SEND_DOCUMENT_ACK",
    event="ITK007C",
    event_says="ITK GP Connect Send Document",
    definition=f"{_NHS}/MessageDefinition/ITK-GPConnectSendDocument-MessageDefinition-Instance-1",
    document_type="371531000",
    document_type_says="Report of clinical encounter (record artifact)",
)
"""A PDF for the patient's practice (GPCM-SD-043, 047, 057, 115)."""


class Sender(Struct, frozen=True, kw_only=True):
    """Who sends: the organisation's ODS code, name and telephone number, and the MESH mailbox answers come to."""

    ods: str
    name: str
    telephone: str
    mailbox: str


class Document(Struct, frozen=True, kw_only=True):
    """What is sent. `key` is a UUID, the same whenever it is sent again; `pdf` is base64.

    `patient` is the R4 Patient it is about, `receiver` an ODS code, "" where MESH finds the practice by the patient.
    """

    key: str
    title: str
    written: datetime
    pdf: str
    patient: Resource
    receiver: str = ""


def document_of(key: str, communication: Resource, patient: Resource, receiver: str = "") -> Document:
    """The document that a Communication carries.

    Raises:
        SenderError: it carries no PDF.
    """
    attached = [each["contentAttachment"] for each in communication.get("payload", ()) if "contentAttachment" in each]
    pdfs = [each for each in attached if each.get("contentType") == "application/pdf" and each.get("data")]
    if not pdfs:
        raise SenderError("it has no letter as PDF: set letters, so that letters are written", place="payload")
    return Document(
        key=key,
        title=str(pdfs[0]["title"]),
        written=datetime.fromisoformat(str(pdfs[0]["creation"])),
        pdf=str(pdfs[0]["data"]),
        patient=patient,
        receiver=receiver,
    )


def message(document: Document, sender: Sender, workflow: Workflow = SEND_DOCUMENT) -> Resource:
    """The message Bundle (STU3); `fhirbridge.fhir.stu3.to_xml` makes it bytes."""
    organisations = [_header_organisation(document.key, "sender", sender.ods)]
    if document.receiver:
        organisations.append(_header_organisation(document.key, "receiver", document.receiver))
    return {
        "resourceType": "Bundle",
        "id": _part(document.key, "message"),
        "meta": {"profile": [MESSAGE_BUNDLE]},
        "identifier": {"system": RFC4122, "value": document.key},
        "type": "message",
        "entry": [
            _entry(each)
            for each in (_header(document, sender, workflow), *organisations, _contents(document, sender, workflow))
        ],
    }


def _header(document: Document, sender: Sender, workflow: Workflow) -> Resource:
    receiver = {"receiver": _reference(document.key, "receiver")} if document.receiver else {}
    return {
        "resourceType": "MessageHeader",
        "id": document.key,
        "meta": {"profile": [MESSAGE_HEADER]},
        "extension": [{"url": HANDLING, "extension": _handling(document, workflow)}],
        "event": {"system": EVENT, "code": workflow.event, "display": workflow.event_says},
        **receiver,
        "sender": _reference(document.key, "sender"),
        "timestamp": _instant(document.written),
        "source": {"endpoint": sender.mailbox},
        "focus": [_reference(document.key, "document")],
    }


def _handling(document: Document, workflow: Workflow) -> list[Resource]:
    recipient_type = {"system": RECIPIENT_TYPE, "code": "FA", "display": "For Action"}
    values: tuple[Resource, ...] = (
        {"valueBoolean": True},
        {"valueBoolean": True},
        {"valueCoding": recipient_type},
        {"valueReference": {"reference": workflow.definition}},
        {"valueString": f"urn:uuid:{document.key}"},
        {"valueString": "NONE"},
    )
    return [{"url": name, **each} for name, each in zip(HANDLING_FIELDS, values, strict=True)]


def _header_organisation(key: str, part: str, ods: str) -> Resource:
    return {
        "resourceType": "Organization",
        "id": _part(key, part),
        "meta": {"profile": [HEADER_ORGANISATION]},
        "identifier": [{"system": canonical.ODS_CODE, "value": ods}],
    }


def _contents(document: Document, sender: Sender, workflow: Workflow) -> Resource:
    parts = (
        _composition(document, workflow),
        _organisation(document.key, sender),
        _patient(document),
        {
            "resourceType": "Binary",
            "id": _part(document.key, "pdf"),
            "meta": {"profile": [BINARY]},
            "contentType": "application/pdf",
            "content": document.pdf,
        },
    )
    return {
        "resourceType": "Bundle",
        "id": _part(document.key, "document"),
        "meta": {"profile": [DOCUMENT_BUNDLE]},
        "identifier": {"system": RFC4122, "value": _part(document.key, "document")},
        "type": "document",
        "entry": [_entry(each) for each in parts],
    }


def _composition(document: Document, workflow: Workflow) -> Resource:
    key = document.key
    coding = {"system": canonical.SNOMED, "code": workflow.document_type, "display": workflow.document_type_says}
    return {
        "resourceType": "Composition",
        "id": _part(key, "composition"),
        "meta": {"profile": [COMPOSITION]},
        "identifier": {"system": RFC4122, "value": _part(key, "composition")},
        "status": "final",
        "type": {"coding": [coding]},
        "subject": _reference(key, "patient"),
        "date": _instant(document.written),
        "author": [_reference(key, "organisation")],
        "title": document.title,
        "custodian": _reference(key, "organisation"),
        "section": [
            {
                "title": document.title,
                "text": narrative((f"{document.title}. The letter is attached as PDF.",)),
                "entry": [_reference(key, "pdf")],
            }
        ],
    }


def _organisation(key: str, sender: Sender) -> Resource:
    return {
        "resourceType": "Organization",
        "id": _part(key, "organisation"),
        "meta": {"profile": [ORGANISATION]},
        "identifier": [{"system": canonical.ODS_CODE, "value": sender.ods}],
        "name": sender.name,
        "telecom": [{"system": "phone", "value": sender.telephone, "use": "work"}],
    }


def _patient(document: Document) -> Resource:
    who = identity_of(document.patient)
    name: dict[str, Any] = {"use": "official", "family": who.family}
    return {
        "resourceType": "Patient",
        "id": _part(document.key, "patient"),
        "meta": {"profile": [PATIENT]},
        "identifier": [{"system": canonical.NHS_NUMBER, "value": who.nhs_number}],
        "name": [name | ({"given": list(who.given)} if who.given else {})],
        "birthDate": who.born,
    }


def _entry(resource: Resource) -> Resource:
    return {"fullUrl": f"urn:uuid:{resource['id']}", "resource": resource}


def _reference(key: str, part: str) -> Resource:
    return {"reference": f"urn:uuid:{_part(key, part)}"}


def _part(key: str, part: str) -> str:
    return str(uuid5(_PARTS, f"{key}\n{part}"))


def _instant(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="seconds")
