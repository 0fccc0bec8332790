"""The service's own worklist, as FHIR: ids of its own, what it can be searched by, and what staff make of a step. Pure.

What an EPR does not take as itself stands on the worklist as it would stand there. Its ids are derived from the EPR
and the identity, for two EPRs can have patients of the same id.
"""

from __future__ import annotations

from datetime import datetime
from uuid import UUID, uuid5

from fhirbridge.fhir.canonical import ACTION
from fhirbridge.fhir.r4 import Resource
from fhirbridge.fhir.render.elements import utc

_LISTED = UUID("b1a7c1de-94a4-5f0c-8d0e-3c6c2f7e5a19")
"""Namespace of the ids on the worklist; never changes."""


def listed_id(epr: str, identity: str) -> str:
    """The logical id on the worklist of the thing with this identity at this EPR."""
    return str(uuid5(_LISTED, f"{epr}\x1f{identity}"))


def action_of(resource: Resource) -> str:
    """The code in the action system of a Task, Flag, Communication or CarePlan; empty where there is none."""
    concepts = [resource.get("code"), *resource.get("category", [])]
    for concept in concepts:
        for coding in (concept or {}).get("coding", []):
            if coding.get("system") == ACTION:
                return str(coding.get("code", ""))
    return ""


def numbered(resource: Resource, epr: str, identity: str, version: int, updated: datetime) -> Resource:
    """The resource as this version of it on the worklist."""
    rest = {name: value for name, value in resource.items() if name not in {"resourceType", "id", "meta"}}
    kept = {n: part for n, part in resource.get("meta", {}).items() if n not in {"versionId", "lastUpdated"}}
    return {
        "resourceType": resource["resourceType"],
        "id": listed_id(epr, identity),
        "meta": {"versionId": str(version), "lastUpdated": utc(updated), **kept},
        **rest,
    }
