"""ITK3 messages: the published rules hold, the bytes are stable, and answers are read for what they say."""

from __future__ import annotations

import copy
from base64 import b64encode
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from fhir.resources.STU3 import get_fhir_model_class

from fhirbridge.errors import Defect, SenderError
from fhirbridge.fhir.itk3 import (
    HANDLING_FIELDS,
    SEND_DOCUMENT,
    Document,
    Sender,
    document_of,
    message,
)
from fhirbridge.fhir.itk3_answer import answers
from fhirbridge.fhir.itk3_rules import MAILBOX, RULES, faults
from fhirbridge.fhir.practice_address import identity_of
from fhirbridge.fhir.stu3 import FHIR, from_xml, to_xml
from tests.servers.practice import answer

GOLDEN = Path(__file__).parent / "messages" / "send-document.xml"
KEY = "2e1d8e73-5a64-4f1d-8c2a-3b5c7e7a9b02"
SENDER = Sender(ods="X26", name="Test Trust & Co", telephone="01632 960001", mailbox="X26ABC1")
PATIENT: dict[str, Any] = {
    "resourceType": "Patient",
    "name": [{"use": "official", "given": ["Test"], "family": "O'Person <&>"}],
    "birthDate": "1980-03-02",
    "identifier": [{"system": "https://fhir.nhs.uk/Id/nhs-number", "value": "999 000 0018"}],
}
DOCUMENT = Document(
    key=KEY,
    title="Discharge from our service",
    written=datetime(2026, 3, 28, 10, 5, tzinfo=UTC),
    pdf=b64encode(b"%PDF-1.7 a letter").decode(),
    patient=PATIENT,
)


def test_what_is_sent_follows_every_published_rule() -> None:
    assert faults(message(DOCUMENT, SENDER), SEND_DOCUMENT) == []


def test_the_bytes_are_stable() -> None:
    made = to_xml(message(DOCUMENT, SENDER))
    assert made == GOLDEN.read_bytes(), "if the change is meant, write the file anew and read the difference"


def resources(value: Any) -> list[dict[str, Any]]:
    if isinstance(value, list):
        return [resource for each in value for resource in resources(each)]
    if not isinstance(value, dict):
        return []
    inner = [resource for each in value.values() for resource in resources(each)]
    return [value, *inner] if "resourceType" in value else inner


def test_an_independent_model_of_stu3_takes_every_resource_and_has_the_same_order_of_elements() -> None:
    for resource in resources(message(DOCUMENT, SENDER)):
        model = get_fhir_model_class(resource["resourceType"])
        model.model_validate(resource)
        order = list(model.elements_sequence())
        written = [name for name in resource if name != "resourceType"]
        assert written == sorted(written, key=order.index), resource["resourceType"]


def broken(change: Callable[[dict[str, Any]], Any]) -> list[str]:
    bundle = copy.deepcopy(message(DOCUMENT, SENDER))
    change(bundle)
    return [fault.split(":")[0] for fault in faults(bundle, SEND_DOCUMENT)]


def header(bundle: dict[str, Any]) -> dict[str, Any]:
    return bundle["entry"][0]["resource"]  # type: ignore[no-any-return]


def inner(bundle: dict[str, Any], n: int) -> dict[str, Any]:
    return bundle["entry"][2]["resource"]["entry"][n]["resource"]  # type: ignore[no-any-return]


