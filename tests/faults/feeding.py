"""How the service learns of changes in a run: told, asking, or both, by the service's own feeds.

In one seed of three, notifications alone are relied on: the EPR sends each until it is taken, and nothing is read
again. In another third some are lost, and what changed is read again once the weather is fair; or nothing is told at
all, and the EPR is asked every so often, in fair weather and in foul. In the last third the service looks after its
feeds itself, and nobody reads for it: see `watching`. A reading overlaps with the one before by more than a replica
lags behind.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from enum import StrEnum

from fhirbridge.adapters.feeds.polling import HistoryPoll, LastUpdatedPoll, PatientPoll, Poll
from fhirbridge.errors import EprError, EprRefused
from fhirbridge.ports import Clock, Store
from fhirbridge.service import Site
from tests.faults.dice import Dice

OVERLAP = timedelta(minutes=40)


class Feed(StrEnum):
    """The ways of learning."""

    RELIED_ON = "told, and nothing is read again"
    TOLD_LAST_UPDATED = "told, and read again by _lastUpdated and patient by patient"
    TOLD_HISTORY = "told, and read again by _history"
    ASKED_LAST_UPDATED = "asked by _lastUpdated, and patient by patient"
    ASKED_HISTORY = "asked by _history"
    REST_HOOKS = "watched, told by R4 subscriptions"
    TOPICS = "watched, told by subscriptions to topics, which number their events"
    POLLED_LAST_UPDATED = "watched, asked by _lastUpdated"
    POLLED_HISTORY = "watched, asked by _history"
    POLLED_DATES = "watched, asked for windows of dates, and patient by patient"

    @classmethod
    def of_seed(cls, seed: int) -> Feed:
        """The way of this seed."""
        if seed % 3 == 0:
            return cls.RELIED_ON
        watched = seed % 3 == 2
        return Dice(seed).one_of("feed", [one for one in cls if one is not cls.RELIED_ON and one.watched == watched])

    @property
    def watched(self) -> bool:
        """Whether the service looks after the feed itself."""
        return self in (*SUBSCRIBING, *POLLING)

    @property
    def subscribes(self) -> bool:
        """Whether the service registers subscriptions, and sees to it that they stand."""
        return self in SUBSCRIBING

    @property
    def told(self) -> bool:
        """Whether the EPR notifies."""
        return self not in (Feed.ASKED_LAST_UPDATED, Feed.ASKED_HISTORY, *POLLING)

    @property
    def by_history(self) -> bool:
        """Whether it can be asked what was committed, deletions too."""
        return self in (Feed.TOLD_HISTORY, Feed.ASKED_HISTORY)


def keeps_histories(feed: Feed, seed: int) -> bool:
    """Whether an EPR that says what it offers gives the history of a type: that alone tells of deletions for sure."""
    return feed in (Feed.TOPICS, Feed.POLLED_HISTORY) or (
        feed is Feed.REST_HOOKS and Dice(seed).falls("histories of types", 0.5)
    )


def deletes(seed: int) -> bool:
    """Whether staff delete: not where nothing can tell of it but the record itself, when something is decided."""
    feed = Feed.of_seed(seed)
    return feed not in (Feed.REST_HOOKS, Feed.POLLED_LAST_UPDATED) or keeps_histories(feed, seed)


SUBSCRIBING = (Feed.REST_HOOKS, Feed.TOPICS)
POLLING = (Feed.POLLED_LAST_UPDATED, Feed.POLLED_HISTORY, Feed.POLLED_DATES)


class Feeding:
    """Reads what changed into the inbox, for one life of the service; `come_to` is how far it has come."""

    def __init__(self, feed: Feed, site: Site, store: Store, clock: Clock, come_to: datetime) -> None:
        self.feed = feed
        self.come_to = come_to
        self._store = store
        self._clock = clock
        self._types = sorted(site.mapping.resource_types)
        self._changed: Poll = (HistoryPoll if feed.by_history else LastUpdatedPoll)(site, store.kept)
        self._everything = PatientPoll(site, store.kept)

    async def ask(self) -> None:
        """Ask what changed since the last time, where nobody tells; if the EPR does not answer, the next time asks."""
        if self.feed.told:
            return
        began = self._clock.now()
        try:
            await self._read([self._changed], self.come_to - OVERLAP)
        except EprError:
            return
        self.come_to = began

    async def read_again(self, since: datetime) -> None:
        """Read what may have been missed since then; what only goes away is found by reading patient by patient.

        Raises:
            EprError: the EPR does not answer.
        """
        if self.feed is not Feed.RELIED_ON:
            await self._read([self._changed] if self.feed.by_history else [self._changed, self._everything], since)

    async def _read(self, polls: Sequence[Poll], since: datetime) -> None:
        for kind in self._types:
            for poll in polls:
                try:
                    found = [event async for event in poll.look(kind, since, self._clock.now())]
                except EprRefused:
                    continue  # the EPR does not have this type
                if found:
                    await self._store.accept("main", found, self._clock.now())
