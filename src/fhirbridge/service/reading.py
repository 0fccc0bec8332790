"""Reading an EPR: from a hint to every version of the resource, and from a patient to the whole record.

What a notification carries is not believed where the EPR can be asked. Every version counts, because clocks run from
when a thing became known; an EPR that keeps no history gives its current version alone.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from datetime import datetime, timedelta
from typing import TypeVar

import structlog
from msgspec.structs import replace

from fhirbridge.core.effects import Kind
from fhirbridge.core.facts import Source, Unmapped
from fhirbridge.errors import EprRefused, SenderError
from fhirbridge.fhir.validation import check
from fhirbridge.ports import Arrival, Event, Resource, Store, Version
from fhirbridge.service.measures import SKIPPED, UNREADABLE
from fhirbridge.service.site import Site, said

EVENTFUL = frozenset({"Appointment", "Encounter", "EpisodeOfCare", "Task", "Communication"})
"""Types that say what happened. All others say how things stand, and are read before each decision."""

_AT_ONCE = 4
_TICK = timedelta(microseconds=1)

_log = structlog.get_logger(__name__)
Item = TypeVar("Item")
Result = TypeVar("Result")


async def each(items: Iterable[Item], do: Callable[[Item], Awaitable[Result]]) -> list[Result]:
    """Do it for each item, a few at a time; the results in the order of the items. The first error ends the rest."""
    few = asyncio.Semaphore(_AT_ONCE)

    async def one(item: Item) -> Result:
        async with few:
            return await do(item)

    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(one(item)) for item in items]
    except ExceptionGroup as failed:
        raise failed.exceptions[0] from None
    return [task.result() for task in tasks]


async def told_of(store: Store, site: Site, arrival: Arrival) -> list[Version]:
    """The versions that an event leads to; none when the service has no use for the resource, or it cannot be had.

    Raises:
        EprUnavailable, EprError: the EPR cannot be asked at present; the event has to wait.
    """
    event = arrival.event
    if event.type not in site.mapping.resource_types:
        SKIPPED.labels(site.epr.name, event.type).inc()
        return []
    reference = f"{event.type}/{event.id}"
    if ours := await _on_worklist(store, site, reference):
        return facts_in(site, ours)
    try:
        if event.deleted and await site.epr.read(reference) is None:
            return await _erased(store, site, event, arrival.received)
        resources = await _every_version(site, reference)
    except EprRefused as refusal:
        resources = []
        _log.warning("the EPR refuses to be asked", epr=site.epr.name, type=event.type, why=said(refusal))
    if event.resource is not None and site.trust_payload and not _among(event, resources):
        resources.append(event.resource)
    if not resources:
        UNREADABLE.labels(site.epr.name, event.type).inc()
        _log.warning("nothing to be had of a resource that was notified", epr=site.epr.name, type=event.type)
    return facts_in(site, resources)


async def _on_worklist(store: Store, site: Site, reference: str) -> list[Resource]:
    """Every version of what stands on the service's own worklist: of that, the EPR cannot be asked."""
    if reference.partition("/")[0] not in set(Kind):
        return []
    listed = await store.worklist.history(reference)
    return [one.resource for one in listed if one.subject.epr == site.epr.name]


def facts_in(site: Site, resources: Iterable[Resource]) -> list[Version]:
    """The resources with the facts they give; those without use, or not fit to be read, are counted and left out."""
    versions = []
    for resource in resources:
        kind = str(resource.get("resourceType"))
        try:
            check(resource)
            fact = site.mapping.fact(resource)
        except SenderError as flaw:
            UNREADABLE.labels(site.epr.name, kind).inc()
            _log.warning("a resource of the EPR is not fit to be read", epr=site.epr.name, type=kind, place=flaw.place)
            continue
        if fact is None:
            SKIPPED.labels(site.epr.name, kind).inc()
            continue
        if isinstance(fact, Unmapped):
            UNREADABLE.labels(site.epr.name, kind).inc()
            _log.warning("a resource of the EPR could not be mapped; it is kept", epr=site.epr.name, type=kind)
        versions.append(Version(fact=fact, resource=resource))
    return versions


