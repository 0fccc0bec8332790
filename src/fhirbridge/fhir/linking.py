"""How the things that the service writes name one another before they have a place: `urn:uuid:{identity}`. Pure.

And how a Provenance names its write.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from fhirbridge.fhir.canonical import WRITE
from fhirbridge.fhir.r4 import Resource

URN = "urn:uuid:"


def urn(identity: str) -> str:
    """How resources of one Bundle refer to the one with this identity."""
    return URN + identity


def identity_of(name: str) -> str:
    """The identity in a `urn:uuid:`."""
    return name.removeprefix(URN)


def write_code(provenance: Resource) -> str:
    """The tag that tells which write a Provenance belongs to; empty for one that is not the service's.

    The same write always has the same code. It is a valid id too, and the Provenance's own where that can be chosen.
    """
    tags = provenance.get("meta", {}).get("tag", [])
    return next((str(tag["code"]) for tag in tags if tag.get("system") == WRITE), "")


def referred(value: Any) -> set[str]:
    """Identities that a resource, or a part of one, refers to as `urn:uuid:{identity}`."""
    return set(urns(value))


def urns(value: Any) -> list[str]:
    """The same in the order in which they stand there, as often as they do."""
    found: list[str] = []
    _gather(value, found)
    return found


def _gather(value: Any, found: list[str]) -> None:
    children: Iterable[Any] = ()
    if isinstance(value, dict):
        named = value.get("reference")
        if isinstance(named, str) and named.startswith(URN):
            found.append(identity_of(named))
        children = value.values()
    elif isinstance(value, list):
        children = value
    for each in children:
        if isinstance(each, (dict, list)):
            _gather(each, found)


def pointed(value: Any, references: Mapping[str, str], missing: Collection[str] = ()) -> Any:
    """A copy in which references to known identities name the resource, and those to `missing` ones are left out.

    What is left without any content by that goes as well, for FHIR has no empty elements.
    """
    if isinstance(value, list):
        parts = [pointed(part, references, missing) if isinstance(part, (dict, list)) else part for part in value]
        return [part for part, before in zip(parts, value, strict=True) if part or part == before]
    if not isinstance(value, dict):
        return value
    reference = value.get("reference")
    identity = reference.removeprefix(URN) if isinstance(reference, str) and reference.startswith(URN) else None
    if identity is not None and identity in references:
        return {**value, "reference": references[identity]}
    if identity is not None and identity in missing:
        return {}
    parts_of = {
        name: pointed(part, references, missing) if isinstance(part, (dict, list)) else part
        for name, part in value.items()
    }
    return {name: part for name, part in parts_of.items() if part or part == value[name]}
