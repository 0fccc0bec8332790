"""`ports.Store` in memory: for dry runs and tests. It means what the durable store means; only a crash loses it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Iterable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import count

from fhirbridge.adapters.memory_audit import MemoryAudit
from fhirbridge.adapters.memory_copies import MemoryCopies
from fhirbridge.adapters.memory_dispatches import MemoryDispatches
from fhirbridge.adapters.memory_doubles import MemoryDoubles, MemoryRetention
from fhirbridge.adapters.memory_gaps import MemoryGaps
from fhirbridge.adapters.memory_kept import MemoryKept
from fhirbridge.adapters.memory_merges import MemoryMerges
from fhirbridge.adapters.memory_outbox import MemoryOutbox
from fhirbridge.adapters.memory_own_writes import MemoryOwnWrites
from fhirbridge.adapters.memory_unread import MemoryUnread
from fhirbridge.adapters.memory_worklist import MemoryWorklist
from fhirbridge.adapters.store.inbox import check_event
from fhirbridge.adapters.store.remapping import reread
from fhirbridge.adapters.store.sql_store import LEASE
from fhirbridge.adapters.store.version_key import is_by_content, key_among, version_key
from fhirbridge.core.effects import AnyEffect
from fhirbridge.core.facts import AnyFact
from fhirbridge.errors import Overtaken
from fhirbridge.ports import (
    Arrival,
    Delivery,
    Event,
    Known,
    Outgoing,
    Reading,
    Receipt,
    Remapped,
    Revision,
    Subject,
    Subscribed,
    There,
    Version,
)


@dataclass
class _State:
    """One subject's timer, lease, counters, facts and effects."""

    wakes_at: datetime | None = None
    news: int = 0
    turn: int = 0
    held_until: datetime | None = None
    facts: list[AnyFact] = field(default_factory=list)
    effects: list[AnyEffect] = field(default_factory=list)
    references: dict[str, str] = field(default_factory=dict)

    def looks_at(self) -> datetime | None:
        """When somebody may look at the subject next."""
        if self.wakes_at is None or self.held_until is None:
            return self.wakes_at
        return max(self.wakes_at, self.held_until)