BREAKING: list[tuple[str, Callable[[dict[str, Any]], Any]]] = [
    ("ITK-Message-Bundle-1", lambda b: b.update(type="transaction")),
    ("ITK-Message-Bundle-1", lambda b: b.pop("identifier")),
    ("ITK-MessageHeader-2", lambda b: b["entry"].reverse()),
    ("ITK-MessageHeader-2", lambda b: header(b).update(author={"display": "x"})),
    ("GPCM-SD-045", lambda b: header(b).pop("sender")),
    ("GPCM-SD-046", lambda b: header(b)["source"].update(endpoint="01632960001")),
    ("GPCM-SD-046", lambda b: header(b)["source"].update(name="x")),
    ("GPCM-SD-047", lambda b: header(b)["event"].update(code="ITK006D")),
    ("GPCM-SD-048", lambda b: header(b).update(timestamp="2026-03-28T10:05:00")),
    ("GPCM-SD-103", lambda b: header(b)["focus"].append({"reference": "urn:uuid:x"})),
    ("GPCM-SD-104", lambda b: b["entry"][2]["resource"]["entry"].reverse()),
    ("GPCM-SD-105", lambda b: inner(b, 0).pop("custodian")),
    ("GPCM-SD-106", lambda b: inner(b, 0).pop("subject")),
    ("GPCM-SD-107", lambda b: inner(b, 0).update(author=[inner(b, 0)["subject"]])),
    ("GPCM-SD-028", lambda b: inner(b, 1).pop("telecom")),
    ("GPCM-SD-035", lambda b: inner(b, 2).pop("birthDate")),
    ("GPCM-SD-108", lambda b: inner(b, 3).pop("meta")),
    ("GPCM-SD-110", lambda b: inner(b, 0).update(section=[])),
    ("GPCM-SD-111", lambda b: inner(b, 3).update(content="bm8=")),
    ("GPCM-SD-115", lambda b: inner(b, 0)["type"]["coding"][0].update(system="x")),
    ("STU3", lambda b: inner(b, 0)["subject"].update(reference="urn:uuid:nowhere")),
]


@pytest.mark.parametrize(("rule", "change"), BREAKING)
def test_a_message_that_breaks_a_rule_is_found(rule: str, change: Callable[[dict[str, Any]], Any]) -> None:
    assert rule in broken(change)


@pytest.mark.parametrize("field", range(len(HANDLING_FIELDS)))
def test_without_one_of_the_six_handling_fields_it_is_found(field: int) -> None:
    found = broken(lambda b: header(b)["extension"][0]["extension"].pop(field))
    assert "Extension-ITK-MessageHandling-2" in found
    assert len(found) == 2  # the field's own rule too


def test_every_rule_can_fail() -> None:
    fields = {"GPCM-SD-040", "GPCM-SD-041", "GPCM-SD-042", "GPCM-SD-043", "GPCM-SD-044", "GPCM-SD-070"}
    handled = {*fields, "Extension-ITK-MessageHandling-2"}
    assert {rule for rule, _, _ in RULES} == {rule for rule, _ in BREAKING} | handled


def test_a_receiver_is_named_only_where_it_is_known() -> None:
    assert "receiver" not in header(message(DOCUMENT, SENDER))
    known = message(
        Document(**{f: getattr(DOCUMENT, f) for f in DOCUMENT.__struct_fields__} | {"receiver": "A12345"}), SENDER
    )
    assert faults(known, SEND_DOCUMENT) == []
    assert known["entry"][2]["resource"]["identifier"][0]["value"] == "A12345"


def test_the_header_is_called_by_the_key_so_that_answers_find_it() -> None:
    bundle = message(DOCUMENT, SENDER)
    assert (header(bundle)["id"], bundle["identifier"]["value"]) == (KEY, KEY)


def test_names_cannot_break_out_of_the_xml() -> None:
    root = ElementTree.fromstring(to_xml(message(DOCUMENT, SENDER)))
    (family,) = root.iter(f"{{{FHIR}}}family")
    assert family.get("value") == "O'Person <&>"
    assert to_xml({"resourceType": "Basic", "text": "a\u0000b\ufffe"}).endswith(b'<text value="ab"/></Basic>')


def test_empty_elements_are_never_written() -> None:
    with pytest.raises(Defect, match="text has no value"):
        to_xml({"resourceType": "Basic", "text": ""})


