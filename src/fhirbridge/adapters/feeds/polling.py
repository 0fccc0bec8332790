"""Asking an EPR again and again what changed, in whichever way it can be asked.

What a search gives is compared with what is kept, and only what is news becomes an event: to read the same again costs
nothing but the asking. So readings overlap freely, and what a crash lost between two of them is found by the next. What
should have been found and was not is an event too: whoever takes it reads it by id, and learns whether it has gone.

Each of these feeds reads all that changed since an instant. None of them has anything to register.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from itertools import islice, product
from zoneinfo import ZoneInfo

from fhirbridge.errors import EprRefused
from fhirbridge.fhir.capability import Capability, Feed, FeedKind, ways_of_asking
from fhirbridge.ports import Event, Kept, Resource, Standing, Watch
from fhirbridge.service import Site
from fhirbridge.service.reading import EVER, each
from fhirbridge.service.versions import is_deletion, is_news
from fhirbridge.service.windows import Span, Window, spans_since

Demands = Mapping[str, Mapping[str, Sequence[str]]]
"""For each type the search parameters that an EPR insists on, with all their values; each value is asked by itself."""

_BATCH = 200
_PATIENTS_AT_ONCE = 20


class Poll(ABC):
    """What the ways of asking have in common. `demands` is what the EPR wants named in each search of a type."""

    kind: FeedKind

    @abstractmethod
    def look(self, resource_type: str, since: datetime, now: datetime) -> AsyncIterator[Event]:
        """Everything that changed since then; see `ports.Feed`."""

    def __init__(self, site: Site, kept: Kept, demands: Demands | None = None) -> None:
        self._site = site
        self._epr = site.epr
        self._kept = kept
        self._demands = demands or {}

    async def establish(self, types: Sequence[str], now: datetime) -> list[Watch]:
        """Nothing has to be registered: whether the EPR can be asked shows when it is.

        Raises:
            EprUnavailable, EprError: the EPR cannot be asked at present.
        """
        capability = Capability.of(await self._epr.capability())
        return [_watch(one, readable=capability.offer(one).can("read")) for one in types]

    async def _found(self, kind: str, parameters: Mapping[str, Sequence[str]]) -> dict[str, Resource]:
        """By id, what a search finds, asked once for each of the values that the EPR wants to be named."""
        found: dict[str, Resource] = {}
        for demanded in combinations(self._demands.get(kind, {})):
            async for resource in self._epr.search(kind, {**parameters, **demanded}):
                found[str(resource["id"])] = resource
        return found

    async def _news(self, kind: str, found: Mapping[str, Resource], read: datetime) -> AsyncIterator[Event]:
        """Events for those of the found that say something new."""
        for some in _batches(found):
            kept = await self._kept.latest(self._epr.name, kind, some)
            for identity in some:
                if is_news(self._site, found[identity], kept.get(identity), read):
                    yield Event(type=kind, id=identity)

    async def _all_of(
        self, kind: str, found: Mapping[str, Resource], read: datetime, expected: set[str]
    ) -> AsyncIterator[Event]:
        """Events for what says something new, and for what should have been found and was not."""
        async for event in self._news(kind, found, read):
            yield event
        for identity in sorted(expected - found.keys()):
            yield Event(type=kind, id=identity)


class LastUpdatedPoll(Poll):
    """By `_lastUpdated`: what changed since, a day at a time."""

    kind = FeedKind.LAST_UPDATED

    async def look(self, resource_type: str, since: datetime, now: datetime) -> AsyncIterator[Event]:
        """Everything that changed since then, other than by being deleted; see `ports.Feed`."""
        for span in spans_since(since, now):
            found = await self._found(resource_type, {"_lastUpdated": span.bounds})
            async for event in self._news(resource_type, found, now):
                yield event


class HistoryPoll(Poll):
    """By the history of the type: what was committed since, deletions too."""

    kind = FeedKind.HISTORY

    async def look(self, resource_type: str, since: datetime, now: datetime) -> AsyncIterator[Event]:
        """Everything that was committed since then; see `ports.Feed`."""
        newest: dict[str, Event] = {}
        async for event in self._epr.changes(resource_type, since):
            newest.setdefault(event.id, event)
        for some in _batches(newest):
            kept = await self._kept.latest(self._epr.name, resource_type, some)
            for identity in some:
                event, last = newest[identity], kept.get(identity)
                gone = last is not None and is_deletion(last)
                same = last is not None and last.fact.source.version == event.version
                if not (gone if event.deleted else same and not gone):
                    yield event


class DateWindowPoll(Poll):
    """By reading again all that takes place in a window of days, for EPRs that cannot say what changed."""

    kind = FeedKind.DATE_WINDOW

    def __init__(self, site: Site, kept: Kept, demands: Demands | None = None, *, window: Window) -> None:
        super().__init__(site, kept, demands)
        self._window = window
        self._zone = ZoneInfo(site.calendar.zone)

    async def look(self, resource_type: str, since: datetime, now: datetime) -> AsyncIterator[Event]:
        """Everything in the window that is not as it was known, whenever it changed; see `ports.Feed`."""
        async for event in self._read(resource_type, self._window.spans(now, self._zone), now):
            yield event

    async def glance(self, resource_type: str, now: datetime) -> AsyncIterator[Event]:
        """The same for the days around today, on which most is written down."""
        async for event in self._read(resource_type, self._window.near_today(now, self._zone), now):
            yield event

    async def _read(self, kind: str, spans: Iterable[Span], now: datetime) -> AsyncIterator[Event]:
        capability = Capability.of(await self._epr.capability())
        by = _way(capability, kind, FeedKind.DATE_WINDOW).by
        for span in spans:
            found = await self._found(kind, {by: span.bounds})
            expected = await self._kept.expected(self._epr.name, kind, start=span.start, end=span.end)
            async for event in self._all_of(kind, found, now, expected):
                yield event


class PatientPoll(Poll):
    """By asking for each patient who is known, for EPRs that can be asked in no other way."""

    kind = FeedKind.RECORD

    async def look(self, resource_type: str, since: datetime, now: datetime) -> AsyncIterator[Event]:
        """Everything of the known patients that is not as it was known, whenever it changed; see `ports.Feed`."""
        capability = Capability.of(await self._epr.capability())
        by = _way(capability, resource_type, FeedKind.RECORD).by
        dates = [feed.by for feed in ways_of_asking(capability, resource_type) if feed.kind is FeedKind.DATE_WINDOW]
        bounds = dict.fromkeys(dates, EVER)
        last = ""
        while patients := await self._kept.patients(self._epr.name, after=last, limit=_PATIENTS_AT_ONCE):
            last = patients[-1]

            async def of(patient: str) -> list[Event]:
                found = await self._about(resource_type, patient, {by: (patient,), **bounds} if by else {})
                expected = await self._kept.expected(
                    self._epr.name, resource_type, start=None, end=None, patient=patient
                )
                return [event async for event in self._all_of(resource_type, found, now, expected)]

            for events in await each(patients, of):
                for event in events:
                    yield event

    async def _about(self, kind: str, patient: str, parameters: Mapping[str, Sequence[str]]) -> Mapping[str, Resource]:
        if parameters:
            return {str(one["id"]): one async for one in self._epr.search(kind, parameters)}
        person = await self._epr.read(patient)
        return {str(person["id"]): person} if person else {}


def _way(capability: Capability, resource_type: str, kind: FeedKind) -> Feed:
    ways = (way for way in ways_of_asking(capability, resource_type) if way.kind is kind)
    found = next(ways, None)
    if found is None:
        raise EprRefused(f"{resource_type} cannot be asked for by {kind}; see `fhirbridge doctor`")
    return found


def _watch(resource_type: str, *, readable: bool) -> Watch:
    if readable:
        return Watch(type=resource_type, standing=Standing.ACTIVE)
    return Watch(type=resource_type, standing=Standing.NOT_OFFERED, why=f"the EPR offers no {resource_type}")


def combinations(demanded: Mapping[str, Sequence[str]]) -> Iterator[dict[str, str]]:
    """One search for each combination of values; one without any where nothing is demanded."""
    for values in product(*demanded.values()):
        yield dict(zip(demanded, values, strict=True))


def _batches(ids: Iterable[str]) -> Iterator[list[str]]:
    rest = iter(ids)
    while some := list(islice(rest, _BATCH)):
        yield some
