"""The profiles hold for what is written, and do not hold for what is faulty: each of the examples, and each spoilt."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
import yaml

from fhirbridge.casebook.__main__ import CHECKOUT
from fhirbridge.core.effects import Kind
from fhirbridge.fhir import canonical
from fhirbridge.fhir.profiles import WRITTEN, structure_definitions
from fhirbridge.fhir.profiles.capabilities import view
from fhirbridge.fhir.r4 import Resource
from fhirbridge.fhir.render import render, simulated, simulated_provenance
from fhirbridge.fhir.view import SEARCHABLE
from fhirbridge.shipped import folder
from tests import validators
from tests.unit.fhir.conformance import faults_of_definition
from tests.unit.fhir.writes import NOW, every_write
from tests.validators import faults_by_base, faults_by_profile, faults_of_written

EXAMPLES = {file.stem: json.loads(file.read_bytes()) for file in sorted(folder("profiles").glob("examples/*.json"))}
NEGATIVE: list[dict[str, Any]] = yaml.safe_load((CHECKOUT / "fixtures" / "profiles" / "negative.yaml").read_text())


def spoilt(resource: Resource, changes: dict[str, Any]) -> Resource:
    """The resource with the changes of a negative example; None takes an element away."""
    resource = copy.deepcopy(resource)
    for path, value in changes.items():
        *parents, last = [int(part) if part.isdecimal() else part for part in path.split(".")]
        within: Any = resource
        for part in parents:
            within = within[part]
        if value is None:
            del within[last]
        else:
            within[last] = value
    return resource


@pytest.mark.parametrize("name", EXAMPLES)
def test_every_example_is_valid(name: str) -> None:
    assert [*faults_by_profile(EXAMPLES[name]), *faults_by_base(EXAMPLES[name])] == []


def test_every_type_that_is_written_has_a_profile_and_an_example() -> None:
    types = {profile.type for profile in WRITTEN}

    assert types == {*Kind, "Provenance"} == set(validators.WRITTEN) == set(SEARCHABLE)
    assert {example["resourceType"] for example in EXAMPLES.values()} == types
    assert {each["url"] for each in structure_definitions("1")} == {
        *(canonical.profile(kind) for kind in types),
        canonical.RECIPIENT_ROLE,
    }


@pytest.mark.parametrize("negative", NEGATIVE, ids=[each["name"] for each in NEGATIVE])
def test_what_is_faulty_is_found(negative: dict[str, Any]) -> None:
    found = faults_of_written(spoilt(EXAMPLES[negative["of"]], negative["set"]))

    assert [fault for fault in found if negative["found"] in fault], found


def test_the_fault_is_found_although_one_of_the_same_shape_was_valid() -> None:
    sound = EXAMPLES["Task-asked"]

    assert faults_of_written(sound) == []
    assert faults_of_written(spoilt(sound, {"for.reference": "Patient"}))
    assert faults_of_written(spoilt(sound, {"restriction.period.end": "2026-02-03T10:00:00"}))
    assert faults_of_written(spoilt(sound, {"code.coding.0.code": "ring-up"}))


def test_a_type_without_a_profile_is_no_pass() -> None:
    assert faults_by_profile({"resourceType": "Basic", "id": "x"}) == ["pyrofile: no profile of Basic is loaded"]


@pytest.mark.parametrize("name", every_write())
def test_every_kind_of_write_is_valid_as_an_epr_would_hold_it(name: str) -> None:
    write, setting = every_write()[name]
    outgoing = render(write, setting)

    assert faults_of_written(simulated_provenance(outgoing, NOW)) == []
    if outgoing.verb == "create":
        assert faults_of_written(simulated(outgoing, NOW)) == []


def test_the_structure_definitions_are_valid_themselves() -> None:
    for structure in structure_definitions("1"):
        assert faults_of_definition(structure) == []
        ids = [element["id"] for element in structure["differential"]["element"]]
        assert len(ids) == len(set(ids))


def test_the_view_says_what_it_searches_by() -> None:
    (rest,) = view("1")["rest"]

    told = {each["type"]: [one["name"] for one in each["searchParam"]] for each in rest["resource"]}
    assert told == {kind: list(parameters) for kind, parameters in SEARCHABLE.items()}
