"""Reading an EPR: from a patient to the whole record, and what of it is read again before each decision."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import TypeVar

import structlog
from msgspec.structs import replace

from fhirbridge.errors import EprBehind, EprRefused
from fhirbridge.fhir.capability import Capability, FeedKind, feeds_for
from fhirbridge.fhir.content import version_id
from fhirbridge.ports import Clock, Event, Resource, Store, Version
from fhirbridge.service.site import Site, said
from fhirbridge.service.versions import as_known, every_version, looked_up, read_in, skipped

EVENTFUL = frozenset({"Appointment", "Encounter", "EpisodeOfCare", "Task", "Communication"})
"""Types that say what happened. All others say how things stand, and are read before each decision."""

EVER = ("ge1900-01-01T00:00:00Z", "lt2200-01-01T00:00:00Z")
"""Bounds that leave nothing out, for searches that have to have some."""

_AT_ONCE = 4

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


async def whole_record(site: Site, patient: str, clock: Clock) -> list[Version]:
    """Everything the EPR has about the patient, with the earlier versions of what has any."""
    found = await _current(site, patient, sorted(site.mapping.resource_types))
    current = [resource for resources in found.values() for resource in resources]
    histories = await each(current, lambda resource: _earlier_too(site, resource))
    return read_in(site, [version for history in histories for version in history], clock.now())


async def standing_record(store: Store, site: Site, patient: str, types: Sequence[str], clock: Clock) -> list[Version]:
    """What the EPR has about the patient now, of these types; what it no longer has, as withdrawn."""
    versions = []
    for kind, resources in (await _current(site, patient, types)).items():
        read = clock.now()
        ids = [str(resource["id"]) for resource in resources]
        kept = await store.kept.latest(site.epr.name, kind, ids)
        for one in resources:
            before = kept.get(str(one["id"]))
            passed = await _passed_over(store, site, one, before, clock)
            versions += read_in(site, [*passed, as_known(site, one, before, read)], read)
        expected = await store.kept.expected(site.epr.name, kind, start=None, end=None, patient=patient)
        for identity in sorted(expected - set(ids)):
            versions += await _missed(store, site, Event(type=kind, id=identity), clock)
    return versions


async def _passed_over(
    store: Store, site: Site, resource: Resource, kept: Version | None, clock: Clock
) -> list[Resource]:
    """The versions between the kept one and this; those that the EPR does not show yet wait in the inbox."""
    told = Event(type=str(resource["resourceType"]), id=str(resource["id"]))
    try:
        return await skipped(site, told, resource, kept, patient=True)
    except EprBehind:
        version = version_id(resource)
        if version.isdecimal():
            await store.accept(site.epr.name, [replace(told, version=str(int(version) - 1))], clock.now())
        return []


async def _missed(store: Store, site: Site, event: Event, clock: Clock) -> list[Version]:
    """What has become of something that a search should have found; nothing, where the EPR may only lag behind."""
    try:
        return await looked_up(store, site, event, clock.now(), clock)
    except EprBehind:
        return []


async def silent_types(site: Site, told: Collection[str]) -> list[str]:
    """The types to read before each decision: those of which nobody tells, nor a history what was deleted.

    `told` are the types with a subscription.
    """
    capability = Capability.of(await site.epr.capability())
    rest = sorted(site.mapping.resource_types - set(told))
    return [kind for kind in rest if kind not in EVENTFUL or not capability.offer(kind).can("history-type")]


async def changed_since(site: Site, kind: str, since: datetime) -> list[Event]:
    """Events for all resources of the type that changed since then, as far as the EPR can search for that.

    Raises:
        EprRefused: the EPR does not know `_lastUpdated`, or does not offer the type.
        EprUnavailable, EprError: it cannot be asked at present.
    """
    query = {"_lastUpdated": f"ge{since:%Y-%m-%dT%H:%M:%SZ}"}
    return [
        Event(type=kind, id=str(resource["id"]), version=version_id(resource))
        async for resource in site.epr.search(kind, query)
    ]


async def _current(site: Site, patient: str, types: Iterable[str]) -> Mapping[str, list[Resource]]:
    """By type, what the EPR has about the patient; without those types that it refuses to be asked for."""
    capability = Capability.of(await site.epr.capability())
    dates = {
        feed.type: feed.by
        for feed in feeds_for(capability, list(types), EVENTFUL, subscribe=False)
        if feed.kind is FeedKind.DATE_WINDOW
    }

    async def of_type(kind: str) -> list[Resource] | None:
        if kind == "Patient":
            person = await site.epr.read(patient)
            return [person] if person else []
        # Where a window of dates is all that an EPR offers, it may insist on one.
        bounds = {dates[kind]: EVER} if kind in dates else {}
        try:
            return [resource async for resource in site.epr.search(kind, {"patient": patient, **bounds})]
        except EprRefused as refusal:
            _log.warning("the EPR refuses to be asked for a type", epr=site.epr.name, type=kind, why=said(refusal))
            return None

    asked = [kind for kind in types if kind == "Patient" or capability.offer(kind).can("search-type")]
    found = await each(asked, of_type)
    return {kind: resources for kind, resources in zip(asked, found, strict=True) if resources is not None}


async def _earlier_too(site: Site, resource: Resource) -> list[Resource]:
    if version_id(resource) in ("", "0", "1"):
        return [resource]
    return await every_version(site, f"{resource['resourceType']}/{resource['id']}") or [resource]
