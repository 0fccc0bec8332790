"""Counting what a mapping made of many resources."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from fhirbridge.fhir.mapping import Mapping
from fhirbridge.fhir.mapping_tally import Tally, in_general

UK_CORE = Mapping.load("uk-core", [Path(__file__).parents[3] / "mappings"])


def appointment(*patients: str, **elements: Any) -> dict[str, Any]:
    return {
        "resourceType": "Appointment",
        "id": "a",
        "meta": {"lastUpdated": "2026-01-05T10:00:00Z"},
        "status": "noshow",
        "participant": [{"actor": {"reference": f"Patient/{patient}"}} for patient in patients],
        **elements,
    }


def tallied(*resources: dict[str, Any]) -> Tally:
    tally = Tally()
    for resource in resources:
        tally.add(resource["resourceType"], UK_CORE.trace(resource))
    return tally


def test_the_most_frequent_comes_first_and_nobody_is_named() -> None:
    reason = {"status": "cancelled", "cancelationReason": {"coding": [{"system": "urn:x", "code": "7"}]}}
    said = tallied(
        appointment("p1"),
        appointment("p1", **reason),
        appointment("p2", **reason),
        appointment(),
        appointment("p1", "p2"),
        appointment("p3", "p4"),
        {"resourceType": "Observation", "id": "o"},
    ).lines()
    assert said[0] == "7 resources: appointment 3."
    assert said[1] == "Of no use here: Observation 1."
    assert said[2] == "Could not be mapped:"
    assert said[3].startswith(
        "       2 times Appointment: patient: the resource names 2 patients, Patient/…, Patient/…;"
    )
    assert said[4].startswith("       1 times Appointment: patient: the resource names no patient")
    assert said[5:] == [
        "Codes that no concept map knows:",
        "       2 times urn:x|7 (Appointment, state; map attendance, cancellation)",
    ]
    assert "p3" not in "".join(said)


@pytest.mark.parametrize(
    ("reason", "general"),
    [
        ("names 2 patients, Patient/p1, RelatedPerson/x-9.a", "names 2 patients, Patient/…, RelatedPerson/…"),
        ("start: 2026-02-30T09:00:00+01:00 is not possible", "start: … is not possible"),
        ("nothing found for permits (/etc/mappings/own/mapping.yaml:7)", None),
    ],
)
def test_what_is_particular_to_one_resource_is_left_out(reason: str, general: str | None) -> None:
    assert in_general(reason) == (general or reason)
