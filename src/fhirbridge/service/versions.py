"""From a hint to versions: what the EPR has now of a resource, what was between that and what is kept, what has gone.

What a notification carries is not believed where the EPR can be asked. Every version counts, because clocks run from
when a thing became known; where the EPR keeps a history, it fills what was skipped. What the EPR had and no longer has
is kept once more, as one that should never have been. Where the EPR gives no versions or times at all, what a resource
says is compared, and became known when it was read.

An EPR may answer from a replica that lags: with less than it has told of, or as if what was kept a moment ago did not
exist. Nothing is concluded from that; the event waits until the replica has caught up.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

import structlog
from msgspec.structs import replace

from fhirbridge.core.effects import Kind
from fhirbridge.core.facts import Source, Unmapped
from fhirbridge.errors import EprBehind, EprRefused, SenderError
from fhirbridge.fhir.capability import Capability
from fhirbridge.fhir.content import content_of, dated, last_updated, read_anew, version_id
from fhirbridge.fhir.validation import ID, check
from fhirbridge.ports import Arrival, Clock, Event, Resource, Store, Version
from fhirbridge.service.measures import SKIPPED, UNREADABLE
from fhirbridge.service.site import Site, said

CATCHES_UP = timedelta(minutes=30)
"""After so long an answer is taken for what it says, replica or not."""

_TICK = timedelta(microseconds=1)
_FIRST = frozenset({"", "0", "1"})

_log = structlog.get_logger(__name__)


async def told_of(store: Store, site: Site, arrival: Arrival, clock: Clock) -> list[Version]:
    """The versions that an event leads to; none when the service has no use for the resource, or it cannot be had.

    Raises:
        EprBehind: the EPR answered with less than it told of; the event has to wait until it has caught up.
        EprUnavailable, EprError: the EPR cannot be asked at present; all events have to wait.
    """
    event = arrival.event
    if event.type not in site.mapping.resource_types:
        SKIPPED.labels(site.epr.name, event.type).inc()
        return []
    believed = [event.resource] if event.resource is not None and site.trust_payload else []
    try:
        versions = await looked_up(store, site, event, arrival.received, clock, else_have=believed)
    except EprRefused as refusal:
        versions = read_in(site, believed, arrival.received)
        _log.warning("the EPR refuses to be asked", epr=site.epr.name, type=event.type, why=said(refusal))
    if all(version.fact.erased and version.unfit for version in versions):
        UNREADABLE.labels(site.epr.name, event.type).inc()
        _log.warning("nothing to be had of a resource that was notified", epr=site.epr.name, type=event.type)
    return versions


async def looked_up(
    store: Store, site: Site, event: Event, noticed: datetime, clock: Clock, *, else_have: Sequence[Resource] = ()
) -> list[Version]:
    """The current version of a resource and those between it and what is kept; where it has gone, that it has.

    Of what stands on the service's own worklist, every version there.

    `noticed` is when somebody told of it, or it was missed. `else_have` is what to believe, in addition to what the EPR
    says and instead of its having gone.

    Raises:
        EprBehind: the answer is behind what was told, or kept, less than `CATCHES_UP` ago.
        EprRefused: the EPR does not let it be read.
        EprUnavailable, EprError: the EPR cannot be asked at present.
    """
    reference = f"{event.type}/{event.id}"
    if ours := await _on_worklist(store, site, reference):
        return read_in(site, ours, clock.now())
    kept = await store.last(site.epr.name, reference)
    current = await site.epr.read(reference)
    read = clock.now()
    if not else_have and read - noticed < CATCHES_UP and _is_behind(event, current, kept, read):
        raise EprBehind(f"{site.epr.name}: {event.type}: the EPR shows less than it told of; it is asked again")
    if current is None and not else_have:
        return await _erased(site, event, kept, noticed, read)
    found = list(else_have)
    if current is not None:
        found = [one for one in else_have if version_id(one) != version_id(current)]
        found += await skipped(site, event, current, kept, patient=read - noticed < CATCHES_UP)
        found.append(as_known(site, current, kept, read))
    return read_in(site, found, read)


async def _on_worklist(store: Store, site: Site, reference: str) -> list[Resource]:
    """Every version of what stands on the service's own worklist: of that, the EPR cannot be asked."""
    if reference.partition("/")[0] not in set(Kind):
        return []
    listed = await store.worklist.history(reference)
    return [one.resource for one in listed if one.subject.epr == site.epr.name]


def facts_in(site: Site, resources: Iterable[Resource], read: datetime) -> list[Version]:
    """The resources with the facts they give; those without use, or not fit to be read, are counted and left out.

    `read` is when they were read: when what has no time of its own became known.
    """
    return [one for one in read_in(site, resources, read) if not one.unfit]


