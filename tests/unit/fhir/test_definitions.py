"""Packs as FHIR: valid to two judges, and to R4's required bindings and invariants, which neither of them knows."""

import copy
import json
import re
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from fhirbridge.core.effects import Withdrawal
from fhirbridge.core.vocabulary import OUTCOMES, SETTINGS, SIGNALS
from fhirbridge.fhir import canonical, terminology
from fhirbridge.fhir.r4 import Resource
from fhirbridge.generate import resources, shipped
from tests.unit.fhir.conformance import faults_of_definition

REQUIRED = {
    "status": {"draft", "active", "retired", "unknown"},
    "priority": {"routine", "urgent", "asap", "stat"},
    "intent": {"proposal", "plan", "directive", "order", "original-order", "reflex-order", "filler-order"},
    "content": {"not-present", "example", "fragment", "complete", "supplement"},
    "relationship": {"before-start", "before", "before-end", "concurrent", "after-start", "after", "after-end"},
}
KINDS = {
    "ActivityDefinition": {"Task", "CommunicationRequest", "CarePlan"},
    "condition": {"applicability", "start", "stop"},
}
TYPES = {
    "participant": {"patient", "practitioner", "related-person", "device"},
    "trigger": {"named-event", "periodic", "data-changed", "data-added", "data-modified", "data-removed"},
    "relatedArtifact": {"documentation", "justification", "citation", "predecessor", "successor", "derived-from"},
}


@cache
def made() -> tuple[Resource, ...]:
    """Everything that is published."""
    return tuple(resources(shipped()))


@cache
def by_url() -> dict[str, Resource]:
    return {resource["url"]: resource for resource in made()}


def plans() -> list[Resource]:
    return [resource for resource in made() if resource["resourceType"] == "PlanDefinition"]


def activities() -> list[Resource]:
    return [resource for resource in made() if resource["resourceType"] == "ActivityDefinition"]