async def whole_record(site: Site, patient: str) -> list[Version]:
    """Everything the EPR has about the patient, with the earlier versions of what has any."""
    current = await _current(site, patient, sorted(site.mapping.resource_types))
    histories = await each(current, lambda resource: _earlier_too(site, resource))
    return facts_in(site, [version for history in histories for version in history])


async def standing_record(site: Site, patient: str, types: Sequence[str]) -> list[Version]:
    """What the EPR has about the patient now, of these types."""
    return facts_in(site, await _current(site, patient, types))


async def changed_since(site: Site, kind: str, since: datetime) -> list[Event]:
    """Events for all resources of the type that changed since then, as far as the EPR can search for that.

    Raises:
        EprRefused: the EPR does not know `_lastUpdated`, or does not offer the type.
        EprUnavailable, EprError: it cannot be asked at present.
    """
    query = {"_lastUpdated": f"ge{since:%Y-%m-%dT%H:%M:%SZ}"}
    return [
        Event(type=kind, id=str(resource["id"]), version=str(resource.get("meta", {}).get("versionId", "")))
        async for resource in site.epr.search(kind, query)
    ]


async def _current(site: Site, patient: str, types: Iterable[str]) -> list[Resource]:
    can = _interactions(await site.epr.capability())

    async def of_type(kind: str) -> list[Resource]:
        if kind == "Patient":
            person = await site.epr.read(patient)
            return [person] if person else []
        return [resource async for resource in site.epr.search(kind, {"patient": patient})]

    found = await each([kind for kind in types if kind == "Patient" or "search-type" in can(kind)], of_type)
    return [resource for resources in found for resource in resources]


async def _earlier_too(site: Site, resource: Resource) -> list[Resource]:
    if str(resource.get("meta", {}).get("versionId", "")) in ("", "1"):
        return [resource]
    return await _every_version(site, f"{resource['resourceType']}/{resource['id']}") or [resource]


async def _every_version(site: Site, reference: str) -> list[Resource]:
    kind = reference.partition("/")[0]
    if "history-instance" in _interactions(await site.epr.capability())(kind) and (
        versions := await site.epr.history(reference)
    ):
        return versions
    current = await site.epr.read(reference)
    return [current] if current else []


def _interactions(capability: Resource) -> Callable[[str], frozenset[str]]:
    """For each type, what the EPR says can be done; a type it lists without saying can be read in every way."""
    listed: dict[str, frozenset[str]] = {}
    for rest in capability.get("rest", []):
        for entry in rest.get("resource", []):
            codes = frozenset(str(one.get("code")) for one in entry.get("interaction", []))
            listed[str(entry.get("type"))] = codes or frozenset({"read", "search-type", "history-instance"})
    return lambda kind: listed.get(kind, frozenset())


def _among(event: Event, resources: Iterable[Resource]) -> bool:
    return any(resource.get("meta", {}).get("versionId", "") == event.version for resource in resources)


async def _erased(store: Store, site: Site, event: Event, received: datetime) -> list[Version]:
    """The last version there was, as one that should never have been; before it, what was not known yet."""
    reference = f"{event.type}/{event.id}"
    before = facts_in(site, await site.epr.history(reference))
    kept = await store.last(site.epr.name, reference)
    last = max([*before, *([kept] if kept else [])], key=lambda version: version.fact.known, default=None)
    if last is None or last.fact.erased:
        return before
    fact = last.fact
    gone = replace(
        fact,
        erased=True,
        known=max(received, fact.known + _TICK),
        source=Source(fact.source.type, fact.source.id, event.version or _following(fact.source.version)),
    )
    return [*before, Version(fact=gone, resource=last.resource)]


def _following(version: str) -> str:
    """The version that the deletion made: servers count it as one."""
    return str(int(version) + 1) if version.isascii() and version.isdecimal() else f"{version}-deleted"[-64:]
