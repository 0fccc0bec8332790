"""Outbox rows as entries of a FHIR transaction, and its answers read back. Pure.

Three things make a transaction safe to send again. A new resource is created only if none has its obligation
identifier, or under an id derived from it. A change is conditional on the version it was made from. A Provenance
carries a tag derived from its write and is stored once for it, so its presence says that the write has been committed.
(Transactions, conditional interactions and references within a Bundle: https://hl7.org/fhir/R4/http.html#transaction.)
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from typing import Any
from urllib.parse import urlencode

from fhirbridge.errors import Defect
from fhirbridge.fhir.canonical import OBLIGATION, WRITE
from fhirbridge.fhir.capability import Once
from fhirbridge.fhir.render.elements import logical_id
from fhirbridge.ports import Event, Outgoing, Resource

_URN = "urn:uuid:"
_LOCATION = re.compile(r"([A-Z][A-Za-z]+/[A-Za-z0-9\-.]{1,64})(?:/_history/([A-Za-z0-9\-.]{1,64}))?/?$")


def obligation_token(outgoing: Outgoing) -> str:
    """`system|value` of the obligation identifier: the resource's own, else the row's identity (a change has none)."""
    for identifier in outgoing.resource.get("identifier", []):
        if identifier.get("system") == OBLIGATION:
            return f"{OBLIGATION}|{identifier['value']}"
    return f"{OBLIGATION}|{outgoing.identity}"


def write_code(provenance: Resource) -> str:
    """The tag that tells which write a Provenance belongs to; empty for one that is not the service's.

    The same write always has the same code. It is a valid id too, and the Provenance's own where that can be chosen.
    """
    tags = provenance.get("meta", {}).get("tag", [])
    return next((str(tag["code"]) for tag in tags if tag.get("system") == WRITE), "")


def referred(value: Any) -> set[str]:
    """Identities that a resource, or a part of one, refers to as `urn:uuid:{identity}`."""
    return {reference.removeprefix(_URN) for reference in _references(value) if reference.startswith(_URN)}


def pointed(value: Any, references: Mapping[str, str], missing: Collection[str] = ()) -> Any:
    """A copy in which references to known identities name the resource, and those to `missing` ones are left out.

    What is left without any content by that goes as well, for FHIR has no empty elements.
    """
    if isinstance(value, list):
        parts = [pointed(part, references, missing) for part in value]
        return [part for part, before in zip(parts, value, strict=True) if part not in ({}, []) or part == before]
    if not isinstance(value, dict):
        return value
    reference = value.get("reference")
    identity = reference.removeprefix(_URN) if isinstance(reference, str) and reference.startswith(_URN) else None
    if identity is not None and identity in references:
        return {**value, "reference": references[identity]}
    if identity is not None and identity in missing:
        return {}
    parts_of = {name: pointed(part, references, missing) for name, part in value.items()}
    return {name: part for name, part in parts_of.items() if part not in ({}, []) or part == value[name]}


def create_entry(outgoing: Outgoing, resource: Resource, once: Once) -> Resource:
    """Create `resource`, unless its obligation identifier is there already, where the EPR sees to that."""
    if once is Once.CHOSEN_ID:
        chosen = logical_id(outgoing.identity)
        request = {"method": "PUT", "url": f"{outgoing.type}/{chosen}"}
        return {"fullUrl": _URN + outgoing.identity, "resource": {**resource, "id": chosen}, "request": request}
    request = {"method": "POST", "url": outgoing.type}
    if once is Once.CONDITIONAL:
        request["ifNoneExist"] = _query("identifier", obligation_token(outgoing))
    return {"fullUrl": _URN + outgoing.identity, "resource": resource, "request": request}


def change_entry(changed: Resource) -> Resource:
    """Put `changed` in place of the version it was made from, and of no other where the EPR tells versions apart."""
    reference = reference_of(changed)
    meta = {name: part for name, part in changed["meta"].items() if name not in ("versionId", "lastUpdated")}
    resource = {name: part for name, part in changed.items() if name != "meta"} | ({"meta": meta} if meta else {})
    request = {"method": "PUT", "url": reference}
    if version := version_of(changed):
        request["ifMatch"] = f'W/"{version}"'
    return {"resource": resource, "request": request}


def provenance_entry(provenance: Resource, target: str, once: Once) -> Resource:
    """Store the Provenance of the write to `target` (a reference, or a `urn:uuid:` of the same Bundle), once.

    Raises:
        Defect: it carries no tag of its write.
    """
    code = write_code(provenance)
    if not code:
        raise Defect(f"a Provenance without a meta.tag of {WRITE} cannot be written once; give it one when rendering")
    resource = {**provenance, "target": [{"reference": target}]}
    if once is Once.CHOSEN_ID:
        return {"resource": {**resource, "id": code}, "request": {"method": "PUT", "url": f"Provenance/{code}"}}
    request = {"method": "POST", "url": "Provenance"}
    if once is Once.CONDITIONAL:
        request["ifNoneExist"] = _query("_tag", f"{WRITE}|{code}")
    return {"resource": resource, "request": request}


def urn(identity: str) -> str:
    """How resources of one Bundle refer to the one with this identity."""
    return _URN + identity


def identity_of(name: str) -> str:
    """The identity in a `urn:uuid:`."""
    return name.removeprefix(_URN)


def is_aimless(resource: Resource) -> bool:
    """Whether it is a Provenance of nothing."""
    return resource.get("resourceType") == "Provenance" and not resource.get("target")


def reference_of(resource: Resource) -> str:
    """`Type/id` of a stored resource."""
    return f"{resource['resourceType']}/{resource['id']}"


def version_of(resource: Resource) -> str:
    """`meta.versionId` of a stored resource; empty where the EPR keeps none."""
    return str(resource.get("meta", {}).get("versionId", ""))


def answered(entry: Resource) -> tuple[str, str]:
    """Reference and version that an entry of a transaction-response names; empty strings for what it does not."""
    response = entry.get("response", {})
    etag = str(response.get("etag", "")).removeprefix("W/").strip('"')
    if place := _LOCATION.search(str(response.get("location", ""))):
        return place[1], place[2] or etag
    stored = entry.get("resource", {})
    return (reference_of(stored), version_of(stored) or etag) if "id" in stored else ("", etag)


def committed(entry: Resource, resource_type: str) -> Event | None:
    """What an entry of a type's history says was committed; None for what is about another type, or says nothing.

    Event.version is empty where a deletion does not name it.
    """
    resource = entry.get("resource")
    if isinstance(resource, dict) and resource.get("resourceType") == resource_type and "id" in resource:
        return Event(type=resource_type, id=str(resource["id"]), version=version_of(resource))
    request = entry.get("request", {})
    if request.get("method") != "DELETE":
        return None
    reference, version = answered(entry)
    if not reference and (place := _LOCATION.search(str(request.get("url", "")))):
        reference = place[1]
    kind, _, identity = reference.partition("/")
    return Event(type=kind, id=identity, version=version, deleted=True) if kind == resource_type else None


def _query(name: str, value: str) -> str:
    return urlencode({name: value}, safe=":/|")


def _references(value: Any) -> Iterator[str]:
    if isinstance(value, list):
        for part in value:
            yield from _references(part)
    elif isinstance(value, dict):
        if isinstance(reference := value.get("reference"), str):
            yield reference
        for part in value.values():
            yield from _references(part)
