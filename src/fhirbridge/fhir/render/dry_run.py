"""What an EPR would hold after a write, for the dry run: nothing is sent, and the result is the same."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from fhirbridge.errors import Defect
from fhirbridge.fhir import canonical
from fhirbridge.fhir.linking import URN, identity_of
from fhirbridge.fhir.merge import merge
from fhirbridge.fhir.r4 import Resource
from fhirbridge.fhir.render.elements import logical_id, utc
from fhirbridge.fhir.render.outgoing import Outgoing


def simulated(outgoing: Outgoing, now: datetime, previous: Resource | None = None) -> Resource:
    """The resource as an EPR would hold it after this write at `now`, on top of `previous`.

    Ids are the identities, references among the service's own things are resolved, versions count from 1. Where the
    write changes nothing (created before, or closed by then), the answer is `previous` itself.

    Raises:
        Defect: A change to something that was never created.
    """
    resource = resolved(outgoing.resource) if outgoing.depends else outgoing.resource
    if outgoing.verb == "create":
        return previous or _stored(resource, logical_id(outgoing.identity), 1, now)
    if previous is None:
        raise Defect(f"{outgoing.type}/{outgoing.identity} is changed before it was created: render in decided order")
    merged = merge(previous, resource, outgoing.before)
    if merged is previous:
        return previous
    return _stored(merged, previous["id"], int(previous["meta"]["versionId"]) + 1, now)


def simulated_provenance(outgoing: Outgoing, now: datetime) -> Resource:
    """The Provenance of the write as an EPR would hold it."""
    (derived,) = (tag["code"] for tag in outgoing.provenance["meta"]["tag"] if tag["system"] == canonical.WRITE)
    targets = resolved(outgoing.provenance["target"])
    return _stored({**outgoing.provenance, "target": targets}, derived, 1, now)


def resolved(value: Any) -> Any:
    """The same elements, with every `urn:uuid:{identity}` made `Type/{identity}` (the Reference says the type)."""
    if isinstance(value, list):
        return [resolved(each) for each in value]
    if not isinstance(value, dict):
        return value
    named = value.get("reference")
    if isinstance(named, str) and named.startswith(URN):
        return value | {"reference": f"{value['type']}/{logical_id(identity_of(named))}"}
    return {name: resolved(each) if isinstance(each, dict | list) else each for name, each in value.items()}


def _stored(resource: Resource, logical: str, version: int, now: datetime) -> Resource:
    about = {"versionId": str(version), "lastUpdated": utc(now)}
    stored = {"resourceType": resource["resourceType"], "id": logical, "meta": about | resource["meta"] | about}
    stored |= {name: value for name, value in resource.items() if name not in stored}
    return stored