def read_in(site: Site, resources: Iterable[Resource], read: datetime) -> list[Version]:
    """The same, to be kept: with those not fit to be read, where they can be named."""
    versions = []
    for found in resources:
        resource = dated(found, read)
        kind = str(resource.get("resourceType"))
        try:
            check(resource)
            fact = site.mapping.fact(resource)
        except SenderError as flaw:
            UNREADABLE.labels(site.epr.name, kind).inc()
            _log.warning("a resource of the EPR is not fit to be read", epr=site.epr.name, type=kind, place=flaw.place)
            versions += _unfit(site, resource, flaw)
            continue
        if fact is None:
            SKIPPED.labels(site.epr.name, kind).inc()
            continue
        if isinstance(fact, Unmapped):
            UNREADABLE.labels(site.epr.name, kind).inc()
            _log.warning("a resource of the EPR could not be mapped; it is kept", epr=site.epr.name, type=kind)
        versions.append(Version(fact=fact, resource=resource))
    return versions


def _unfit(site: Site, resource: Resource, flaw: SenderError) -> list[Version]:
    """What cannot be read, to be noted; none where not even its name can be read, or the mapping is not about it."""
    kind, identity = resource.get("resourceType"), resource.get("id")
    known = last_updated(resource)
    if known is None or kind not in site.mapping.resource_types:
        return []
    if not isinstance(identity, str) or not ID.fullmatch(identity):
        return []
    version = version_id(resource)
    source = Source(str(kind), identity, version if ID.fullmatch(version) else "")
    return [Version(fact=Unmapped(source=source, known=known, patient="", reason=str(flaw)), resource={}, unfit=True)]


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


def _is_behind(event: Event, current: Resource | None, kept: Version | None, read: datetime) -> bool:
    """Whether the EPR has told of more than it shows now, as far as its versions can be compared."""
    before = kept.fact.source.version if kept is not None else ""
    if current is None:
        young = kept is None or (not kept.fact.erased and read - kept.fact.known < CATCHES_UP)
        return not event.deleted and (young or _later(event.version, before))
    return _later(event.version, version_id(current)) or (event.deleted and version_id(current) == before)


def _later(one: str, other: str) -> bool:
    """Whether one version is later than the other, where that can be said."""
    return one.isdecimal() and other.isdecimal() and int(one) > int(other)


async def skipped(site: Site, told: Event, current: Resource, kept: Version | None, *, patient: bool) -> list[Resource]:
    """The versions before the current one that may not be kept, where the EPR still has them.

    They are looked for where versions lie between the kept and the current one, or where an event tells of an earlier
    one than both: it may have been passed over when what follows it was kept.

    Raises:
        EprBehind: there is time to be `patient`, and the history does not have the current version yet, nor may others.
    """
    version = version_id(current)
    last = kept.fact.source.version if kept is not None else ""
    follows = version in _FIRST if kept is None else version in ("", last, _following(last))
    late = (
        told.version.isdecimal() and version.isdecimal() and int(told.version) < int(version) and told.version != last
    )
    if (follows and not late) or not await _keeps_history(site, told.type):
        return []
    history = await site.epr.history(f"{told.type}/{told.id}")
    if patient and all(version_id(one) != version for one in history):
        raise EprBehind(f"{site.epr.name}: {told.type}: its history lacks what is current; it is asked again")
    return [one for one in history if version_id(one) != version]


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
    if last is None:
        return [_never_read(event, noticed)]
    if last.fact.erased:
        return before
    return [*before, as_gone(last, noticed, version=event.version if event.deleted else "")]


def _never_read(event: Event, noticed: datetime) -> Version:
    """What has gone before it could be read: there is nothing to withdraw, and nothing to look at any more."""
    source = Source(event.type, event.id, event.version)
    gone = Unmapped(source=source, known=noticed, patient="", erased=True, reason="it is no longer there")
    return Version(fact=gone, resource={}, unfit=True)


def as_gone(last: Version, noticed: datetime, *, version: str = "") -> Version:
    """The last version of a resource that is no longer there, as one that should never have been.

    `noticed` is when that became known, `version` what the EPR calls the deletion, if it calls it anything.
    """
    fact = last.fact
    gone = replace(
        fact,
        erased=True,
        known=max(noticed, fact.known + _TICK),
        source=Source(fact.source.type, fact.source.id, version or _following(fact.source.version)),
    )
    return Version(fact=gone, resource=last.resource)


def _following(version: str) -> str:
    """The version that comes next, or that a deletion made: servers count it as one. None has none."""
    if not version:
        return ""
    return str(int(version) + 1) if version.isascii() and version.isdecimal() else f"{version}-deleted"[-64:]
