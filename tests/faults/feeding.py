"""How the service learns of changes in a run: told, asking, or both, by the service's own feeds.

In one seed of three, notifications alone are relied on: the EPR sends each until it is taken, and nothing is read
again. In the others some are lost, and what changed is read again once the weather is fair; or nothing is told at all,
and the EPR is asked every so often, in fair weather and in foul. A reading overlaps with the one before by more than a
replica lags behind.
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

    @classmethod
    def of_seed(cls, seed: int) -> Feed:
        """The way of this seed."""
        if seed % 3 == 0:
            return cls.RELIED_ON
        return Dice(seed).one_of("feed", [one for one in cls if one is not cls.RELIED_ON])

    @property
    def told(self) -> bool:
        """Whether the EPR notifies."""
        return self not in (Feed.ASKED_LAST_UPDATED, Feed.ASKED_HISTORY)

    @property
    def by_history(self) -> bool:
        """Whether it can be asked what was committed, deletions too."""
        return self in (Feed.TOLD_HISTORY, Feed.ASKED_HISTORY)


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
