"""What a FHIR receiver is sent, and what is made of what it says."""

from __future__ import annotations

from copy import deepcopy
from datetime import UTC, datetime
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fhirbridge.core.deliveries import Report
from fhirbridge.errors import SenderError
from fhirbridge.fhir import message
from fhirbridge.fhir.message_answer import LONGEST, acknowledged, heard
from tests.unit.fhir.conformance import faults
from tests.unit.fhir.receiver_messages import (
    COMMUNICATION,
    IDENTITY,
    KEY,
    PERSON,
    SOURCE,
    TO,
    acknowledgement,
    answer,
)


def resources(bundle: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {entry["resource"]["resourceType"]: entry["resource"] for entry in bundle["entry"]}


def test_a_receiver_gets_the_words_and_whom_they_are_about_and_nothing_of_the_epr() -> None:
    bundle = message.message(KEY, COMMUNICATION, PERSON, TO, SOURCE)
    found = resources(bundle)
    header, told, patient = found["MessageHeader"], found["Communication"], found["Patient"]
    assert bundle["entry"][0]["resource"] is header
    assert (header["id"], header["source"]["endpoint"]) == (KEY, SOURCE)
    assert header["destination"] == [{"name": "Example Surgery", "endpoint": TO["endpoint"]}]
    assert header["focus"][0]["reference"] == f"urn:uuid:{told['id']}"
    assert told["payload"] == COMMUNICATION["payload"]
    assert {"system": message.DISPATCH, "value": KEY} in told["identifier"]
    assert IDENTITY in str(told["identifier"])
    assert told["subject"] == {"reference": f"urn:uuid:{patient['id']}"}
    assert set(patient) == {"resourceType", "id", "identifier", "name", "gender", "birthDate"}
    assert patient["identifier"] == [{"system": "https://fhir.nhs.uk/Id/nhs-number", "value": "9990000018"}]
    text = orjson.dumps(bundle).decode()
    for kept in ("Patient/p1", "EpisodeOfCare", "Organization/gp1", "planning-gp-informed", "0161", "12345", "|1.0.0"):
        assert kept not in text


def test_the_same_dispatch_gives_the_same_bytes() -> None:
    once, again = (orjson.dumps(message.message(KEY, deepcopy(COMMUNICATION), PERSON, TO, SOURCE)) for _ in range(2))
    assert once == again


def test_every_part_is_sound_fhir() -> None:
    bundle = message.message(KEY, COMMUNICATION, PERSON, TO, SOURCE)
    assert faults(bundle) == []
    assert faults(message.transaction(KEY, COMMUNICATION, PERSON, TO)) == []


def test_a_transaction_creates_it_once_with_the_patient_in_it() -> None:
    letter = {"resourceType": "Composition", "id": "letter", "subject": {"reference": "Patient/p1"}}
    (entry,) = message.transaction(KEY, COMMUNICATION | {"contained": [letter]}, PERSON, TO)["entry"]
    assert entry["request"] == {
        "method": "POST",
        "url": "Communication",
        "ifNoneExist": f"identifier={message.DISPATCH}|{KEY}",
    }
    told = entry["resource"]
    patient, composition = told["contained"]
    assert told["subject"] == composition["subject"] == {"reference": f"#{patient['id']}"}
    assert "Patient/p1" not in orjson.dumps(told).decode()


def test_without_the_patient_it_goes_all_the_same() -> None:
    assert "Patient" not in resources(message.message(KEY, COMMUNICATION, None, TO, SOURCE))
    assert faults(message.message(KEY, COMMUNICATION, None, TO, SOURCE)) == []


@pytest.mark.parametrize(
    ("bundle", "report", "code"),
    [
        (acknowledgement("ok"), Report.INFRASTRUCTURE_GOOD, ""),
        (acknowledgement("ok", details="30001"), Report.BUSINESS_GOOD, "30001"),
        (acknowledgement("ok", details="other"), Report.INFRASTRUCTURE_GOOD, ""),
        (acknowledgement("fatal-error"), Report.INFRASTRUCTURE_BAD, ""),
        (acknowledgement("transient-error"), Report.INFRASTRUCTURE_BAD, ""),
        (acknowledgement("fatal-error", issue="not-found"), Report.BUSINESS_BAD, ""),
        (acknowledgement("fatal-error", details="30002"), Report.BUSINESS_BAD, "30002"),
        (acknowledgement("fatal-error", details="30004"), Report.DECEASED, "30004"),
        (acknowledgement("fatal-error", details="10001", issue="not-found"), Report.INFRASTRUCTURE_BAD, "10001"),
    ],
)
def test_an_acknowledgement_says_how_far_it_has_come(bundle: dict[str, Any], report: Report, code: str) -> None:
    found = heard(bundle)
    assert (found.about, found.report, found.code) == (KEY, report, code)
    assert found.happened == datetime(2026, 3, 2, 11, 30, tzinfo=UTC)


def test_why_is_kept_in_one_line() -> None:
    assert heard(acknowledgement("fatal-error", says="Not\n known   here")).says == "Not known here"
    assert len(heard(acknowledgement("fatal-error", says="x" * 9999)).says) == LONGEST


def test_an_answer_is_what_the_receiver_wrote_and_when() -> None:
    found = heard(answer("We will\nmonitor."))
    assert (found.about, found.report, found.says) == (KEY, Report.ANSWERED, "We will monitor.")
    assert found.happened == datetime(2026, 3, 2, 12, tzinfo=UTC)


def test_an_answer_may_name_what_it_answers_in_its_header() -> None:
    bundle = answer()
    bundle["entry"][1]["resource"].pop("inResponseTo")
    bundle["entry"][0]["resource"]["response"] = {"identifier": f"urn:uuid:{KEY}", "code": "ok"}
    assert heard(bundle).about == KEY


def changed(bundle: dict[str, Any], **elements: Any) -> dict[str, Any]:
    bundle["entry"][0]["resource"]["response"] |= elements
    return bundle


@pytest.mark.parametrize(
    ("bundle", "complaint"),
    [
        ({"resourceType": "Parameters"}, "Bundle.type: is no message"),
        ({"resourceType": "Bundle", "type": "batch"}, "Bundle.type: is no message"),
        ({"resourceType": "Bundle", "type": "message"}, "Bundle.entry: every entry needs a resource"),
        ({"resourceType": "Bundle", "type": "message", "entry": []}, "Bundle.entry: every entry needs a resource"),
        ({"resourceType": "Bundle", "type": "message", "entry": [{}]}, "Bundle.entry: every entry needs a resource"),
        (
            {"resourceType": "Bundle", "type": "message", "entry": [{"resource": {"resourceType": "Patient"}}]},
            r"Bundle.entry\[0\].resource: a message begins with a MessageHeader",
        ),
        (
            {"resourceType": "Bundle", "type": "message", "entry": [{"resource": {"resourceType": "MessageHeader"}}]},
            "response: is missing; say which message",
        ),
        (changed(acknowledgement(), identifier=""), "response.identifier: give the id of the MessageHeader"),
        (changed(acknowledgement(), code="fine"), "response.code: 'fine' is not allowed; send one of ok"),
        (acknowledgement() | {"timestamp": "yesterday"}, "Bundle.timestamp"),
        (answer(about=""), "Communication.inResponseTo: names no message of ours"),
    ],
)
def test_what_is_no_such_message_is_told_where(bundle: dict[str, Any], complaint: str) -> None:
    with pytest.raises(SenderError, match=complaint):
        heard(bundle)


def test_the_answer_to_the_sending_counts_where_it_is_about_what_was_sent() -> None:
    found = acknowledged(acknowledgement("ok"), KEY)
    assert found is not None
    assert found.report is Report.INFRASTRUCTURE_GOOD
    assert acknowledged(acknowledgement("ok", about="another"), KEY) is None
    others: tuple[Any, ...] = (None, [], {"resourceType": "OperationOutcome"}, "ok")
    for nothing in others:
        assert acknowledged(nothing, KEY) is None


json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["resourceType", "type", "entry", "resource", "response", "identifier", "code", "issue", "inResponseTo"]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(json, st.sampled_from(["MessageHeader", "Communication", "OperationOutcome"]))
def test_whatever_comes_is_understood_or_refused(value: Any, kind: str) -> None:
    inside = {"resource": {"resourceType": kind, "response": value, "inResponseTo": value, "issue": value}}
    first = {"resource": {"resourceType": "MessageHeader", "response": value}}
    for bundle in (
        {"resourceType": "Bundle", "type": "message", "entry": value},
        {"resourceType": "Bundle", "type": "message", "entry": [first, inside]},
    ):
        try:
            heard(bundle)
        except SenderError:
            continue
