"""From a notification to kept versions: durable first, understood afterwards.

`ingest` is what a sender waits for, so it does nothing but write the inbox. `digest` empties the inbox: it asks the EPR
for what the events hint at, and keeps it together with closing their rows, so that a crash in between repeats the
asking and loses nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta

import structlog

from fhirbridge.errors import EprBehind, EprError, EprUnavailable
from fhirbridge.fhir.capability import type_of
from fhirbridge.fhir.notification import Notification
from fhirbridge.ports import Arrival, Clock, Store, Subject, Version
from fhirbridge.service import reading
from fhirbridge.service.measures import DIGESTED, EVENTS, FAILURES, SKIPPED
from fhirbridge.service.merging import departures
from fhirbridge.service.pauses import Pauses
from fhirbridge.service.recognising import keep
from fhirbridge.service.site import Site, said
from fhirbridge.service.versions import told_of

LOOK_BACK = timedelta(minutes=10)
"""How far a notification that names nothing makes the service look back: EPRs notify, and repeat, within minutes."""
BATCH = 200

_log = structlog.get_logger(__name__)


async def ingest(store: Store, site: Site, notification: Notification, clock: Clock) -> int:
    """Make everything the notification says durable; how many events that was.

    A notification that names nothing is answered by looking: what changed lately counts as notified.

    Raises:
        SenderError: an event that cannot be kept.
        EprUnavailable, EprError: the EPR wants us to look and does not answer; it has to notify again.
        StoreUnavailable: nothing was kept.
    """
    now = clock.now()
    events = [event for event in notification.events if event.type in site.mapping.resource_types]
    for event in notification.events:
        if event.type not in site.mapping.resource_types:
            SKIPPED.labels(site.epr.name, event.type).inc()
    if notification.look_again and (not notification.events or notification.kind == "event-notification"):
        of_topic = type_of(notification.topic)
        kinds = [of_topic] if of_topic in site.mapping.resource_types else await _any_of(store, site)
        looked = await reading.each(kinds, lambda kind: reading.changed_since(site, kind, now - LOOK_BACK))
        events += [event for found in looked for event in found]
    if events:
        await store.accept(site.epr.name, events, now)
        EVENTS.labels(site.epr.name).inc(len(events))
    return len(events)


async def _any_of(store: Store, site: Site) -> list[str]:
    """The types that a notification without any name may be about."""
    subscribed = {one.type for one in await store.subscriptions(site.epr.name) if one.reference}
    return sorted(reading.EVENTFUL | (subscribed & site.mapping.resource_types))


async def digest(
    store: Store, sites: Mapping[str, Site], clock: Clock, pauses: Pauses, breaker: Pauses, limit: int = BATCH
) -> set[Subject] | None:
    """Take a batch from the inbox; the subjects it was about, None when there was nothing that could be taken.

    `pauses` are of events that wait for their EPR to catch up, `breaker` of EPRs that do not answer.
    """
    now = clock.now()
    ready = [one for one in await store.waiting(limit, sites) if pauses.until(_behind(one), now) is None]
    if not ready:
        return None
    about: set[Subject] = set()
    for name in dict.fromkeys(arrival.epr for arrival in ready):
        about |= await _digest_for(
            store, sites[name], [one for one in ready if one.epr == name], clock, pauses, breaker
        )
    return about


async def _digest_for(
    store: Store, site: Site, arrivals: Sequence[Arrival], clock: Clock, pauses: Pauses, breaker: Pauses
) -> set[Subject]:
    name = site.epr.name
    try:
        found = await reading.each(_telling(site, arrivals), lambda arrival: _told(store, site, arrival, clock))
        versions = [version for _, told in found for version in told or ()]
        versions += await _first_sight(store, site, versions, clock)
        versions += departures(versions)
    except EprError as error:
        retry_after = error.retry_after if isinstance(error, EprUnavailable) else None
        until = breaker.failed(name, clock.now(), retry_after)
        FAILURES.labels("digest", type(error).__name__).inc()
        _log.warning("the EPR cannot be read; events wait", epr=name, until=until.isoformat(), why=said(error))
        return set()
    behind = {_reference(arrival) for arrival, told in found if told is None}
    digested = [arrival for arrival in arrivals if _reference(arrival) not in behind]
    await keep(store, site, versions, [arrival.row for arrival in digested], clock.now())
    breaker.succeeded(name)
    for arrival in arrivals:
        if _reference(arrival) in behind:
            pauses.failed(_behind(arrival), clock.now())
        else:
            pauses.succeeded(_behind(arrival))
    DIGESTED.labels(name).inc(len(digested))
    return {Subject(name, version.fact.patient) for version in versions if version.fact.patient}


def _telling(site: Site, arrivals: Sequence[Arrival]) -> list[Arrival]:
    """Those that have to be followed up: of a resource the hints at its newest version, and at its oldest.

    Each asks for the current version; the newest says whether that is all, the oldest what may have been passed over. A
    payload that is believed stands for itself.
    """
    if site.trust_payload:
        return list(arrivals)
    of: dict[str, list[Arrival]] = {}
    for arrival in arrivals:
        of.setdefault(_reference(arrival), []).append(arrival)
    telling = []
    for several in of.values():
        ordered = sorted(several, key=_age)
        telling.append(ordered[-1])
        if ordered[0].event.version and _age(ordered[0]) < _age(ordered[-1]):
            telling.append(ordered[0])
    return telling


def _age(arrival: Arrival) -> int:
    version = arrival.event.version
    return int(version) if version.isdecimal() else 0


async def _told(store: Store, site: Site, arrival: Arrival, clock: Clock) -> tuple[Arrival, list[Version] | None]:
    """What an event leads to; None when the EPR does not show yet what it told of."""
    try:
        return arrival, await told_of(store, site, arrival, clock)
    except EprBehind as error:
        FAILURES.labels("digest", type(error).__name__).inc()
        return arrival, None


def _reference(arrival: Arrival) -> str:
    """`Type/id` of what an event is about."""
    return f"{arrival.event.type}/{arrival.event.id}"


def _behind(arrival: Arrival) -> tuple[str, str, int]:
    """What names an event that waits for its EPR to catch up, among the pauses."""
    return ("behind", arrival.epr, arrival.row)


async def _first_sight(store: Store, site: Site, versions: Sequence[Version], clock: Clock) -> list[Version]:
    """The whole record of every patient who has never been heard of before."""
    subjects = {Subject(site.epr.name, version.fact.patient) for version in versions if version.fact.patient}
    unseen = [subject for subject in sorted(subjects, key=str) if not await store.has_seen(subject)]
    records = await reading.each(unseen, lambda subject: reading.whole_record(site, subject.patient, clock))
    return [version for record in records for version in record]
