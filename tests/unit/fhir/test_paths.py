"""The compiled paths against fhirpathpy, which is the reference for what a FHIRPath means."""

from __future__ import annotations

from typing import Any

import fhirpathpy
import pytest
from fhirpathpy.models import models
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fhirbridge.errors import ConfigurationError, SenderError
from fhirbridge.fhir.paths import compiled, is_everyday

URL = "https://example.org/attendance"

RESOURCES: list[dict[str, Any]] = [
    {
        "resourceType": "Appointment",
        "id": "a1",
        "meta": {"versionId": "2", "tag": [{"system": "t", "code": "x"}, {"system": "t", "code": "y"}]},
        "extension": [
            {"url": URL, "valueCodeableConcept": {"coding": [{"system": "s", "code": "3"}]}},
            {"url": "https://example.org/other", "valueString": "text"},
        ],
        "status": "cancelled",
        "cancelationReason": {"coding": [{"system": "s", "code": "pat-fb"}, {"system": "u", "code": "prov"}]},
        "participant": [
            {"actor": {"reference": "Patient/p1"}, "status": "accepted"},
            {"actor": {"reference": "HealthcareService/h1"}, "status": "accepted"},
            {"status": "needs-action"},
        ],
        "minutesDuration": 30,
    },
    {
        "resourceType": "Task",
        "id": "t1",
        "status": "completed",
        "output": [
            {"type": {"text": "outcome"}, "valueCodeableConcept": {"coding": [{"code": "no-answer"}]}},
            {"type": {"text": "answer"}, "valueReference": {"reference": "Task/2"}},
        ],
        "for": {"reference": "Patient/p1"},
    },
    {
        "resourceType": "Patient",
        "id": "p1",
        "active": False,
        "deceasedBoolean": True,
        "telecom": [{"system": "phone", "value": "01632 960000", "use": "old"}, {"system": "email", "value": "a@b"}],
        "contained": [{"resourceType": "Condition", "id": "c1", "code": {"coding": [{"code": "risk"}]}}],
    },
    {"resourceType": "Condition", "id": "c", "onsetDateTime": "2026-01", "clinicalStatus": {"coding": [{}]}},
    {"resourceType": "Flag", "valueSet": "no choice of a type"},
]

EVERYDAY = [
    "status",
    "Appointment.status",
    "Patient.id",
    "participant.actor.reference",
    "participant.where(status = 'accepted').actor.reference",
    "participant.where(actor.exists()).status",
    "participant.actor.where(reference.startsWith('Patient/')).reference",
    "participant.actor.where(reference.contains('vice/h')).reference",
    "participant.actor.where(reference.endsWith('h1')).reference",
    "participant[0].actor.reference",
    "participant[7]",
    "participant.first().status",
    "participant.last().status",
    "participant.exists()",
    "participant.exists(status = 'needs-action')",
    "basedOn.empty()",
    "meta.tag.where(system = 't' and code = 'y').exists()",
    "meta.tag.where(code = 'x' or code = 'z').code",
    "meta.tag.code | cancelationReason.coding.code",
    "status | status",
    "(status | id).first()",
    "extension('https://example.org/attendance').value.ofType(CodeableConcept).coding.code",
    "extension('https://example.org/other').value as string",
    "extension.value.ofType(CodeableConcept).coding.where(system = 's').code",
    "extension.value",
    "output.value.ofType(CodeableConcept).coding.code",
    "(output[1].value as Reference).reference",
    "output.last().value.as(Reference).reference",
    "output.where(type.text = 'outcome').value.coding.code",
    "deceased.ofType(boolean)",
    "deceased",
    "deceased = true",
    "active = false",
    "active.not()",
    "onset.ofType(dateTime)",
    "telecom.where(system = 'phone' and (use.exists().not() or use != 'old')).exists()",
    "telecom.where(system = 'phone').value",
    "contained.ofType(Condition).code.coding.code",
    "contained.where(code.exists()).id",
    "status = 'cancelled'",
    "status != 'cancelled'",
    "missing = 'x'",
    "missing and true",
    "true or missing",
    "status.not()",
    "value",
    "minutesDuration = 30",
    "{}",
    "'text'",
    "meta.tag.where($this.code = 'x').code",
    "`for`.reference",
    "clinicalStatus.coding.code.exists()",
]

# FHIRPath N1, singleton evaluation: one item that is no truth value counts as true. fhirpathpy is stricter.
SINGLETONS = ["status and true", "missing or status", "status and participant.exists()"]

INTERPRETED = ["participant.count()", "status in ('booked' | 'cancelled')", "participant.select(status)", "id & '-x'"]


def oracle(expression: str, resource: dict[str, Any]) -> list[Any]:
    return list(fhirpathpy.compile(expression, models["r4"])(resource, None))


@pytest.mark.parametrize("expression", EVERYDAY)
def test_the_closures_answer_as_the_reference_does(expression: str) -> None:
    assert is_everyday(expression)
    for resource in RESOURCES:
        assert compiled(expression)(resource) == oracle(expression, resource), resource["resourceType"]


def test_the_expressions_compared_find_something() -> None:
    silent = [e for e in EVERYDAY if not any(compiled(e)(resource) for resource in RESOURCES)]
    assert silent == ["participant[7]", "missing = 'x'", "missing and true", "value", "{}"]


@pytest.mark.parametrize("expression", SINGLETONS)
def test_one_item_of_another_type_counts_as_true(expression: str) -> None:
    assert compiled(expression)(RESOURCES[0]) == [True]


@pytest.mark.parametrize("expression", INTERPRETED)
def test_the_rest_is_left_to_the_reference(expression: str) -> None:
    assert not is_everyday(expression)
    assert compiled(expression)(RESOURCES[0]) == oracle(expression, RESOURCES[0]) != []


@pytest.mark.parametrize(
    ("expression", "position"),
    [
        ("a.b.", 5),
        ("a..b", 3),
        ("a ) b", 3),
        ("participant[0", 14),
        ("where(", 7),
        ("'open", 1),
        ("a b", 3),
        ("participant.wher(x = 'y')", 13),
        ("", 1),
        ("a = = b", 5),
        ("a # b", 3),
    ],
)
def test_a_wrong_expression_is_named_with_the_position(expression: str, position: int) -> None:
    with pytest.raises(ConfigurationError) as error:
        compiled(expression)
    assert f"FHIRPath {expression!r}, position {position}:" in str(error.value)


def test_brackets_without_end_are_refused_not_followed() -> None:
    with pytest.raises(ConfigurationError, match="brackets within brackets"):
        compiled("(" * 3000)


def test_an_interpreted_path_that_data_defeats_names_itself() -> None:
    with pytest.raises(SenderError, match=r"participant\.status\.matches"):
        compiled("participant.status.matches('x')")(RESOURCES[0])


JUNK = st.recursive(
    st.sampled_from([None, True, 0, "", "Patient/p1"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["status", "actor", "reference", "coding", "code", "valueString", "url"]), inner, max_size=3
        )
    ),
    max_leaves=8,
)
PATHS = [compiled(expression) for expression in EVERYDAY]


@given(st.dictionaries(st.sampled_from(["status", "participant", "extension", "meta", "telecom", "output"]), JUNK))
@settings(max_examples=50, suppress_health_check=[HealthCheck.too_slow])
def test_odd_data_finds_something_or_nothing_but_never_fails(resource: dict[str, Any]) -> None:
    for path in PATHS:
        assert isinstance(path(resource), list)
