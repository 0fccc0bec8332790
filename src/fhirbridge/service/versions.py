"""From a hint to versions: what the EPR has now of a resource, what was between that and what is kept, what has gone.

What a notification carries is not believed where the EPR can be asked. Every version counts, because clocks run from
when a thing became known; where the EPR keeps a history, it fills what was skipped. What the EPR had and no longer has
is kept once more, as one that should never have been. Where the EPR gives no versions or times at all, what a resource
says is compared, and became known when it was read.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

import structlog
from msgspec.structs import replace

from fhirbridge.core.facts import Source, Unmapped
from fhirbridge.errors import EprRefused, SenderError
from fhirbridge.fhir.capability import Capability
from fhirbridge.core.effects import Kind
from fhirbridge.fhir.content import content_of, dated, last_updated, read_anew, version_id
from fhirbridge.fhir.validation import check
from fhirbridge.ports import Arrival, Clock, Event, Resource, Store, Version
from fhirbridge.service.measures import SKIPPED, UNREADABLE
from fhirbridge.service.site import Site, said

_TICK = timedelta(microseconds=1)
_FIRST = frozenset({"", "0", "1"})

_log = structlog.get_logger(__name__)


async def told_of(store: Store, site: Site, arrival: Arrival, clock: Clock) -> list[Version]:
    """The versions that an event leads to; none when the service has no use for the resource, or it cannot be had.

    Raises:
        EprUnavailable, EprError: the EPR cannot be asked at present; the event has to wait.
    """
    event = arrival.event
    if event.type not in site.mapping.resource_types:
        SKIPPED.labels(site.epr.name, event.type).inc()
        return []
    believed = [event.resource] if event.resource is not None and site.trust_payload else []
    try:
        versions = await looked_up(store, site, event, arrival.received, clock, else_have=believed)
    except EprRefused as refusal:
        versions = facts_in(site, believed, arrival.received)
        _log.warning("the EPR refuses to be asked", epr=site.epr.name, type=event.type, why=said(refusal))
    if not versions:
        UNREADABLE.labels(site.epr.name, event.type).inc()
        _log.warning("nothing to be had of a resource that was notified", epr=site.epr.name, type=event.type)
    return versions


async def looked_up(
    store: Store, site: Site, event: Event, noticed: datetime, clock: Clock, *, else_have: Sequence[Resource] = ()
) -> list[Version]:
    """The current version of a resource and those between it and what is kept; where it has gone, that it has.

    `noticed` is when somebody told of it, or it was missed. `else_have` is what to believe, in addition to what the EPR
    says and instead of its having gone.

    Raises:
        EprRefused: the EPR does not let it be read.
        EprUnavailable, EprError: the EPR cannot be asked at present.
    """
    Of what stands on the service's own worklist, every version there.

    reference = f"{event.type}/{event.id}"
    kept = await store.last(site.epr.name, reference)
    current = await site.epr.read(reference)
    read = clock.now()
    if current is None and not else_have:
        return await _erased(site, event, kept, noticed, read)
    found = list(else_have)
    if current is not None:
        found = [one for one in else_have if version_id(one) != version_id(current)]
    if ours := await _on_worklist(store, site, reference):
        return facts_in(site, ours, clock.now())
        found += await _skipped(site, reference, current, kept)
        found.append(as_known(site, current, kept, read))
    return facts_in(site, found, read)


def facts_in(site: Site, resources: Iterable[Resource], read: datetime) -> list[Version]:
    """The resources with the facts they give; those without use, or not fit to be read, are counted and left out.

    `read` is when they were read: when what has no time of its own became known.
    """
    versions = []
    for found in resources:
        resource = dated(found, read)
        kind = str(resource.get("resourceType"))
        try:
async def _on_worklist(store: Store, site: Site, reference: str) -> list[Resource]:
    """Every version of what stands on the service's own worklist: of that, the EPR cannot be asked."""
    if reference.partition("/")[0] not in set(Kind):
        return []
    listed = await store.worklist.history(reference)
    return [one.resource for one in listed if one.subject.epr == site.epr.name]


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


