"""Identities: derived from what a thing is, so that whoever arrives at the same obligation arrives at the same name."""

from __future__ import annotations

from functools import lru_cache
from uuid import UUID, uuid5

from fhirbridge.core.effects import Key

_NAMESPACE = UUID("6f0c1a52-2d3f-5e5c-9c57-0b8f3a1d7e42")


@lru_cache(maxsize=65536)
def of_obligation(key: Key) -> str:
    """The identity of the obligation with this key: a UUID, opaque to everyone."""
    parts = (
        key.patient,
        key.case,
        key.pack,
        key.kind,
        key.action,
        key.role,
        key.scope,
        str(key.occurrence),
        str(key.generation),
    )
    return _derived("obligation", *parts)


@lru_cache(maxsize=65536)
def of_run(patient: str, case: str, pack: str, pathway: str, scope: str, generation: int) -> str:
    """The identity of one run of a pathway."""
    return _derived("run", patient, case, pack, pathway, scope, str(generation))


def _derived(*parts: str) -> str:
    return str(uuid5(_NAMESPACE, "\x1f".join(parts)))