def walk(value: Any, name: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    if isinstance(value, dict):
        yield name, value
        for key, inner in value.items():
            yield from walk(inner, key)
    elif isinstance(value, list):
        for inner in value:
            yield from walk(inner, name)


def wrong(resource: Resource) -> list[str]:
    """What R4 has against the resource, in the judges' words and ours."""
    found = faults_of_definition(resource)
    if not re.fullmatch(r"[A-Za-z0-9\-.]{1,64}", resource["id"]):
        found.append("id")
    if not re.fullmatch(r"[A-Z]([A-Za-z0-9_]){0,254}", resource["name"]):
        found.append("name")
    identities = [element["id"] for _, element in walk(resource.get("action")) if "id" in element]
    if len(identities) != len(set(identities)):
        found.append("action.id")
    for name, element in walk(resource):
        found += [key for key, codes in REQUIRED.items() if key in element and element[key] not in codes]
        if name in TYPES and element["type"] not in TYPES[name]:
            found.append(f"{name}.type")
        if name == "condition" and element["kind"] not in KINDS["condition"]:
            found.append("condition.kind")
        if name == "relatedAction" and element["actionId"] not in identities:
            found.append("relatedAction.actionId")
        if name == "trigger" and not element.get("name"):
            found.append("trd-3")
    if resource["resourceType"] == "ActivityDefinition" and "kind" in resource:
        found += [] if resource["kind"] in KINDS["ActivityDefinition"] else ["kind"]
    return found


def test_what_is_published_is_valid() -> None:
    assert {resource["url"]: found for resource in made() if (found := wrong(resource))} == {}


BROKEN: dict[str, Callable[[Resource], object]] = {
    "no status": lambda plan: plan.pop("status"),
    "status": lambda plan: plan.update(status="published"),
    "unknown element": lambda plan: plan["action"][0].update(colour="red"),
    "id": lambda plan: plan.update(id="not an id"),
    "name": lambda plan: plan.update(name="lower-case"),
    "priority": lambda plan: plan["action"][0].update(priority="soon"),
    "condition.kind": lambda plan: plan["action"][0]["condition"][0].update(kind="maybe"),
    "no language": lambda plan: plan["action"][0]["condition"][0]["expression"].pop("language"),
    "trigger.type": lambda plan: plan["action"][0]["trigger"][0].update(type="alarm"),
    "action.id": lambda plan: plan["action"][1].update(id=plan["action"][0]["id"]),
    "relatedAction.actionId": lambda plan: plan["action"][0].update(
        relatedAction=[{"actionId": "nowhere", "relationship": "after"}]
    ),
}


@pytest.mark.parametrize("spoil", BROKEN.values(), ids=BROKEN.keys())
def test_what_is_spoilt_is_not(spoil: Callable[[Resource], object]) -> None:
    plan = copy.deepcopy(plans()[0])
    spoil(plan)

    assert wrong(plan)


def test_each_pack_is_a_plan_under_its_canonical_with_its_pathways_and_steps() -> None:
    for pack in shipped():
        plan = by_url()[canonical.plan_definition(pack.pack)]

        assert plan["version"] == pack.version
        assert [action["id"] for action in plan["action"]] == [pathway.id for pathway in pack.pathways]
        assert [step["id"] for action in plan["action"] for step in action["action"]] == [
            step.id for pathway in pack.pathways for step in pathway.steps
        ]


def test_every_activity_that_a_plan_names_is_there_and_every_one_that_is_there_is_named() -> None:
    named = {
        element["definitionCanonical"].split("|")[0] for _, element in walk(plans()) if "definitionCanonical" in element
    }

    assert named == {activity["url"] for activity in activities()}


def written() -> list[Resource]:
    """The examples of what is written."""
    return [json.loads(file.read_text("utf-8")) for file in sorted((Path(__file__).parent / "golden").glob("*.json"))]


MADE_UP = {canonical.CLAUSE, canonical.WRITE}
"""Systems whose codes are made up in the examples of what is written."""


@pytest.mark.parametrize(("of", "made_up"), [(made, set()), (written, MADE_UP)], ids=["published", "written"])
def test_every_code_of_ours_is_in_its_code_system(of: Callable[[], Sequence[Resource]], made_up: set[str]) -> None:
    listed = {
        (resource["url"], concept["code"])
        for resource in made()
        if resource["resourceType"] == "CodeSystem"
        for concept in resource.get("concept", ())
    }
    used = {
        (element["system"], element["code"])
        for _, element in walk(list(of()))
        if str(element.get("system", "")).startswith(f"{canonical.BASE}/CodeSystem/") and "code" in element
    }

    assert used
    assert {(system, code) for system, code in used if system not in made_up} <= listed


def test_a_condition_carries_its_sentence_and_how_it_is_written() -> None:
    plan = by_url()[canonical.plan_definition("rdash-disengagement")]
    action = next(action for action in plan["action"] if action["id"] == "confirm-pathway")
    expression = action["condition"][0]["expression"]

    assert expression["description"].startswith("An appointment is missed; and at the missed appointment, ")
    assert json.loads(expression["expression"]) == {"missed": {}, "risk-when-missed": ["unknown", "contradictory"]}


def test_an_act_becomes_an_activity_with_role_time_and_profile() -> None:
    activity = by_url()[f"{canonical.BASE}/ActivityDefinition/rdash-5.2-attempts.contact-patient"]

    assert activity["kind"] == "Task"
    assert activity["profile"] == canonical.profile("Task")
    assert activity["priority"] == "routine"
    assert activity["timingDuration"] == {
        "value": 1,
        "unit": "days",
        "system": "http://unitsofmeasure.org",
        "code": "d",
    }
    assert activity["participant"][0]["role"]["coding"][0]["code"] == "care-coordinator"


def test_working_days_are_said_in_words_for_r4_has_no_unit_for_them() -> None:
    activity = by_url()[f"{canonical.BASE}/ActivityDefinition/rdash-5.3-contact.contact-patient"]

    assert activity["timingTiming"] == {"code": {"text": "within two working days"}}


@pytest.mark.parametrize(
    ("meanings", "codes"),
    [
        (terminology.OUTCOMES, OUTCOMES),
        (terminology.SIGNALS, SIGNALS),
        (terminology.SETTINGS, SETTINGS),
    ],
    ids=["outcome", "signal", "setting"],
)
def test_every_word_of_the_vocabulary_is_defined(meanings: dict[str, str], codes: frozenset[str]) -> None:
    assert set(meanings) == codes


def test_each_system_of_the_contract_is_published_with_a_value_set() -> None:
    systems = [value for name, value in vars(canonical).items() if name.isupper() and "/CodeSystem/" in str(value)]
    ours = [url for url in systems if url.startswith(canonical.BASE)]

    assert {url for url in by_url() if "/CodeSystem/" in url} == set(ours)
    for url in ours:
        if by_url()[url]["content"] == "complete":
            assert by_url()[url]["valueSet"] in by_url()
    withdrawal = by_url()[canonical.WITHDRAWAL]
    assert {concept["code"] for concept in withdrawal["concept"]} == {reason.value for reason in Withdrawal}
