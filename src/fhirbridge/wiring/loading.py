"""The initial load by searching: who has anything in a stretch of time, and then the whole record of each of them.

Stretch by stretch, and each is marked once it is kept, so that a load that was stopped goes on where it was. An EPR
that asks to be left alone is left alone for as long as it asks, and then asked again.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import date, timedelta
from functools import partial
from typing import TypeVar
from zoneinfo import ZoneInfo

import structlog
from msgspec import Struct

from fhirbridge.adapters.feeds.enumerating import Enumeration
from fhirbridge.adapters.feeds.polling import Demands
from fhirbridge.errors import EprUnavailable
from fhirbridge.ports import Clock, Store, Version
from fhirbridge.service import Site, said
from fhirbridge.service.pauses import wait
from fhirbridge.service.reading import whole_record
from fhirbridge.service.windows import Span, days

MOST_FAILURES = 8
"""How often in a row the EPR may be unavailable: some four minutes of waiting, or as long as it asks for itself."""

_ONE_DAY = timedelta(days=1)
_log = structlog.get_logger(__name__)
Result = TypeVar("Result")
Pause = Callable[[float], Awaitable[None]]


class Stretch(Struct, frozen=True):
    """The days to load, both included, and how many of them at once."""

    first: date
    last: date
    at_once: int

    @property
    def name(self) -> str:
        """What its progress is marked as."""
        return f"backfill {self.first} {self.last}"

    def spans(self, zone: ZoneInfo) -> list[Span]:
        """The days in spans, in order."""
        return days(self.first, self.last + _ONE_DAY, self.at_once, zone)


class Backfill:
    """One load by searching. `pause` waits so many seconds."""

    def __init__(
        self, site: Site, store: Store, clock: Clock, demands: Demands, stretch: Stretch, pause: Pause = asyncio.sleep
    ) -> None:
        self._site = site
        self._store = store
        self._clock = clock
        self._demands = demands
        self._stretch = stretch
        self._pause = pause
        self._loaded: set[str] = set()

    def spans(self) -> list[Span]:
        """The whole stretch, in order."""
        return self._stretch.spans(ZoneInfo(self._site.calendar.zone))

    async def remaining(self) -> list[Span]:
        """The spans that a load of the same stretch, if one was stopped, has not marked yet; all, if none was."""
        spans = self.spans()
        come_to = await self._store.gaps.marked(self._site.epr.name, self._stretch.name)
        return [span for span in spans if come_to is None or span.end > come_to]

    async def records(self, span: Span) -> AsyncIterator[list[Version]]:
        """The record of each patient with something in the span, those left out that were read before.

        Raises:
            EprUnavailable: it stays away; load again later.
            EprError: it cannot be read.
        """
        enumeration = await self._patiently(lambda: Enumeration.at(self._site, self._demands, self._clock))
        patients = await self._patiently(lambda: enumeration.patients(span))
        for patient in sorted(patients - self._loaded):
            yield await self._patiently(partial(whole_record, self._site, patient, self._clock))
            self._loaded.add(patient)

    async def mark(self, span: Span) -> None:
        """Note that the span is kept; after the last one, that another load begins anew."""
        spans = self.spans()
        done = spans[0].start if span == spans[-1] else span.end
        await self._store.gaps.mark(self._site.epr.name, self._stretch.name, done)

    async def _patiently(self, ask: Callable[[], Awaitable[Result]]) -> Result:
        failures = 0
        while True:
            try:
                return await ask()
            except EprUnavailable as error:
                failures += 1
                if failures > MOST_FAILURES:
                    raise
                _log.warning("the EPR is away; it is asked again", epr=self._site.epr.name, why=said(error))
                await self._pause(wait(failures, error.retry_after).total_seconds())
