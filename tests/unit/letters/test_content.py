"""What goes with a Communication: its words first, then the PDF, then the same letter as structured content."""

from __future__ import annotations

import base64
import hashlib
from typing import Any

from fhirbridge.letters import Section, enclosed, write
from tests.shipped import CALENDAR
from tests.unit.letters.desk import STATIONERY, matter

COMMUNICATION: dict[str, Any] = {
    "resourceType": "Communication",
    "subject": {"reference": "Patient/p1"},
    "payload": [{"contentString": "We missed you."}],
}


def made(**changes: Any) -> dict[str, Any]:
    return enclosed(COMMUNICATION, write(matter(**changes), STATIONERY), b"%PDF", CALENDAR)


def test_the_words_stay_first_and_the_pdf_follows() -> None:
    text, attached, structured = made()["payload"]
    assert text == {"contentString": "We missed you."}
    assert attached["contentAttachment"] == {
        "contentType": "application/pdf",
        "language": "en-GB",
        "data": base64.b64encode(b"%PDF").decode(),
        "size": 4,
        "hash": base64.b64encode(hashlib.sha1(b"%PDF").digest()).decode(),
        "title": "Would you like another appointment?",
        "creation": "2026-03-28T10:05:00+00:00",
    }
    assert structured["contentReference"]["reference"] == "#letter"


def test_the_communication_itself_is_left_as_it_was() -> None:
    made()
    assert len(COMMUNICATION["payload"]) == 1


def test_the_structured_letter_has_the_headings_with_their_codes_and_names_what_is_missing() -> None:
    headings = (
        Section(heading="GP practice", code="886711000000101", paragraphs=("A <b> & co",)),
        Section(heading="Diagnoses", code="887161000000102", paragraphs=("None held.",), missing=True),
    )
    (composition,) = made(action="discharge-notice", role="gp", headings=headings)["contained"]
    assert composition["type"]["coding"][0]["code"] == "discharge-notice"
    assert composition["author"] == [{"display": "Test Trust"}]
    sections = {section["title"]: section for section in composition["section"]}
    assert sections["GP practice"]["code"]["coding"][0]["code"] == "886711000000101"
    assert "<p>A &lt;b&gt; &amp; co</p>" in sections["GP practice"]["text"]["div"]
    assert sections["Diagnoses"]["emptyReason"]["coding"][0]["code"] == "unavailable"
    assert "emptyReason" not in sections["GP practice"]
    assert all(section["text"]["div"].startswith("<div xmlns=") for section in composition["section"])
