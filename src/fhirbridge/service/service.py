"""The service in five sentences: ingest a notification, digest the inbox, advance who is due, deliver the outbox, send
through channels.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime

import structlog

from fhirbridge.errors import EprError, EprUnavailable, NotKnown
from fhirbridge.fhir.notification import Notification
from fhirbridge.ports import Channel, Clock, Queue, Store, Subject
from fhirbridge.service import reading
from fhirbridge.service.advancing import advance
from fhirbridge.service.delivering import deliver
from fhirbridge.service.intake import digest, ingest
from fhirbridge.service.measures import FAILURES
from fhirbridge.service.pauses import Pauses
from fhirbridge.service.sending import Sending
from fhirbridge.service.site import Site, said, shown

BATCH = 200

_log = structlog.get_logger(__name__)


class Service:
    """Everything the service does, over one store and the EPRs of `sites` (by name). Belongs to one event loop."""

    def __init__(
        self, store: Store, sites: Mapping[str, Site], clock: Clock, channels: Mapping[str, Channel] | None = None
    ) -> None:
        self.store = store
        self.sites = sites
        self.clock = clock
        self.sending = Sending(store, channels or {}, clock)
        self._pauses = Pauses()

    async def ingest(self, epr: str, notification: Notification) -> int:
        """Make a notification durable; see `intake.ingest`. Raises NotKnown for an EPR that is not configured."""
        if epr not in self.sites:
            raise NotKnown(f"no EPR is configured under the name {epr[:60]!r}", issue="not-found")
        return await ingest(self.store, self.sites[epr], notification, self.clock)

    async def digest(self) -> set[Subject] | None:
        """Understand a batch of the inbox; see `intake.digest`."""
        return await digest(self.store, self.sites, self.clock, self._pauses)

    async def deliver(self) -> int:
        """Deliver a batch of the outbox; see `delivering.deliver`."""
        return await deliver(self.store, self.sites, self.clock, self._pauses)

    async def advance(self, subjects: Iterable[Subject]) -> int:
        """Look at each of the patients; how many of them that was. One that fails is left due and paused."""
        return sum(await reading.each(subjects, self._advance_one))

    async def due(self) -> list[Subject]:
        """Patients to look at now, those left out that are paused or of an EPR that is."""
        now = self.clock.now()
        return [subject for subject in await self.store.due(now, BATCH) if not self._paused(subject, now)]

    async def next_due(self) -> datetime | None:
        """The earliest timer."""
        return await self.store.next_due()

    async def work_through(self) -> bool:
        """One turn of the embedded service: digest, advance, deliver, send. Whether there may be more of it."""
        digested = await self.digest()
        advanced = await self.advance(await self.due())
        delivered = await self.deliver()
        sent = await self.sending.turn()
        return bool(digested) or advanced > 0 or delivered > 0 or sent

    async def take_in(self, queue: Queue) -> bool:
        """One turn of a service that leaves the work to workers: digest, and wake them; and send what waits."""
        subjects = await self.digest()
        if subjects:
            await queue.wake(sorted(subjects, key=lambda subject: (subject.epr, subject.patient)))
        sent = await self.sending.turn()
        return bool(subjects) or sent

    async def work_on(self, subjects: Iterable[Subject]) -> None:
        """What a worker does with the patients it was woken for."""
        await self.advance(subjects)
        await self.deliver()

    async def unfinished(self) -> list[Subject]:
        """Patients for whom there is something to do now, in the rows: due, or with something to deliver."""
        waiting = await self.store.undelivered(self.clock.now(), BATCH)
        return list(dict.fromkeys([*await self.due(), *(delivery.subject for delivery in waiting)]))

    def _paused(self, subject: Subject, now: datetime) -> bool:
        unknown = subject.epr not in self.sites
        return unknown or any(self._pauses.until(who, now) is not None for who in (subject, subject.epr))

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
        away = isinstance(error, EprUnavailable)
        until = self._pauses.failed(
            subject.epr if away else subject,
            self.clock.now(),
            error.retry_after if isinstance(error, EprUnavailable) else None,
        )
        FAILURES.labels("advance", type(error).__name__).inc()
        about = {"subject": shown(subject), "epr": subject.epr, "until": until.isoformat()}
        if isinstance(error, EprError):
            _log.warning("the record cannot be read; the patient waits", why=said(error), **about)
        else:
            _log.error("the patient could not be decided on; they wait", exc_info=error, **about)
