"""The service in five sentences: ingest a notification, digest the inbox, advance who is due, deliver the outbox, send
through channels.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime, timedelta

import structlog

from fhirbridge.errors import EprError, EprUnavailable, NotKnown
from fhirbridge.fhir.notification import Notification
from fhirbridge.ports import Channel, Clock, DeadLetter, Queue, Store, Subject
from fhirbridge.service import reading
from fhirbridge.service.advancing import advance
from fhirbridge.service.delivering import deliver
from fhirbridge.service.housekeeping import tidy
from fhirbridge.service.intake import digest, ingest
from fhirbridge.service.measures import FAILURES
from fhirbridge.service.pauses import Pauses
from fhirbridge.service.sending import Sending
from fhirbridge.service.site import Site, said, shown

BATCH = 200
OPENS_AFTER = 3
"""After so many failures in a row an EPR is left alone."""

_log = structlog.get_logger(__name__)


class Service:
    """Everything the service does, over one store and the EPRs of `sites` (by name). Belongs to one event loop."""

    def __init__(
        self,
        store: Store,
        sites: Mapping[str, Site],
        clock: Clock,
        channels: Mapping[str, Channel] | None = None,
        *,
        opens_after: int = OPENS_AFTER,
    ) -> None:
        self.store = store
        self.sites = sites
        self.clock = clock
        self.sending = Sending(store, channels or {}, clock)
        self._pauses = Pauses()
        self._breaker = Pauses(opens_after=opens_after)

    async def ingest(self, epr: str, notification: Notification) -> int:
        """Make a notification durable; see `intake.ingest`. Raises NotKnown for an EPR that is not configured."""
        if epr not in self.sites:
            raise NotKnown(f"no EPR is configured under the name {epr[:60]!r}", issue="not-found")
        return await ingest(self.store, self.sites[epr], notification, self.clock)

    async def digest(self, eprs: Collection[str] | None = None) -> set[Subject] | None:
        """Understand a batch of the inbox, of these EPRs where any are named; see `intake.digest`."""
        sites = self._answering(eprs)
        return await digest(self.store, sites, self.clock, self._pauses, self._breaker, self._batch(sites))

    async def deliver(self, eprs: Collection[str] | None = None) -> int:
        """Deliver a batch of the outbox, of these EPRs where any are named; see `delivering.deliver`."""
        sites = self._answering(eprs)
        return await deliver(self.store, sites, self.clock, self._breaker, self._batch(sites))

    async def advance(self, subjects: Iterable[Subject]) -> int:
        """Look at each of the patients; how many of them that was. One that fails is left due and paused."""
        return sum(await reading.each(subjects, self._advance_one))

    async def due(self, eprs: Collection[str] | None = None) -> list[Subject]:
        """Patients to look at now, those left out that are paused or of an EPR that is."""
        now = self.clock.now()
        sites = self._answering(eprs)
        found = await self.store.due(now, self._batch(sites), list(sites))
        return [subject for subject in found if self._pauses.until(subject, now) is None]

    async def next_due(self) -> datetime | None:
        """The earliest timer."""
        return await self.store.next_due()

    async def work_through(self) -> bool:
        """One turn of the embedded service for every EPR, and of its channels. Whether there may be more of it."""
        worked = await reading.each(sorted(self.sites), self.work_for)
        sent = await self.sending.turn()
        return any(worked) or sent

    async def work_for(self, epr: str) -> bool:
        """One turn for one EPR: digest, advance, deliver. Whether there may be more of it."""
        digested = await self.digest([epr])
        advanced = await self.advance(await self.due([epr]))
        delivered = await self.deliver([epr])
        return bool(digested) or advanced > 0 or delivered > 0

    async def tidy(self, keep: timedelta) -> list[DeadLetter]:
        """What has to be done now and then; see `housekeeping.tidy`. The dead letters that are overdue."""
        now = self.clock.now()
        return await tidy(self.store, self.sites, now, keep=keep, answering=self._answering(None))

    def left_alone(self) -> dict[str, datetime]:
        """EPRs that do not answer, and until when they are not asked."""
        now = self.clock.now()
        found = {name: self._breaker.until(name, now) for name in self.sites}
        return {name: until for name, until in found.items() if until is not None}

    async def take_in(self, queue: Queue, epr: str) -> bool:
        """One turn for one EPR of a service that leaves the work to workers: digest, and wake them."""
        subjects = await self.digest([epr])
        if subjects:
            await queue.wake(sorted(subjects, key=lambda subject: (subject.epr, subject.patient)))
        return bool(subjects)

    async def work_on(self, subjects: Iterable[Subject]) -> None:
        """What a worker does with the patients it was woken for, those of one EPR beside those of another."""
        of_epr: dict[str, list[Subject]] = {}
        for subject in subjects:
            of_epr.setdefault(subject.epr, []).append(subject)

        async def one(epr: str) -> None:
            await self.advance(of_epr[epr])
            await self.deliver([epr])

        await reading.each(of_epr, one)

    async def unfinished(self) -> list[Subject]:
        """Patients for whom there is something to do now, in the rows: due, or with something to deliver."""
        waiting = await self.store.undelivered(self.clock.now(), BATCH, list(self._answering(None)))
        return list(dict.fromkeys([*await self.due(), *(delivery.subject for delivery in waiting)]))

    def _answering(self, eprs: Collection[str] | None) -> dict[str, Site]:
        now = self.clock.now()
        return {
            name: site
            for name, site in self.sites.items()
            if (eprs is None or name in eprs) and self._breaker.until(name, now) is None
        }

    def _batch(self, sites: Collection[str]) -> int:
        """How much to try at once: where every EPR has just been left alone, one thing shows whether it answers."""
        now = self.clock.now()
        return 1 if sites and all(self._breaker.probing(name, now) for name in sites) else BATCH

    async def _advance_one(self, subject: Subject) -> bool:
        if subject.epr not in self.sites:
            _log.error("a patient of an EPR that is not configured was left alone", epr=subject.epr)
            return False
        try:
            moved = await advance(self.store, self.sites[subject.epr], subject, self.clock)
        except Exception as error:  # one patient must not hold up the others; this one stays due
            self._leave(subject, error)
            return False
        self._pauses.succeeded(subject)
        return moved

    def _leave(self, subject: Subject, error: Exception) -> None:
        now = self.clock.now()
        until = self._pauses.failed(subject, now)
        if isinstance(error, EprUnavailable):
            until = max(until, self._breaker.failed(subject.epr, now, error.retry_after))
        FAILURES.labels("advance", type(error).__name__).inc()
        about = {"subject": shown(subject), "epr": subject.epr, "until": until.isoformat()}
        if isinstance(error, EprError):
            _log.warning("the record cannot be read; the patient waits", why=said(error), **about)
        else:
            _log.error("the patient could not be decided on; they wait", exc_info=error, **about)
