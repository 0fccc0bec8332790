"""AuditEvents are FHIR, and say who looked at what about whom."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime

import fhirkit
import pytest
from fhir.resources.R4B import get_fhir_model_class

from fhirbridge.fhir.audit_event import Access, Did, audit_event

AT = datetime(2026, 3, 2, 12, tzinfo=UTC)


def access(did: Did, *, person: bool) -> Access:
    return Access(
        did=did,
        at=AT,
        who="a.nwosu",
        known_as="Amara Nwosu",
        role="Team manager",
        person=person,
        patients=("http://epr.example/fhir/Patient/p1",),
        what=("http://view.example/fhir/Task/t1",),
        query="Task?status=requested",
        address="127.0.0.1",
    )


@pytest.mark.parametrize("person", [True, False])
@pytest.mark.parametrize("did", ["read", "vread", "search-type", "operation", "look", "complete", "login", "logout"])
def test_it_is_valid_r4(did: Did, person: bool) -> None:
    event = audit_event(access(did, person=person))

    assert [str(issue) for issue in fhirkit.validate(json.dumps(event))] == []
    get_fhir_model_class("AuditEvent").model_validate(event)


def test_it_names_who_looked_at_whom_and_what_was_asked() -> None:
    event = audit_event(access("search-type", person=True))

    [agent] = event["agent"]
    assert agent["who"]["identifier"]["value"] == "a.nwosu"
    assert (agent["name"], agent["role"], agent["requestor"]) == ("Amara Nwosu", [{"text": "Team manager"}], True)
    patient, thing, query = event["entity"]
    assert patient["what"]["reference"] == "http://epr.example/fhir/Patient/p1"
    assert thing["what"]["reference"] == "http://view.example/fhir/Task/t1"
    assert base64.b64decode(query["query"]).decode() == "Task?status=requested"
    assert (event["recorded"], event["outcome"]) == ("2026-03-02T12:00:00Z", "0")


def test_what_was_refused_is_told_from_what_was_shown() -> None:
    assert audit_event(Access(did="login", at=AT, who="x", refused=True))["outcome"] == "4"
