"""What makes two arrivals the same version of a resource.

Where the EPR names its versions, the name. Where it does not, what the resource says: it is a new version when it says
something else than what was known just before. What is said again after something else was said in between is new too,
and is kept under a key of its own.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import UTC, datetime

import msgspec

from fhirbridge.fhir.content import content_of, last_updated
from fhirbridge.ports import Version

_CANONICAL = msgspec.json.Encoder(order="deterministic")
_BY_CONTENT = "sha256:"


def version_key(version: Version) -> str:
    """The version's own id; without one, a digest of its content.

    A deletion has no content to tell it from the next one of the same id, so it counts with the time it became known.
    """
    fact = version.fact
    if fact.source.version:
        return fact.source.version
    if fact.erased and last_updated(version.resource) != fact.known:
        content = _CANONICAL.encode((version.resource, fact.known))
        return f"{_BY_CONTENT}{hashlib.sha256(content).hexdigest()}"
    return _BY_CONTENT + content_of(version.resource)


def is_by_content(key: str) -> bool:
    """Whether the key of `version_key` is that of a version without an id."""
    return key.startswith(_BY_CONTENT)


def key_among(kept: Sequence[tuple[datetime, str]], known: datetime, key: str) -> str:
    """Under which key to keep a version without an id, beside those `kept` of its resource; empty if it is not new.

    `kept` are instants at which versions became known and their keys, in the order in which they were kept.
    """
    before = [other for at, other in sorted(kept, key=lambda one: one[0]) if at <= known]
    if before and before[-1].partition("@")[0] == key:
        return ""
    return f"{key}@{known.astimezone(UTC):%Y%m%dT%H%M%S.%f}" if any(other == key for _, other in kept) else key
