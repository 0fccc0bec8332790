"""Two independent validators for what the service writes, and one question to both: what is wrong with this?

pyrofile enforces our profiles, code systems and R4's elements; fhirkit knows R4's structure, types and formats in ways
of its own. Of what the first says errors count, and the rules of our own profiles, which are warnings for the sake of
staff alone; it also warns of every reference that is not in the same set. A profile that it does not know is a mere
warning to it, and everything would pass; so every resource has to name a profile of ours that is loaded, and the
validator is told to enforce it.

What differs in nothing but names, times and free text is the same to a validator: of each shape the first is looked at.
"""

from __future__ import annotations

import json
import re
from functools import lru_cache
from typing import Any

import fhirkit
from pyrofile_validator import Validator
from pyrofile_validator.config import ValidatorConfig
from pyrofile_validator.core.definitions import r4_resource_def

from fhirbridge.fhir import canonical
from fhirbridge.fhir.r4 import SHAPES, Resource
from fhirbridge.shipped import folder

WRITTEN = ("Task", "Communication", "Flag", "CarePlan", "Provenance")
DEFINITIONS = ("StructureDefinition", "CodeSystem", "ValueSet")

POINT_STATES = "http://hl7.org/fhir/ValueSet/care-plan-activity-status"
POINT_CODES = (
    *("not-started", "scheduled", "in-progress", "on-hold", "completed"),
    *("cancelled", "stopped", "unknown", "entered-in-error"),
)

_FREE = frozenset({"description", "text", "title", "valueString", "contentString", "display", "valueDateTime"})
_REFERENCE = re.compile(r"([A-Za-z]+)/[A-Za-z0-9\-.]{1,64}(/_history/[A-Za-z0-9\-.]{1,64})?")
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_TIME = re.compile(r"\d{4}-\d\d(-\d\d(T.*)?)?")

_seen: set[str] = set()


def faults_of_written(resource: Resource) -> list[str]:
    """What either validator has against a resource as an EPR holds it after a write of the service."""
    shape = json.dumps(_shape(resource), sort_keys=True)
    if shape in _seen:
        return []
    found = [*faults_by_profile(resource), *faults_by_base(resource)]
    if not found:
        _seen.add(shape)
    return found


def faults_by_base(resource: Resource) -> list[str]:
    """fhirkit's findings."""
    return [f"fhirkit: {issue}" for issue in fhirkit.validate(json.dumps(resource))]


def faults_by_profile(resource: Resource) -> list[str]:
    """pyrofile's errors, by our profile of the type."""
    kind = str(resource.get("resourceType"))
    validator = profiles()
    if kind not in WRITTEN or validator.profile_registry.get(canonical.profile(kind)) is None:
        return [f"pyrofile: no profile of {kind} is loaded"]
    issues = validator.validate_resource(resource).issues
    told = [
        f"{issue.code} at {issue.path}: {issue.message}"
        for issue in issues
        if issue.severity.value == "error" or "invariant.fhirbridge-" in issue.code
    ]
    return [f"pyrofile: {one}" for one in dict.fromkeys(told)]


@lru_cache(maxsize=1)
def profiles() -> Validator:
    """pyrofile with everything that `profiles/` defines."""
    enforced = {kind: [canonical.profile(kind)] for kind in WRITTEN}
    config = ValidatorConfig(
        local_package_paths=[str(folder("profiles") / kind) for kind in DEFINITIONS], profiles=enforced
    )
    # Its list of a Task's statuses ends after the first four, as the short text of that element does.
    task = r4_resource_def("Task")
    assert task is not None
    incomplete = task.elements["status"].required_binding
    assert incomplete is not None
    statuses = next(codes for name, codes in SHAPES["Task"].codes if name == "status")
    config.terminology.code_systems[incomplete] = sorted(statuses)
    config.terminology.code_systems[POINT_STATES] = list(POINT_CODES)
    # Its sections of a Composition have no text, which R4 gives them.
    composition = r4_resource_def("Composition")
    assert composition is not None
    sections = composition.elements["section"].children
    assert sections is not None
    sections.setdefault("text", composition.elements["text"])
    return Validator(config)


def _shape(value: Any, name: str = "") -> Any:
    if isinstance(value, dict):
        return {key: _shape(inner, key) for key, inner in value.items()}
    if isinstance(value, list):
        shapes: list[Any] = []
        for inner in value:
            shape = _shape(inner, name)
            # The third of a kind makes no difference that the second has not made.
            if shapes[-2:] != [shape, shape]:
                shapes.append(shape)
        return shapes
    if not isinstance(value, str):
        return value
    if name in _FREE:
        return bool(value.strip())
    if name == "reference" and (found := _REFERENCE.fullmatch(value)):
        return f"{found[1]}/x" + ("/_history/x" if found[2] else "")
    if name in {"value", "id", "code"} and _UUID.fullmatch(value):
        return "uuid"
    if name == "versionId" and value.isdecimal():
        return "1"
    return re.sub(r"\d", "0", value) if _TIME.fullmatch(value) else value
