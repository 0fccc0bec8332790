"""What makes two arrivals the same version of a resource."""

from __future__ import annotations

import hashlib

import msgspec

from fhirbridge.ports import Version

_CANONICAL = msgspec.json.Encoder(order="deterministic")


def version_key(version: Version) -> str:
    """The version's own id; without one, a hash of its content.

    A deletion has no content to tell it from the next one of the same id, so it counts with the time it became known.
    """
    fact = version.fact
    if fact.source.version:
        return fact.source.version
    content = _CANONICAL.encode((version.resource, fact.known if fact.erased else None))
    return f"sha256:{hashlib.sha256(content).hexdigest()}"