def test_the_letter_comes_from_the_communication() -> None:
    attached = {
        "contentType": "application/pdf",
        "data": "JVBERi0=",
        "title": "T",
        "creation": "2026-03-28T10:05:00+00:00",
    }
    payload = [{"contentString": "words"}, {"contentAttachment": attached}]
    made = document_of(KEY, {"payload": payload}, PATIENT)
    assert (made.title, made.pdf, made.written) == ("T", "JVBERi0=", datetime(2026, 3, 28, 10, 5, tzinfo=UTC))
    with pytest.raises(SenderError, match="no letter as PDF: set letters"):
        document_of(KEY, {"payload": payload[:1]}, PATIENT)


def test_the_practice_is_found_by_number_date_of_birth_and_family_name() -> None:
    assert identity_of(PATIENT).address == "GPPROVIDER_9990000018_19800302_O'Person <&>"


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"identifier": []}, "lacks an NHS number"),
        ({"identifier": [{"system": "https://fhir.nhs.uk/Id/nhs-number", "value": "12"}]}, "lacks an NHS number"),
        ({"birthDate": "1980"}, "lacks a full date of birth"),
        ({"name": [{"text": "Test"}]}, "lacks a family name"),
        ({"name": [{"use": "old", "family": "Former"}], "birthDate": None}, "a full date of birth and a family name"),
    ],
)
def test_a_patient_nobody_could_find_is_named_by_what_is_lacking(changes: dict[str, Any], told: str) -> None:
    with pytest.raises(SenderError, match=told):
        identity_of({**PATIENT, **changes})


@pytest.mark.parametrize(
    ("mailbox", "good"),
    [
        ("X26ABC1", True),
        ("5QFOT001", True),
        ("01632960001", False),
        ("x26abc1", False),
        ("X26 ABC", False),
        ("", False),
    ],
)
def test_a_telephone_number_is_no_mailbox(mailbox: str, good: bool) -> None:
    assert bool(MAILBOX.fullmatch(mailbox)) is good


def test_an_answer_says_which_message_it_is_about_and_what_became_of_it() -> None:
    (one,) = answers(answer(KEY, "20013", "ok"), "a message")
    assert (one.about, one.code, one.says) == (KEY, "20013", "Success")
    assert one.at == datetime(2026, 3, 28, 11, 0, tzinfo=UTC)
    (bad,) = answers(
        answer(f"urn:uuid:{KEY.upper()}", "30003", "fatal-error", says="Patient not known here"), "a message"
    )
    assert (bad.about, bad.code, bad.says) == (KEY, "30003", "Patient not known here")


@pytest.mark.parametrize(
    ("document", "told"),
    [
        (b"\xff\xfe", "is not UTF-8"),
        (b"no xml", "is no XML"),
        (b"<Bundle/>", "is no FHIR"),
        (b'<!DOCTYPE x [<!ENTITY a "b">]><Bundle xmlns="http://hl7.org/fhir"/>', "document type or entities"),
        (b'<Bundle xmlns="http://hl7.org/fhir"/>', "has no MessageHeader"),
        (to_xml(message(DOCUMENT, SENDER)), "its event is not ITK008M"),
        (answer("", "20013", "ok"), "has no response.identifier"),
        (answer(KEY, "", "ok"), "has no response code"),
        (answer(KEY, "20013", "ok").replace(b"2026-03-28T11:00:00+00:00", b"yesterday"), "'yesterday' is no instant"),
        (answer(KEY, "20013", "ok").replace(b"11:00:00+00:00", b"11:00:00"), "has no offset"),
    ],
)
def test_what_is_no_answer_is_refused_by_what_is_wrong_with_it(document: bytes, told: str) -> None:
    with pytest.raises(SenderError, match=f"a message: .*{told}"):
        answers(document, "a message")


def test_a_comment_is_no_document_type() -> None:
    assert from_xml(b'<!-- x --><Bundle xmlns="http://hl7.org/fhir"/>', "a message").tag == f"{{{FHIR}}}Bundle"
