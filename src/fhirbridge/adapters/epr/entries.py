"""Outbox rows as entries of a FHIR transaction, and its answers read back. Pure.

Three things make a transaction safe to send again. A new resource is created only if none has its obligation
identifier, or under an id derived from it. A change is conditional on the version it was made from. A Provenance
carries a tag derived from its write and is stored once for it, so its presence says that the write has been committed.
(Transactions, conditional interactions and references within a Bundle: https://hl7.org/fhir/R4/http.html#transaction.)
"""

from __future__ import annotations

import re
from urllib.parse import urlencode

from fhirbridge.errors import Defect
from fhirbridge.fhir.canonical import OBLIGATION, WRITE
from fhirbridge.fhir.capability import Once
from fhirbridge.fhir.linking import urn, write_code
from fhirbridge.fhir.render.elements import logical_id
from fhirbridge.ports import Outgoing, Resource

_LOCATION = re.compile(r"([A-Z][A-Za-z]+/[A-Za-z0-9\-.]{1,64})(?:/_history/([A-Za-z0-9\-.]{1,64}))?/?$")


def obligation_token(outgoing: Outgoing) -> str:
    """`system|value` of the obligation identifier: the resource's own, else the row's identity (a change has none)."""
    for identifier in outgoing.resource.get("identifier", []):
        if identifier.get("system") == OBLIGATION:
            return f"{OBLIGATION}|{identifier['value']}"
    return f"{OBLIGATION}|{outgoing.identity}"


def create_entry(outgoing: Outgoing, resource: Resource, once: Once) -> Resource:
    """Create `resource`, unless its obligation identifier is there already, where the EPR sees to that."""
    if once is Once.CHOSEN_ID:
        chosen = logical_id(outgoing.identity)
        request = {"method": "PUT", "url": f"{outgoing.type}/{chosen}"}
        return {"fullUrl": urn(outgoing.identity), "resource": {**resource, "id": chosen}, "request": request}
    request = {"method": "POST", "url": outgoing.type}
    if once is Once.CONDITIONAL:
        request["ifNoneExist"] = _query("identifier", obligation_token(outgoing))
    return {"fullUrl": urn(outgoing.identity), "resource": resource, "request": request}


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


def target_of(provenance: Resource) -> str:
    """`Type/id` of what a Provenance is about; empty where it names nothing by a reference."""
    targets = provenance.get("target") or [{}]
    place = _LOCATION.search(str(targets[0].get("reference", "")))
    return place[1] if place else ""


def _query(name: str, value: str) -> str:
    return urlencode({name: value}, safe=":/|")
