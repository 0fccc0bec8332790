"""What the Bundles of a search or a history say, and where they go on."""

from __future__ import annotations

import re
from collections.abc import Iterator

from fhirbridge.adapters.epr.entries import answered, version_of
from fhirbridge.errors import EprRefused
from fhirbridge.ports import Event, Resource

_REFERENCE = re.compile(r"[A-Z][A-Za-z]+/[A-Za-z0-9\-.]{1,64}")
_URL = re.compile(rf"({_REFERENCE.pattern})(?:/_history/[A-Za-z0-9\-.]{{1,64}})?/?$")


def checked(reference: str) -> str:
    """`reference`, if it is a `Type/id`: anything else could address something that was not meant."""
    if not _REFERENCE.fullmatch(reference):
        raise EprRefused(f"{reference!r} is not of the form Type/id")
    return reference


def matches(bundle: Resource, resource_type: str) -> Iterator[Resource]:
    """What was searched for: neither what was included with it, nor what the EPR says about the search."""
    for entry in bundle.get("entry", []):
        match = entry.get("resource")
        included = entry.get("search", {}).get("mode", "match") != "match"
        if isinstance(match, dict) and not included and match.get("resourceType") == resource_type:
            yield match


def committed(bundle: Resource, resource_type: str) -> Iterator[Event]:
    """What a history says was committed to resources of the type; `Event.version` is empty where it does not say."""
    for entry in bundle.get("entry", []):
        event = _committed(entry)
        if event is not None and event.type == resource_type:
            yield event


def next_page(bundle: Resource) -> str:
    """The address of the next page; empty after the last one."""
    return next((str(link["url"]) for link in bundle.get("link", []) if link.get("relation") == "next"), "")


def _committed(entry: Resource) -> Event | None:
    resource = entry.get("resource")
    if isinstance(resource, dict) and "id" in resource:
        return Event(type=str(resource.get("resourceType")), id=str(resource["id"]), version=version_of(resource))
    request = entry.get("request", {})
    place = _URL.search(str(request.get("url", "")))
    reference, version = answered(entry)
    reference = reference or (place[1] if place else "")
    if request.get("method") != "DELETE" or not reference:
        return None
    kind, _, identity = reference.partition("/")
    return Event(type=kind, id=identity, version=version, deleted=True)