def as_known(site: Site, resource: Resource, kept: Version | None, read: datetime) -> Resource:
    """The resource as the EPR has it now, as the version that it is.

    It is a new one whatever it calls itself when what is kept last is that it had gone, or when it calls itself by the
    version that is kept and yet says something else: then the EPR does not count its versions, and its name for them is
    not used from then on.
    """
    if kept is None or not (version := version_id(resource)):
        return resource
    named = kept.fact.source.version
    if is_deletion(kept):
        stored = last_updated(resource)
        new = version == named or (stored is not None and stored <= kept.fact.known)
    else:
        new = version == (named or version) and content_of(resource) != content_of(kept.resource)
        new = new and (not named or _says_otherwise(site, resource, kept, read))
    return read_anew(resource, kept.fact.known, read) if new else resource


def is_news(site: Site, resource: Resource, kept: Version | None, read: datetime) -> bool:
    """Whether what the EPR has now says anything that is not known: to be asked of much that was found by searching.

    What the service has no use for, or cannot read, is none.
    """
    if kept is None:
        return bool(facts_in(site, [resource], read))
    if version_id(resource) and kept.fact.source.version:
        named_otherwise = version_id(resource) != kept.fact.source.version
        return named_otherwise or as_known(site, resource, kept, read) is not resource
    return is_deletion(kept) or content_of(resource) != content_of(kept.resource)


def is_deletion(kept: Version) -> bool:
    """Whether it is kept that the resource has gone: a status that says it should never have been is no deletion."""
    return kept.fact.erased and last_updated(kept.resource) != kept.fact.known


async def every_version(site: Site, reference: str) -> list[Resource]:
    """All versions that the EPR has of `Type/id`, oldest first; the current one alone where it keeps no history."""
    kind = reference.partition("/")[0]
    if await _keeps_history(site, kind) and (versions := await site.epr.history(reference)):
        return versions
    current = await site.epr.read(reference)
    return [current] if current else []


async def _skipped(site: Site, reference: str, current: Resource, kept: Version | None) -> list[Resource]:
    """The versions after the kept one and before the current, where the EPR still has them."""
    version = version_id(current)
    if kept is None:
        follows = version in _FIRST
    else:
        follows = version in ("", kept.fact.source.version, _following(kept.fact.source.version))
    if follows or not await _keeps_history(site, reference.partition("/")[0]):
        return []
    return [one for one in await site.epr.history(reference) if version_id(one) != version]


async def _keeps_history(site: Site, kind: str) -> bool:
    return Capability.of(await site.epr.capability()).offer(kind).can("history-instance")


def _says_otherwise(site: Site, resource: Resource, kept: Version, read: datetime) -> bool:
    now = facts_in(site, [resource], read)
    return bool(now) and replace(now[0].fact, source=kept.fact.source, known=kept.fact.known) != kept.fact


async def _erased(site: Site, event: Event, kept: Version | None, noticed: datetime, read: datetime) -> list[Version]:
    """The last version there was, as one that should never have been; before it, what was not known yet."""
    reference = f"{event.type}/{event.id}"
    earlier = await site.epr.history(reference) if await _keeps_history(site, event.type) else []
    before = facts_in(site, earlier, read)
    last = max([*before, *([kept] if kept else [])], key=lambda version: version.fact.known, default=None)
    if last is None or last.fact.erased:
        return before
    fact = last.fact
    gone = replace(
        fact,
        erased=True,
        known=max(noticed, fact.known + _TICK),
        source=Source(fact.source.type, fact.source.id, event.version or _following(fact.source.version)),
    )
    return [*before, Version(fact=gone, resource=last.resource)]


def _following(version: str) -> str:
    """The version that comes next, or that a deletion made: servers count it as one. None has none."""
    if not version:
        return ""
    return str(int(version) + 1) if version.isascii() and version.isdecimal() else f"{version}-deleted"[-64:]
