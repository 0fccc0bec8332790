"""What R4 asks of the resources that the service reads."""

from __future__ import annotations

from typing import Any

import pytest

from fhirbridge.errors import SenderError
from fhirbridge.fhir.r4 import RESOURCE_TYPES, SHAPES
from fhirbridge.fhir.validation import check


def resource(kind: str, **elements: Any) -> dict[str, Any]:
    shape = SHAPES.get(kind)
    meant = {element: sorted(codes)[0] for element, codes in shape.codes if element in shape.required} if shape else {}
    return {
        "resourceType": kind,
        "id": "x",
        "meta": {"lastUpdated": "2026-01-05T10:00:00.123+01:00"},
        **meant,
        **elements,
    }


@pytest.mark.parametrize("kind", sorted(RESOURCE_TYPES))
def test_every_resource_type_of_r4_is_known(kind: str) -> None:
    check(resource(kind))


@pytest.mark.parametrize(
    "kind",
    ["SubscriptionStatus", "ActorDefinition", "DomainResource", "Resource", "CodeableConcept", "appointment", ""],
)
def test_other_types_are_not(kind: str) -> None:
    with pytest.raises(SenderError, match="not a resource type of FHIR R4"):
        check(resource(kind))


@pytest.mark.parametrize(("kind", "element"), [(k, e) for k, shape in SHAPES.items() for e in shape.required])
def test_what_r4_requires_must_be_there(kind: str, element: str) -> None:
    with pytest.raises(SenderError) as error:
        check(resource(kind, **{element: None}))
    assert (error.value.place, error.value.issue) == (f"{kind}.{element}", "required")


@pytest.mark.parametrize(("kind", "element"), [(k, e) for k, shape in SHAPES.items() for e, _ in shape.codes])
def test_required_bindings_hold(kind: str, element: str) -> None:
    with pytest.raises(SenderError) as error:
        check(resource(kind, **{element: "bogus"}))
    assert (error.value.place, error.value.issue) == (f"{kind}.{element}", "code-invalid")


@pytest.mark.parametrize(
    ("kind", "element"),
    [
        (kind, element)
        for kind, shape in SHAPES.items()
        for element in (*shape.instants, *shape.dates, *shape.date_times)
    ],
)
def test_impossible_dates_are_refused_everywhere(kind: str, element: str) -> None:
    with pytest.raises(SenderError) as error:
        check(resource(kind, **{element: "2026-13-45"}))
    assert error.value.place == f"{kind}.{element}"


@pytest.mark.parametrize(("kind", "path"), [(k, p) for k, shape in SHAPES.items() for p in shape.periods])
@pytest.mark.parametrize("side", ["start", "end"])
def test_impossible_dates_are_refused_in_every_period(kind: str, path: str, side: str) -> None:
    value: Any = {side: "2026-02-30"}
    for step in reversed(path.split(".")[1:]):
        value = [{step: value}]
    with pytest.raises(SenderError) as error:
        check(resource(kind, **{path.split(".", maxsplit=1)[0]: value}))
    assert error.value.place.replace("[0]", "") == f"{kind}.{path}.{side}"


@pytest.mark.parametrize(
    ("kind", "elements"),
    [
        ("Appointment", {"start": "2026-03-29T01:30:00.123456789+14:00", "status": "noshow"}),
        ("Appointment", {"start": "2016-12-31T23:59:60Z"}),
        ("Patient", {"birthDate": "1990"}),
        ("Patient", {"birthDate": "1990-02", "deceasedDateTime": "2026-01"}),
        ("EpisodeOfCare", {"period": {"start": "2026", "end": "9999-12-31"}}),
        ("EpisodeOfCare", {"period": {"end": "9999-12-31T23:59:59-14:00"}}),
        ("Condition", {"clinicalStatus": {"coding": [{"system": "https://local.example", "code": "whatever"}]}}),
        ("Condition", {"clinicalStatus": {"text": "active"}}),
    ],
)
def test_what_r4_allows_is_accepted(kind: str, elements: dict[str, Any]) -> None:
    check(resource(kind, **elements))


@pytest.mark.parametrize(
    ("kind", "elements", "place"),
    [
        ("Patient", {"birthDate": "1990-02-30"}, "Patient.birthDate"),
        ("Patient", {"birthDate": "0001-01-01"}, "Patient.birthDate"),
        ("Patient", {"birthDate": "1990-02-03T10:00:00Z"}, "Patient.birthDate"),
        ("Patient", {"birthDate": "9999"}, "Patient.birthDate"),
        ("Patient", {"birthDate": "\u0661990"}, "Patient.birthDate"),
        ("EpisodeOfCare", {"period": "2026"}, "EpisodeOfCare.period"),
        ("EpisodeOfCare", {"period": {"start": "9999"}}, "EpisodeOfCare.period.start"),
        ("Task", {"restriction": {"period": {"end": "2026-02-30"}}}, "Task.restriction.period.end"),
        ("Task", {"executionPeriod": {"end": "2026-02-30"}}, "Task.executionPeriod.end"),
        ("Communication", {"sent": "yesterday"}, "Communication.sent"),
        ("Encounter", {"period": {"start": "2026-1-1"}}, "Encounter.period.start"),
        (
            "Consent",
            {"provision": {"provision": [{}, {"period": {"end": "never"}}]}},
            "Consent.provision.provision[1].period.end",
        ),
        ("Condition", {"clinicalStatus": "active"}, "Condition.clinicalStatus"),
        ("Condition", {"clinicalStatus": {"coding": ["active"]}}, "Condition.clinicalStatus.coding[0]"),
        (
            "Condition",
            {
                "clinicalStatus": {
                    "coding": [{"system": "http://terminology.hl7.org/CodeSystem/condition-clinical", "code": "bad"}]
                }
            },
            "Condition.clinicalStatus.coding[0].code",
        ),
    ],
)
def test_what_r4_forbids_is_refused(kind: str, elements: dict[str, Any], place: str) -> None:
    with pytest.raises(SenderError) as error:
        check(resource(kind, **elements))
    assert error.value.place == place


def test_refusals_are_short_whatever_was_sent() -> None:
    with pytest.raises(SenderError) as error:
        check(resource("Patient", birthDate="9" * 100_000))
    assert len(str(error.value)) < 300
