"""The durable truth, and who looked at it.

All instants are UTC. References are `Type/id`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from typing import Protocol

from fhirbridge.channels import Dispatches
from fhirbridge.core.effects import AnyEffect
from fhirbridge.fhir.notification import Event
from fhirbridge.fhir.render.outgoing import Outgoing
from fhirbridge.ports.feeds import Gaps, Subscribed
from fhirbridge.ports.record import (
    Arrival,
    Kept,
    Known,
    Merges,
    Reading,
    Remapped,
    Resource,
    Revision,
    Subject,
    Unread,
    Version,
)
from fhirbridge.ports.worklist import Worklist
from fhirbridge.ports.writing import DeadLetters, Delivery, Doubles, OwnWrites, Receipt


class Audit(Protocol):
    """Who looked at what about whom: AuditEvents, appended and never changed."""

    async def record(self, events: Sequence[Resource]) -> None:
        """Append R4 AuditEvents; when this returns, they are durable.

        Raises:
            StoreUnavailable: none of them is; what they tell of must not be shown.
        """
        ...

    def recorded(self, since: datetime, until: datetime) -> AsyncIterator[Resource]:
        """Those recorded at or after `since` and before `until`, in the order in which they were appended."""
        ...


class Retention(Protocol):
    """Letting go of rows that nobody needs any more."""

    async def purge(self, before: datetime, limit: int) -> int:
        """Delete at most `limit` rows each of inbox and outbox that were settled before then; how many went.

        Never what keeps anything from being done twice, a dead letter, or what a channel may still ask for.
        """
        ...


class Store(Protocol):
    """The durable truth: inbox, versions, timers, effects, outbox, subscriptions, and the service's own worklist."""

    @property
    def gaps(self) -> Gaps:
        """What may be unknown, and how far the feeds have come."""
        ...

    @property
    def merges(self) -> Merges:
        """Which records replace which."""
        ...

    @property
    def doubles(self) -> Doubles:
        """What EPRs may hold twice."""
        ...

    @property
    def retention(self) -> Retention:
        """What can go."""
        ...

    @property
    def dead_letters(self) -> DeadLetters:
        """What EPRs refused."""
        ...

    @property
    def worklist(self) -> Worklist:
        """What EPRs do not take as itself."""
        ...

    @property
    def audit(self) -> Audit:
        """Who looked at what."""
        ...

    @property
    def own(self) -> OwnWrites:
        """What the service wrote."""
        ...

    @property
    def kept(self) -> Kept:
        """What is kept of the EPRs' resources."""
        ...

    @property
    def unread(self) -> Unread:
        """What could not be read of them."""
        ...

    @property
    def dispatches(self) -> Dispatches:
        """What has to reach people through channels."""
        ...

    async def accept(self, epr: str, events: Sequence[Event], received: datetime) -> None:
        """Make events durable; when this returns, they survive a crash."""
        ...

    async def waiting(self, limit: int, eprs: Collection[str] | None = None) -> list[Arrival]:
        """The oldest events not yet digested; of these EPRs alone where any are named, so that none blocks another."""
        ...

    async def keep(self, epr: str, versions: Sequence[Version], digested: Sequence[int], now: datetime) -> None:
        """In one transaction: keep versions that are new, make their patients due now, close the inbox rows.

        A version without an id of its own is new when its content differs from what was known just before it. One
        without a patient makes nobody due. What is unfit, or unmapped and the last of its resource, is noted as unread
        until a later version can be read.
        """
        ...

    async def last(self, epr: str, reference: str) -> Version | None:
        """The version of `Type/id` that became known last, of those kept; None when it was never heard of."""
        ...

    async def remap(self, epr: str, reading: Reading, now: datetime) -> Remapped:
        """Read every kept version of the EPR again, and make those due now about whom it says something else.

        In batches, each a transaction: stopped in between, it can be done again, and does what is left.
        """
        ...

    async def has_seen(self, subject: Subject) -> bool:
        """Whether any version about this patient has been kept."""
        ...

    async def due(self, now: datetime, limit: int, eprs: Collection[str] | None = None) -> list[Subject]:
        """Subjects whose timer is due and that nobody holds, longest overdue first; of these EPRs if any are named."""
        ...

    async def next_due(self) -> datetime | None:
        """When `due` has something to give: the earliest timer, for a held subject not before its lease expires."""
        ...

    def lease(self, subject: Subject, now: datetime) -> AbstractAsyncContextManager[bool]:
        """Hold the subject for oneself; False when another worker holds it. Ends with the block, or when it expires.

        `load` inside the block: a `commit` of what was loaded before somebody's lease is refused.
        """
        ...

    async def load(self, subject: Subject) -> Known:
        """Everything known about the subject, as of one moment."""
        ...

    async def commit(
        self,
        subject: Subject,
        *,
        effects: Sequence[AnyEffect],
        outgoing: Sequence[Outgoing],
        wakes_at: datetime | None,
        decided_at: datetime,
        revision: Revision,
    ) -> None:
        """In one transaction: append effects, fill the outbox, set the timer. `revision` is the loaded `Known`'s.

        Dispatches are made for what was addressed, and stopped for what was withdrawn before anybody claimed it.

        A timer that new versions made due since the load stays due.

        Raises:
            Overtaken: another worker took the subject since it was loaded; nothing was changed.
        """
        ...

    async def undelivered(self, now: datetime, limit: int, eprs: Collection[str] | None = None) -> list[Delivery]:
        """Outbox rows that may be tried now, in the order they were decided; of these EPRs where any are named.

        No row of a subject passes a postponed one before it, and the rows of one subject are never torn apart: the
        answer exceeds `limit` where one subject alone does.
        """
        ...

    async def delivered(self, receipts: Sequence[Receipt], now: datetime) -> None:
        """Record what the EPR made of them; refused ones become dead letters. Rows already settled stay as they are."""
        ...

    async def postpone(self, rows: Sequence[int], until: datetime, why: str) -> None:
        """Try these rows again not before `until`; counts one attempt more."""
        ...

    async def subscriptions(self, epr: str) -> list[Subscribed]:
        """What the service has registered at this EPR."""
        ...

    async def subscribed(self, subscription: Subscribed) -> None:
        """Remember a registration; replaces the one with the same EPR and criteria."""
        ...
