"""What goes with a Communication where it is a letter: the PDF, and the letter as structured content.

The payload is the policy's text, then the PDF as an attachment with its size and SHA-1 hash (R4, `Attachment`), then a
reference to a contained Composition with the letter's headings and words, so that a receiver can take it in without
reading a PDF (R4, `Communication.payload`, `Composition`).
"""

from __future__ import annotations

import hashlib
from base64 import b64encode
from html import escape

from fhirbridge.core.calendar import Calendar
from fhirbridge.fhir import canonical
from fhirbridge.fhir.r4 import Resource
from fhirbridge.fhir.wording import display
from fhirbridge.letters.letter import Letter, Section

PDF = "application/pdf"
COMPOSITION = "letter"
"""Id of the contained Composition."""

_EMPTY = "http://terminology.hl7.org/CodeSystem/list-empty-reason"
_XHTML = "http://www.w3.org/1999/xhtml"


def enclosed(communication: Resource, letter: Letter, pdf: bytes, calendar: Calendar) -> Resource:
    """The Communication with the letter: its text stays the first payload."""
    return communication | {
        "contained": [composition(communication, letter, calendar)],
        "payload": [
            *communication["payload"],
            {"contentAttachment": attachment(letter, pdf, calendar)},
            {"contentReference": {"reference": f"#{COMPOSITION}", "type": "Composition"}},
        ],
    }


def attachment(letter: Letter, pdf: bytes, calendar: Calendar) -> Resource:
    """The PDF as R4's Attachment; its hash is SHA-1, as R4 has it."""
    return {
        "contentType": PDF,
        "language": "en-GB",
        "data": b64encode(pdf).decode(),
        "size": len(pdf),
        "hash": b64encode(hashlib.sha1(pdf, usedforsecurity=False).digest()).decode(),
        "title": letter.title,
        "creation": _local(letter, calendar),
    }


def composition(communication: Resource, letter: Letter, calendar: Calendar) -> Resource:
    """The letter's headings and words, with the national codes of the headings that have one."""
    return {
        "resourceType": "Composition",
        "id": COMPOSITION,
        "status": "final",
        "type": {
            "coding": [
                {"system": canonical.ACTION, "code": letter.action, "display": display(letter.action)},
            ],
            "text": letter.title,
        },
        "subject": communication["subject"],
        "date": _local(letter, calendar),
        "author": [{"display": letter.letterhead.name}],
        "title": letter.title,
        "section": [_section(section, letter.title) for section in letter.sections],
    }


def _section(section: Section, title: str) -> Resource:
    written: Resource = {"title": section.heading or title}
    if section.code:
        written["code"] = {"coding": [{"system": canonical.SNOMED, "code": section.code, "display": section.heading}]}
    written["text"] = {"status": "generated", "div": _narrative(section)}
    if section.missing:
        written["emptyReason"] = {"coding": [{"system": _EMPTY, "code": "unavailable", "display": "Unavailable"}]}
    return written


def _narrative(section: Section) -> str:
    paragraphs = "".join(f"<p>{escape(text)}</p>" for text in section.paragraphs)
    items = "".join(f"<li>{escape(text)}</li>" for text in section.items)
    listed = f"<ul>{items}</ul>" if items else ""
    return f'<div xmlns="{_XHTML}">{paragraphs}{listed}</div>'


def _local(letter: Letter, calendar: Calendar) -> str:
    return calendar.local(letter.on).isoformat(timespec="seconds")
