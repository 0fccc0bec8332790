"""What was heard of the topics of each EPR, kept in step: notifications come while others are still being counted.

Several processes may listen to one EPR. Each takes its own notifications one after another; where two processes cross,
the count comes out too low, and the worst is a gap that is read in vain.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from datetime import datetime

from fhirbridge.adapters.feeds import counting
from fhirbridge.core.gaps import Cause, Gap
from fhirbridge.fhir.capability import FeedKind, topic, type_of
from fhirbridge.fhir.notification import Notification
from fhirbridge.ports import Hearing, Store


class Ear:
    """Hears notifications of topics, and opens a gap where one shows that events are missing."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._turns: defaultdict[tuple[str, str], asyncio.Lock] = defaultdict(asyncio.Lock)

    async def heard(self, epr: str, told: Notification, now: datetime) -> bool:
        """Take note of a notification whose events have been accepted; whether the feed should be looked after now.

        One of a topic that is not ours, or of a subscription that is no longer ours, tells nothing.
        """
        resource_type = type_of(told.topic)
        kept = {one.criteria: one for one in await self._store.subscriptions(epr)}.get(topic(resource_type))
        if not resource_type or kept is None:
            return False
        if kept.reference and told.subscription and not f"/{told.subscription}".endswith(f"/{kept.reference}"):
            return False
        async with self._turns[epr, resource_type]:
            before = await self._store.gaps.hearing(epr, resource_type) or _nothing(epr, resource_type, now)
            if told.kind != "event-notification":
                await self._store.gaps.heard(counting.counted(before, told.so_far, now))
                return told.kind == "handshake" or told.status in ("error", "off")
            # Some EPRs say nothing of an event but that there was one more.
            numbers = told.numbers or (() if told.so_far is None else (told.so_far,))
            after, skipped = counting.received(before, numbers, told.so_far, now)
            if skipped:
                await self._lost(before, Cause.NUMBERS, now)
            await self._store.gaps.heard(after)
            return skipped

    async def begin(self, epr: str, resource_type: str, so_far: int | None, now: datetime) -> None:
        """Count from here: the subscription is new."""
        async with self._turns[epr, resource_type]:
            came = await self._store.gaps.hearing(epr, resource_type)
            top = so_far if so_far is None or came is None or came.heard < now else max(so_far, came.top or 0)
            await self._store.gaps.heard(Hearing(epr=epr, type=resource_type, heard=now, at=now, top=top))

    async def check(self, known: Hearing, so_far: int | None, now: datetime) -> None:
        """Hold the EPR's count of events, asked for when `known` had come, against what has come by now."""
        began_anew = so_far is not None and so_far < (known.top or 0)
        async with self._turns[known.epr, known.type]:
            before = await self._store.gaps.hearing(known.epr, known.type) or known
            # What came since the EPR was asked is not in its answer.
            at_least = so_far if so_far is None or began_anew else max(so_far, before.top or 0)
            after, cause = counting.checked(before, at_least, now)
            if cause is not None:
                await self._lost(before, cause, now)
            if after != before:
                await self._store.gaps.heard(after)

    async def _lost(self, before: Hearing, cause: Cause, now: datetime) -> None:
        """Open the gap after what was heard before: since the last event that came in its turn."""
        feed = FeedKind.BACKPORT.value
        await self._store.gaps.found(
            Gap(epr=before.epr, type=before.type, feed=feed, cause=cause, since=before.at, until=now)
        )


def _nothing(epr: str, resource_type: str, now: datetime) -> Hearing:
    return Hearing(epr=epr, type=resource_type, heard=now, at=now)
