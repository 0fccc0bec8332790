"""From a notification to kept versions: durable first, understood afterwards.

`ingest` is what a sender waits for, so it does nothing but write the inbox. `digest` empties the inbox: it asks the EPR
for what the events hint at, and keeps it together with closing their rows, so that a crash in between repeats the
asking and loses nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta

import structlog

from fhirbridge.errors import EprError, EprUnavailable
from fhirbridge.fhir.notification import Notification
from fhirbridge.ports import Arrival, Clock, Store, Subject, Version
from fhirbridge.service import reading
from fhirbridge.service.measures import DIGESTED, EVENTS, FAILURES, SKIPPED
from fhirbridge.service.pauses import Pauses
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
    if notification.look_again and not notification.events:
        kinds = sorted(reading.EVENTFUL)
        looked = await reading.each(kinds, lambda kind: reading.changed_since(site, kind, now - LOOK_BACK))
        events += [event for found in looked for event in found]
    if events:
        await store.accept(site.epr.name, events, now)
        EVENTS.labels(site.epr.name).inc(len(events))
    return len(events)


async def digest(store: Store, sites: Mapping[str, Site], clock: Clock, pauses: Pauses) -> set[Subject] | None:
    """Take a batch from the inbox; the subjects it was about, None when there was nothing that could be taken."""
    now = clock.now()
    answering = [name for name in sites if pauses.until(name, now) is None]
    ready = await store.waiting(BATCH, answering)
    if not ready:
        return None
    about: set[Subject] = set()
    for name in dict.fromkeys(arrival.epr for arrival in ready):
        about |= await _digest_for(store, sites[name], [one for one in ready if one.epr == name], clock, pauses)
    return about


async def _digest_for(
    store: Store, site: Site, arrivals: Sequence[Arrival], clock: Clock, pauses: Pauses
) -> set[Subject]:
    name = site.epr.name
    # Each asks for every version of the resource, so the last hint does for all; a believed payload stands for itself.
    last_of = {(a.event.type, a.event.id): a for a in arrivals}
    telling = arrivals if site.trust_payload else list(last_of.values())
    try:
        found = await reading.each(telling, lambda arrival: told_of(store, site, arrival, clock))
        versions = [version for one in found for version in one]
        versions += await _first_sight(store, site, versions, clock)
    except EprError as error:
        retry_after = error.retry_after if isinstance(error, EprUnavailable) else None
        until = pauses.failed(name, clock.now(), retry_after)
        FAILURES.labels("digest", type(error).__name__).inc()
        _log.warning("the EPR cannot be read; events wait", epr=name, until=until.isoformat(), why=said(error))
        return set()
    await store.keep(name, versions, [arrival.row for arrival in arrivals], clock.now())
    pauses.succeeded(name)
    DIGESTED.labels(name).inc(len(arrivals))
    return {Subject(name, version.fact.patient) for version in versions if version.fact.patient}


async def _first_sight(store: Store, site: Site, versions: Sequence[Version], clock: Clock) -> list[Version]:
    """The whole record of every patient who has never been heard of before."""
    subjects = {Subject(site.epr.name, version.fact.patient) for version in versions if version.fact.patient}
    unseen = [subject for subject in sorted(subjects, key=str) if not await store.has_seen(subject)]
    records = await reading.each(unseen, lambda subject: reading.whole_record(site, subject.patient, clock))
    return [version for record in records for version in record]
