"""ITK3 responses: what a receiver's system, and then a person there, made of a message (event ITK008M).

The OperationOutcome of a response carries the codes; which of them are good is a matter of `core.deliveries`. A
response belongs to the message whose MessageHeader.id it names (ITK3 Messaging Distribution, response codes).
"""

from __future__ import annotations

from datetime import datetime

from msgspec import Struct

from fhirbridge.errors import SenderError
from fhirbridge.fhir.itk3 import EVENT
from fhirbridge.fhir.linking import identity_of
from fhirbridge.fhir.stu3 import found, from_xml, value

RESPONSE = "ITK008M"


class Answer(Struct, frozen=True, kw_only=True):
    """One code of a response: which message it is about, what it says beside the code, and when it was given."""

    about: str
    code: str
    says: str
    at: datetime


def answers(document: bytes, place: str) -> tuple[Answer, ...]:
    """Everything that a response says; `place` tells where it came from.

    Raises:
        SenderError: it is no ITK3 response, or does not say which message it is about, or has no code.
    """
    root = from_xml(document, place)
    header = next(found(root, "entry/resource/MessageHeader"), None)
    if header is None:
        raise SenderError("has no MessageHeader: it is no message", place=place)
    if (value(header, "event/system"), value(header, "event/code")) != (EVENT, RESPONSE):
        raise SenderError(f"its event is not {RESPONSE}: it is no response", place=place)
    about = identity_of(value(header, "response/identifier")).lower()
    if not about:
        raise SenderError("has no response.identifier: nobody can say which message it is about", place=place)
    at = _instant(value(header, "timestamp"), place)
    given = [
        Answer(
            about=about, code=value(coding, "code"), says=value(issue, "diagnostics") or value(coding, "display"), at=at
        )
        for issue in found(root, "entry/resource/OperationOutcome/issue")
        for coding in found(issue, "details/coding")
        if value(coding, "code")
    ]
    if not given:
        raise SenderError("has no response code in its OperationOutcome", place=place)
    return tuple(given)


def _instant(written: str, place: str) -> datetime:
    try:
        at = datetime.fromisoformat(written)
    except ValueError:
        raise SenderError(f"timestamp {written[:40]!r} is no instant", place=place) from None
    if at.tzinfo is None:
        raise SenderError(f"timestamp {written[:40]!r} has no offset", place=place)
    return at
