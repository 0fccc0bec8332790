"""Chooses the feeds of an EPR from what it says it can do and what the settings say, and builds them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Mapping
from datetime import datetime, timedelta

from msgspec import Struct
from msgspec.structs import replace

from fhirbridge.adapters.feeds.backport import BackportFeed
from fhirbridge.adapters.feeds.hearing import Ear
from fhirbridge.adapters.feeds.polling import DateWindowPoll, HistoryPoll, LastUpdatedPoll, PatientPoll
from fhirbridge.adapters.feeds.registering import Reader, retire
from fhirbridge.adapters.feeds.rest_hook import RestHookFeed
from fhirbridge.errors import EprRefused
from fhirbridge.fhir.capability import POLLED, SUBSCRIBED, Capability, FeedKind, feeds_for, topic, ways_of_asking
from fhirbridge.ports import Event, Feed, Store
from fhirbridge.service import Site
from fhirbridge.service.reading import EVENTFUL
from fhirbridge.service.windows import Window
from fhirbridge.settings import EprSettings, PollingSettings


class Chosen(Struct, frozen=True):
    """The feeds of one EPR: which kind each type has, and each feed that is used with its types.

    `read` is how what was missed of a type is read again, whichever feed it has.
    """

    kinds: Mapping[str, FeedKind]
    used: tuple[tuple[Feed, tuple[str, ...]], ...]
    read: Reader
    whole: frozenset[str] = frozenset()
    """The types that are read as a whole from time to time, whatever else tells of them."""
    glances: Mapping[str, DateWindowPoll] = {}
    """What reads the days around today, between two readings of the whole window."""
    asked: Mapping[str, FeedKind] = {}
    """Which kind each type has where the EPR does not tell of it."""

    def glance(self, resource_type: str, since: datetime, now: datetime) -> AsyncIterator[Event]:
        """What changes most: between two readings of the whole, where the EPR cannot say what changed."""
        if resource_type in self.glances:
            return self.glances[resource_type].glance(resource_type, now)
        return self.look(resource_type, since, now)

    def look(self, resource_type: str, since: datetime, now: datetime) -> AsyncIterator[Event]:
        """Everything of the type that changed since then, by the feed that has it, else however it can be read."""
        feed = next((feed for feed, types in self.used if resource_type in types), None)
        return (feed.look if feed is not None else self.read)(resource_type, since, now)

    def without(self, refused: Collection[str]) -> Chosen:
        """The same, where the EPR does not let the service subscribe to these types: they are asked for instead."""
        kinds = {name: self.asked[name] if name in refused else kind for name, kind in self.kinds.items()}
        used = [(feed, tuple(name for name in types if name not in refused)) for feed, types in self.used]
        return replace(self, kinds=kinds, used=tuple((feed, types) for feed, types in used if types))

    @property
    def polled(self) -> frozenset[str]:
        """The types that the EPR has to be asked for again and again."""
        return frozenset(one for one, kind in self.kinds.items() if kind in POLLED)


async def chosen(site: Site, store: Store, ear: Ear, one: EprSettings, endpoint: str) -> Chosen:
    """The feeds of this EPR; `endpoint` is where it shall notify the service.

    Raises:
        EprUnavailable, EprError: the EPR does not say what it can do.
    """
    offers = Capability.of(await site.epr.capability())
    types = sorted(site.mapping.resource_types)
    found = feeds_for(offers, types, EVENTFUL, subscribe=one.subscribe, wanted=one.feed)
    kinds = {feed.type: feed.kind for feed in found}
    asked = {feed.type: feed.kind for feed in feeds_for(offers, types, EVENTFUL, subscribe=False)}
    if one.payload == "empty":
        # A rest-hook without anything says that something happened, and is looked for; not how things stand.
        mute = {name for name, kind in kinds.items() if kind is FeedKind.REST_HOOK} - EVENTFUL
        kinds |= {name: asked[name] for name in mute}
    criteria = {FeedKind.REST_HOOK: "{}?".format, FeedKind.BACKPORT: topic}
    await retire(site.epr, store, {criteria[kind](name) for name, kind in kinds.items() if kind in criteria})
    polls = polls_of(site, store, one.polling)
    read = reader(offers, site.epr.name, polls)
    by_kind: dict[FeedKind, list[str]] = {}
    for name, kind in kinds.items():
        by_kind.setdefault(kind, []).append(name)
    used: list[tuple[Feed, tuple[str, ...]]] = []
    for kind, mine in by_kind.items():
        if kind is FeedKind.REST_HOOK:
            empty = one.payload == "empty"
            used.append((RestHookFeed(site.epr, store, endpoint, reader=read, empty=empty), tuple(mine)))
        elif kind is FeedKind.BACKPORT:
            used.append((_backport(site, store, ear, one, endpoint, read), tuple(mine)))
        elif kind in POLLED:
            used.append((polls[kind], tuple(mine)))
    window = polls[FeedKind.DATE_WINDOW]
    days = [name for name, kind in kinds.items() if kind is FeedKind.DATE_WINDOW]
    glances = dict.fromkeys(days, window) if isinstance(window, DateWindowPoll) else {}
    return Chosen(kinds, tuple(used), read, _whole(kinds, offers), glances, asked)


def _whole(kinds: Mapping[str, FeedKind], offers: Capability) -> frozenset[str]:
    """What may be missed in spite of its feed, or has none of its own, as far as the EPR can be asked for it."""
    read_whole = SUBSCRIBED | {FeedKind.DATE_WINDOW}
    found = (
        name for name, kind in kinds.items() if kind in read_whole or (kind is FeedKind.RECORD and name in EVENTFUL)
    )
    return frozenset(name for name in found if ways_of_asking(offers, name))


def polls_of(site: Site, store: Store, how: PollingSettings) -> dict[FeedKind, Feed]:
    """The ways in which an EPR can be asked, by kind."""
    kept = store.kept
    window = Window(past=how.past, future=how.future, slice=how.slice, near=how.near)
    return {
        FeedKind.LAST_UPDATED: LastUpdatedPoll(site, kept, how.demands),
        FeedKind.HISTORY: HistoryPoll(site, kept),
        FeedKind.DATE_WINDOW: DateWindowPoll(site, kept, how.demands, window=window),
        FeedKind.RECORD: PatientPoll(site, kept),
    }


def reader(offers: Capability, epr: str, polls: Mapping[FeedKind, Feed]) -> Reader:
    """How what was missed of a type is read: by its history, which tells of deletions too, else in the best way."""

    async def read(resource_type: str, since: datetime, now: datetime) -> AsyncIterator[Event]:
        ways = sorted(ways_of_asking(offers, resource_type), key=lambda way: way.kind is not FeedKind.HISTORY)
        way = next(iter(ways), None)
        if way is None:
            raise EprRefused(f"{epr}: {resource_type} cannot be asked for in any way; see `fhirbridge doctor`")
        async for event in polls[way.kind].look(resource_type, since, now):
            yield event

    return read


def _backport(site: Site, store: Store, ear: Ear, one: EprSettings, endpoint: str, reader: Reader) -> BackportFeed:
    return BackportFeed(
        site.epr,
        store,
        endpoint,
        ear=ear,
        reader=reader,
        payload=one.payload or "id-only",
        heartbeat=timedelta(seconds=one.heartbeat),
    )
