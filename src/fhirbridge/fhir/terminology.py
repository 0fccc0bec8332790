"""The service's own code systems and value sets as FHIR resources, made from the codes that the code itself uses.

A CodeSystem for each system of the contract, complete, with a display and a definition for each code, and a ValueSet of
all of it. The codes of `clause` are the rows that the packs implement; those of `write` are derived one by one, so that
system has no list.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from msgspec import Struct

from fhirbridge.core.authoring import PackFile
from fhirbridge.core.codes import ACTIONS, ROLES, display
from fhirbridge.fhir import canonical
from fhirbridge.fhir.r4 import Resource
from fhirbridge.fhir.render.elements import WITHDRAWN

OUTCOMES = {
    "contact-made": "The patient was reached",
    "no-answer": "Nobody answered",
    "message-left": "A message was left",
    "calling-card-left": "Nobody was met, and a calling card was left",
    "declined": "The patient was reached and does not want to go on",
    "deteriorated": "The patient was reached, and their health has become worse",
    "well-wants-discharge": "The patient was reached, is well and wishes to be discharged",
    "goals-met": "The patient was reached; their goals are met, and they do not wish to go on",
    "fit-concern": "The patient was reached, and is concerned whether the provider fits them",
    "immediate-risk": "There is a real and immediate risk to life or of significant harm",
    "plan-agreed": "A plan was agreed",
    "discharge-agreed": "It was decided, or agreed, to discharge",
    "discharge-not-agreed": "It was decided not to discharge, or the discharge was not agreed",
    "higher-risk": "The pathway for higher risk fits",
    "lower-risk": "The pathway for lower risk fits",
    "done": "It was done",
    "not-appropriate": "It was considered, and is not appropriate",
}
SIGNALS = {
    "risk": "There is a risk",
    "risk-high": "There is a high risk",
    "risk-none": "The absence of risk was established",
    "self-harm-risk": "There is a risk of self-harm",
    "immediate-risk": "There is a real and immediate risk to life or of significant harm",
    "child-contact": "A child is in the patient's care or in contact with them",
    "child-concern": "The referrer stated a concern about a child",
    "child-services": "Services are engaged with a child of the patient",
    "safeguarding-adult": "There is a safeguarding concern about an adult",
    "safeguarding-child": "There is a safeguarding concern about a child",
    "community-treatment-order": "The patient is subject to a community treatment order",
    "conditional-discharge": "The patient is conditionally discharged under the Mental Health Act",
    "capacity-doubt": "It is doubtful whether the patient has capacity for a decision",
    "disengagement-concern": "Somebody is concerned that the patient is disengaging",
    "disengagement-history": "The patient has disengaged from services before",
    "sharing-refused": "The patient refuses that information is shared",
    "agency-linked": "Another agency is involved in the patient's care",
    "contact-restricted": "Contact with the family is restricted",
    "confinement": "The person is confined on their own",
    "single-person-setting": "The person lives in a setting for a single person",
    "section-117": "The person is entitled to aftercare under section 117",
    "hearing-arranged": "A tribunal or a managers' hearing is arranged",
    "ready-for-discharge": "The person is ready for discharge",
}
SETTINGS = {
    "community": "Care by a community team",
    "home-treatment": "Intensive care at home instead of in hospital",
    "inpatient": "Care in hospital",
    "therapy": "Talking therapy",
}
_TASK_INPUT = {
    "clause": "A row of the policy that asks for this",
    "because": "Why it is asked for, in plain English",
    "detail": "What the record holds that whoever does it has to know, under a heading",
    "evidence": "A version of a resource that counts for it",
}
_TASK_OUTPUT = {
    "answered-by": "The resource that answered this",
    "outcome": "What came of it",
}
_ORIGIN = {"fhirbridge": "Written by fhirbridge"}


class System(Struct, frozen=True):
    """One code system: its codes with their definitions, and the displays that are not made from the code."""

    url: str
    title: str
    says: str
    codes: Mapping[str, str]
    displays: Mapping[str, str] = {}

    @property
    def name(self) -> str:
        """The last part of its URL, which is its id too."""
        return self.url.rpartition("/")[2]


def systems(packs: Iterable[PackFile]) -> tuple[System, ...]:
    """Every code system of the service, `clause` with the rows of these packs."""
    withdrawals = {reason.value: meaning for reason, (_, meaning) in WITHDRAWN.items()}
    shown = {reason.value: words for reason, (words, _) in WITHDRAWN.items()}
    clauses = _clauses(packs)
    rows = {row: row for row in clauses}
    return (
        System(canonical.ACTION, "Action", "What is done, told or stated.", ACTIONS),
        System(canonical.ROLE, "Role", "Who acts or is told.", ROLES),
        System(canonical.OUTCOME, "Outcome of a step", "What came of a task.", OUTCOMES),
        System(canonical.SIGNAL, "Signal", "What an EPR can state about a patient for policies to act on.", SIGNALS),
        System(canonical.SETTING, "Setting", "The setting of an episode of care.", SETTINGS),
        System(canonical.WITHDRAWAL, "Reason of withdrawal", "Why something was withdrawn.", withdrawals, shown),
        System(canonical.CLAUSE, "Clause", "The rows of the policies that steps implement.", clauses, rows),
        System(canonical.TASK_INPUT, "Input of a task", "What a task tells whoever does it.", _TASK_INPUT),
        System(canonical.TASK_OUTPUT, "Output of a task", "What a task says when it is done.", _TASK_OUTPUT),
        System(canonical.ORIGIN, "Origin", "Who wrote a resource.", _ORIGIN),
        System(canonical.WRITE, "Write", "Which write a Provenance tells of; one code is derived for each.", {}),
    )


def terminology(packs: Iterable[PackFile], version: str) -> tuple[Resource, ...]:
    """The code systems and their value sets as FHIR R4 resources of that version."""
    made = systems(packs)
    return (
        *(_code_system(each, version) for each in made),
        *(_value_set(each, version) for each in made if each.codes),
    )


def _clauses(packs: Iterable[PackFile]) -> dict[str, str]:
    """Each row by its id, with the titles of the steps that implement it."""
    titles: dict[str, list[str]] = {}
    for pack in packs:
        for pathway in pack.pathways:
            for step in pathway.steps:
                titles.setdefault(step.row or step.id, []).append(step.title)
    return {row: "; ".join(dict.fromkeys(titles[row])) for row in sorted(titles)}


def _code_system(system: System, version: str) -> Resource:
    resource = _head("CodeSystem", system, version) | {"caseSensitive": True}
    if not system.codes:
        return resource | {"content": "not-present"}
    concepts = [
        {"code": code, "display": system.displays.get(code) or display(code), "definition": f"{meaning}."}
        for code, meaning in system.codes.items()
    ]
    return resource | {
        "valueSet": f"{canonical.BASE}/ValueSet/{system.name}",
        "content": "complete",
        "count": len(concepts),
        "concept": concepts,
    }


def _value_set(system: System, version: str) -> Resource:
    return _head("ValueSet", system, version) | {"compose": {"include": [{"system": system.url}]}}


def _head(kind: str, system: System, version: str) -> Resource:
    return {
        "resourceType": kind,
        "id": system.name,
        "url": f"{canonical.BASE}/{kind}/{system.name}",
        "version": version,
        "name": computable(system.name),
        "title": system.title,
        "status": "active",
        "experimental": False,
        "publisher": "fhirbridge",
        "description": system.says,
    }


def computable(identifier: str) -> str:
    """A name for programs, as R4 asks of `name` (`[A-Z]([A-Za-z0-9_]){0,254}`): `task-input` is `TaskInput`."""
    words = "".join(letter if letter.isalnum() else " " for letter in identifier).split()
    return "".join(word[:1].upper() + word[1:] for word in words)
