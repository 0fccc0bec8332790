"""What a resource says, apart from what servers add to it by themselves.

Where an EPR gives its resources no version, two readings are the same version when they say the same. What differs from
answer to answer without anybody having changed anything does not count: when and as which version it was stored, where
it came from, and the narrative that is generated from the rest.
"""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime

import orjson

from fhirbridge.fhir.instants import flaw_in_instant, to_instant
from fhirbridge.fhir.r4 import Resource

_ADDED = frozenset({"versionId", "lastUpdated", "source"})


def content_of(resource: Resource) -> str:
    """A digest of what the resource says: 64 hexadecimal digits, the same whatever the order of the elements."""
    said = {name: value for name, value in resource.items() if name not in ("meta", "text")}
    meta = resource.get("meta")
    if isinstance(meta, dict) and (kept := {name: value for name, value in meta.items() if name not in _ADDED}):
        said["meta"] = kept
    return hashlib.sha256(orjson.dumps(said, option=orjson.OPT_SORT_KEYS)).hexdigest()


def version_id(resource: Resource) -> str:
    """`meta.versionId`; empty where the EPR gives none."""
    meta = resource.get("meta")
    version = meta.get("versionId") if isinstance(meta, dict) else None
    return version if isinstance(version, str) else ""


def dated(resource: Resource, read: datetime) -> Resource:
    """The resource with a `meta.lastUpdated`: its own where it has one, else the instant at which it was read."""
    meta = resource.get("meta")
    if isinstance(meta, dict) and not flaw_in_instant(meta.get("lastUpdated")):
        return resource
    return {**resource, "meta": {**(meta if isinstance(meta, dict) else {}), "lastUpdated": instant(read)}}


def read_anew(resource: Resource, after: datetime, read: datetime) -> Resource:
    """The resource as a version of its own, without the name that it gives itself.

    Known since it says, if that is `after` what was known before it, else since it was read.
    """
    meta = {name: value for name, value in resource.get("meta", {}).items() if name != "versionId"}
    stored = last_updated(resource)
    if stored is None or stored <= after:
        meta["lastUpdated"] = instant(read)
    return {**resource, "meta": meta}


def instant(moment: datetime) -> str:
    """A FHIR instant in UTC, to the microsecond."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def last_updated(resource: Resource) -> datetime | None:
    """`meta.lastUpdated` as an instant in UTC; None where there is none that could be one."""
    meta = resource.get("meta")
    stored = meta.get("lastUpdated") if isinstance(meta, dict) else None
    return None if stored is None or flaw_in_instant(stored) else to_instant(stored, UTC)
