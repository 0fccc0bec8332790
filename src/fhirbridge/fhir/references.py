"""FHIR references in the one form that facts use: `Type/id`."""

from __future__ import annotations

from functools import lru_cache

from fhirbridge.fhir.r4 import RESOURCE_TYPES
from fhirbridge.fhir.validation import ID

_PAIR = 2


def versioned(reference: object) -> tuple[str, str, str] | None:
    """(type, id, version) of a literal reference, relative or absolute, with or without `/_history/version`.

    None for anything that names no R4 resource: contained (`#x`), `urn:uuid:…`, canonical with a fragment, not text.
    """
    if not isinstance(reference, str) or reference.startswith("#"):
        return None
    path, _, version = reference.partition("/_history/")
    steps = path.rsplit("/", 2)[-_PAIR:]
    if len(steps) != _PAIR or steps[0] not in RESOURCE_TYPES or not ID.fullmatch(steps[1]):
        return None
    return (steps[0], steps[1], version if not version or ID.fullmatch(version) else "")


def plain(reference: object) -> str | None:
    """`Type/id` of a literal reference, without base URL or version; None as for `versioned`."""
    return _plain(reference) if isinstance(reference, str) else None


@lru_cache(maxsize=10_000)
def _plain(reference: str) -> str | None:
    named = versioned(reference)
    return f"{named[0]}/{named[1]}" if named else None