class MemoryStore:
    """The in-memory `ports.Store`."""

    def __init__(self, *, lease: timedelta = LEASE) -> None:
        self._lease = lease
        self._rows = count(1)
        self._inbox: dict[int, Arrival] = {}
        self._versions: dict[tuple[str, str, str, str], Version] = {}
        self._subjects: dict[Subject, _State] = {}
        self.dead_letters = self._outbox = MemoryOutbox(self._rows)
        self.doubles = MemoryDoubles()
        self.retention = MemoryRetention()
        self._subscriptions: dict[tuple[str, str], Subscribed] = {}
        self.audit = MemoryAudit()
        self.gaps = MemoryGaps(self._inbox.values, self._tell_news)
        self.merges = MemoryMerges(self._tell_news)
        self.worklist = MemoryWorklist(self.accept, lambda subject: self._state(subject).references)
        self._copies = MemoryCopies(self.worklist, self._versions, lambda subject: self._state(subject).references)
        self.kept = MemoryKept(self._versions)
        self.unread = MemoryUnread(self._last_fact)
        self.own = MemoryOwnWrites(lambda: [(subject, state.effects) for subject, state in self._subjects.items()])
        self.dispatches = MemoryDispatches(self.last, self._effects_of, self._tell)

    async def accept(self, epr: str, events: Sequence[Event], received: datetime) -> None:
        """Keep events until they are digested.

        Raises:
            SenderError: an event's type, id or version is not printable ASCII.
        """
        for event in events:
            check_event(event)
        for event in events:
            row = next(self._rows)
            self._inbox[row] = Arrival(row=row, epr=epr, event=event, received=received)

    async def waiting(self, limit: int, eprs: Collection[str] | None = None) -> list[Arrival]:
        """The oldest events not yet digested, of these EPRs alone where any are named."""
        return [arrival for arrival in self._inbox.values() if eprs is None or arrival.epr in eprs][:limit]

    async def keep(self, epr: str, versions: Sequence[Version], digested: Sequence[int], now: datetime) -> None:
        """Keep versions that are new, make their patients due now, close the inbox rows."""
        news: set[Subject] = set()
        fit = [one for one in versions if not one.unfit]
        self._copies.heard(epr, fit, now)
        for version in sorted(fit, key=lambda version: version.fact.known):
            fact = version.fact
            key = (epr, fact.source.type, fact.source.id, self._key(epr, version))
            if not key[3] or key in self._versions:
                continue
            self._versions[key] = version
            if fact.patient:
                subject = Subject(epr, fact.patient)
                self._state(subject).facts.append(fact)
                news |= set() if version.confirms else {subject}
        about = [one.fact.source.reference for one in fit]
        self.unread.note(epr, about, [one for one in versions if one.unfit])
        self._tell_news(news, now)
        for row in digested:
            self._inbox.pop(row, None)

    async def remap(self, epr: str, reading: Reading, now: datetime) -> Remapped:
        """Read every kept version of the EPR again, and make those due now about whom it says something else."""
        news: set[Subject] = set()
        mine = [(key, version) for key, version in self._versions.items() if key[0] == epr]
        changed = 0
        for key, version in mine:
            fact = reread(version.fact, version.resource, reading)
            if fact == version.fact:
                continue
            changed += 1
            self._versions[key] = Version(fact=fact, resource=version.resource)
            if version.fact.patient:
                self._state(Subject(epr, version.fact.patient)).facts.remove(version.fact)
            if fact.patient:
                self._state(Subject(epr, fact.patient)).facts.append(fact)
            news |= {Subject(epr, patient) for patient in (version.fact.patient, fact.patient) if patient}
        self.unread.note(epr, [f"{kind}/{identity}" for (_, kind, identity, _), _ in mine], ())
        self._tell_news(news, now)
        return Remapped(versions=len(mine), changed=changed, subjects=len(news))

    async def last(self, epr: str, reference: str) -> Version | None:
        """The version of `Type/id` that became known last, of those kept."""
        return self._last(epr, reference)

    def _last_fact(self, epr: str, reference: str) -> AnyFact | None:
        last = self._last(epr, reference)
        return last.fact if last is not None else None

    def _last(self, epr: str, reference: str) -> Version | None:
        about = [
            version
            for (its_epr, kind, identity, _), version in self._versions.items()
            if its_epr == epr and f"{kind}/{identity}" == reference
        ]
        return max(reversed(about), key=lambda version: version.fact.known, default=None)

    async def has_seen(self, subject: Subject) -> bool:
        """Whether any version about this patient has been kept."""
        return subject in self._subjects and bool(self._subjects[subject].facts)

    async def due(self, now: datetime, limit: int, eprs: Collection[str] | None = None) -> list[Subject]:
        """Subjects whose timer is due and that nobody holds, longest overdue first; of these EPRs if any are named."""
        found = [
            (state.wakes_at, subject.epr, subject.patient)
            for subject, state in self._subjects.items()
            if state.wakes_at is not None and state.wakes_at <= now and _free(state, now)
            if eprs is None or subject.epr in eprs
        ]
        return [Subject(epr, patient) for _, epr, patient in sorted(found)[:limit]]

    async def next_due(self) -> datetime | None:
        """When `due` has something to give."""
        found = (state.looks_at() for state in self._subjects.values())
        return min((instant for instant in found if instant is not None), default=None)

    def lease(self, subject: Subject, now: datetime) -> AbstractAsyncContextManager[bool]:
        """Hold the subject for oneself; False when another worker holds it."""
        return self._leased(subject, now)

    @asynccontextmanager
    async def _leased(self, subject: Subject, now: datetime) -> AsyncIterator[bool]:
        state = self._state(subject)
        if not _free(state, now):
            yield False
            return
        state.turn += 1
        # The object itself is the token: another holder puts another one in its place.
        mine = state.held_until = now + self._lease
        try:
            yield True
        finally:
            if state.held_until is mine:
                state.held_until = None

    async def load(self, subject: Subject) -> Known:
        """Everything known about the subject."""
        state = self._subjects.get(subject, _State())
        return Known(
            facts=tuple(sorted(state.facts, key=lambda fact: fact.known)),
            effects=tuple(state.effects),
            references=dict(sorted(state.references.items())),
            revision=Revision(news=state.news, turn=state.turn),
            gaps=tuple(self.gaps.open_at(subject.epr)),
            links=self.merges.naming(subject),
        )

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
        """Append effects, fill the outbox, set the timer.

        Raises:
            Overtaken: another worker took the subject since it was loaded.
        """
        state = self._state(subject)
        if state.turn != revision.turn:
            raise Overtaken("another worker took this subject since it was loaded: load it and decide again")
        state.turn += 1
        state.wakes_at = wakes_at if state.news == revision.news else _earlier(state.wakes_at, wakes_at)
        state.effects.extend(effects)
        self._outbox.enqueue(subject, outgoing, decided_at)
        self.dispatches.follow(subject, effects, outgoing)

    async def undelivered(self, now: datetime, limit: int, eprs: Collection[str] | None = None) -> list[Delivery]:
        """Outbox rows that may be tried now, in the order they were decided; of these EPRs where any are named."""
        return self._outbox.undelivered(now, limit, eprs)

    async def delivered(self, receipts: Sequence[Receipt], now: datetime) -> None:
        """Record what the EPR made of them; refused ones become dead letters."""
        waiting = self._outbox.waiting(receipts)
        self._copies.delivered(receipts, waiting, now)
        for receipt in sorted(receipts, key=lambda receipt: receipt.row):
            delivery = waiting.pop(receipt.row, None)
            if delivery is None:
                continue
            self._outbox.settle(receipt, now)
            if not receipt.refused:
                references = self._state(delivery.subject).references
                references[delivery.outgoing.identity] = receipt.reference
                references.update({there.identity: there.reference for there in receipt.also})
                itself = There(delivery.outgoing.identity, receipt.reference, receipt.version)
                for there in (itself, *receipt.also):
                    self.doubles.delivered(delivery.subject, there, now)
                self.own.delivered(delivery.subject.epr, delivery.outgoing.identity, receipt)

    async def postpone(self, rows: Sequence[int], until: datetime, why: str) -> None:
        """Try these rows again not before `until`; counts one attempt more."""
        self._outbox.postpone(rows, until, why)

    async def subscriptions(self, epr: str) -> list[Subscribed]:
        """What the service has registered at this EPR."""
        return [found for (of, _), found in sorted(self._subscriptions.items()) if of == epr]

    async def subscribed(self, subscription: Subscribed) -> None:
        """Remember a registration; replaces the one with the same EPR and criteria."""
        self._subscriptions[subscription.epr, subscription.criteria] = subscription

    def _key(self, epr: str, version: Version) -> str:
        """Under which key to keep it; empty for one without an id that says nothing new."""
        key, fact = version_key(version), version.fact
        if not is_by_content(key):
            return key
        mine = (epr, fact.source.type, fact.source.id)
        before = [(other.fact.known, of[3]) for of, other in self._versions.items() if of[:3] == mine]
        return key_among(before, fact.known, key)

    def _effects_of(self, subject: Subject) -> Sequence[AnyEffect]:
        return self._state(subject).effects

    def _tell(self, subject: Subject, effects: Sequence[AnyEffect], now: datetime) -> None:
        self._state(subject).effects.extend(effects)
        self._tell_news((subject,), now)

    def _tell_news(self, about: Iterable[Subject], now: datetime) -> None:
        for subject in about:
            state = self._state(subject)
            state.news += 1
            state.wakes_at = _earlier(state.wakes_at, now)

    def _state(self, subject: Subject) -> _State:
        return self._subjects.setdefault(subject, _State())


def _free(state: _State, now: datetime) -> bool:
    return state.held_until is None or state.held_until <= now


def _earlier(one: datetime | None, other: datetime | None) -> datetime | None:
    return min((instant for instant in (one, other) if instant is not None), default=None)
