"""`channels.Dispatches` in memory: it means what the durable one means; only a crash loses it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import count

from fhirbridge.adapters.store.dispatches import (
    CLAIMED,
    NOBODY,
    ON_ITS_WAY,
    REFUSED,
    SENT,
    STOPPED,
    WAITING,
    has_been_told,
    is_from,
    key_of,
    reported,
)
from fhirbridge.channels import Dispatch, Sent, Told
from fhirbridge.core.deliveries import Recipient, Report
from fhirbridge.core.effects import Addressed, AnyEffect, HandedOver, Unaddressed, Withdrawn
from fhirbridge.ports import Outgoing, Resource, Subject, Version


@dataclass
class _Row:
    """One dispatch."""

    row: int
    subject: Subject
    identity: str
    to: Recipient
    state: str
    attempts: int = 0
    not_before: datetime | None = None
    claimed_until: datetime | None = None
    reference: str = ""
    sent_at: datetime | None = None
    settled: bool = False

    @property
    def key(self) -> str:
        """What it is called towards the channel."""
        return key_of(self.subject.epr, self.identity, self.to.name)

    def is_free(self, now: datetime) -> bool:
        """Whether it may be claimed."""
        over = self.claimed_until is not None and self.claimed_until <= now
        return self.state == WAITING or (self.state == CLAIMED and over)


class MemoryDispatches:
    """The in-memory `channels.Dispatches`; reads the last version of a resource, and reads and adds effects."""

    def __init__(
        self,
        last: Callable[[str, str], Awaitable[Version | None]],
        effects_of: Callable[[Subject], Sequence[AnyEffect]],
        tell: Callable[[Subject, Sequence[AnyEffect], datetime], None],
    ) -> None:
        self._last = last
        self._effects_of = effects_of
        self._tell = tell
        self._numbers = count(1)
        self._rows: dict[int, _Row] = {}
        self._created: dict[tuple[str, str], Resource] = {}

    def follow(self, subject: Subject, effects: Sequence[AnyEffect], outgoing: Sequence[Outgoing]) -> None:
        """Make, and stop, the dispatches that these effects call for."""
        for row in outgoing:
            if row.verb == "create":
                self._created.setdefault((subject.epr, row.identity), row.resource)
        for effect in effects:
            match effect:
                case Addressed(to=to):
                    self._stop(subject, effect.identity, NOBODY)
                    self._make(subject, effect.identity, to, WAITING)
                case Unaddressed():
                    self._make(subject, effect.identity, Recipient(name="", shown="", role="", channel=""), NOBODY)
                case HandedOver(recipient=""):
                    self._stop(subject, effect.identity, NOBODY)
                case Withdrawn():
                    self._stop(subject, effect.identity, NOBODY, WAITING)
                case _:
                    continue

    async def to_send(self, now: datetime, limit: int) -> list[Dispatch]:
        """Dispatches that may be sent now, oldest first."""
        free = (row for row in self._rows.values() if row.is_free(now))
        ready = [row for row in free if row.not_before is None or row.not_before <= now]
        return [await self._dispatch(row) for row in ready[:limit]]

    async def claim(self, row: int, now: datetime, until: datetime) -> bool:
        """Take it for oneself until then."""
        mine = self._rows[row]
        if not mine.is_free(now):
            return False
        mine.state, mine.claimed_until = CLAIMED, until
        return True

    async def handed_over(self, row: int, reference: str, told: Sequence[Told], now: datetime) -> None:
        """Keep that it was handed over, and what was reported with that."""
        mine = self._rows[row]
        if mine.state not in (WAITING, CLAIMED):
            return
        mine.state, mine.reference, mine.sent_at = SENT, reference, now
        mine.settled = any(each.report not in ON_ITS_WAY for each in told)
        sent = HandedOver(identity=mine.identity, at=now, recipient=mine.to.name)
        more = (reported(mine.identity, mine.to.name, each, now) for each in told)
        self._tell(mine.subject, (sent, *more), now)

    async def undeliverable(self, row: int, why: str, now: datetime) -> None:
        """Keep that its channel refuses it for good."""
        mine = self._rows[row]
        if mine.state in (WAITING, CLAIMED):
            mine.state, mine.settled = REFUSED, True
            told = Told(about=mine.key, report=Report.UNDELIVERABLE, happened=now, says=why)
            self._tell(mine.subject, (reported(mine.identity, mine.to.name, told, now),), now)

    async def put_off(self, row: int, until: datetime, why: str) -> None:
        """Give the claim back and try again not before `until`."""
        mine = self._rows[row]
        if mine.state in (WAITING, CLAIMED):
            mine.state, mine.not_before, mine.claimed_until = WAITING, until, None
            mine.attempts += 1

    async def awaiting(self, channel: str, limit: int) -> list[Sent]:
        """What was handed over to this channel, and of which it may have more to say, oldest first."""
        found = [row for row in self._rows.values() if row.to.channel == channel and row.state == SENT]
        return [
            Sent(key=row.key, reference=row.reference, since=row.sent_at)
            for row in found
            if row.sent_at is not None and not row.settled
        ][:limit]

    async def report(self, channel: str, told: Told, now: datetime, *, sender: str = "") -> bool:
        """Keep the report as an effect, once; False when nothing of the channel, or of the sender, is called that."""
        called = (r for r in self._rows.values() if r.to.channel == channel and told.about in (r.key, r.reference))
        mine = next(called, None)
        if mine is None or not told.about or not is_from(sender, mine.to):
            return False
        mine.settled |= told.report not in ON_ITS_WAY
        effect = reported(mine.identity, mine.to.name, told, now)
        if not has_been_told(effect, self._effects_of(mine.subject)):
            self._tell(mine.subject, (effect,), now)
        return True

    async def look_again(self, now: datetime) -> int:
        """Make everybody due of whom a Communication has no recipient yet."""
        about = {row.subject for row in self._rows.values() if row.state == NOBODY}
        for subject in about:
            self._tell(subject, (), now)
        return len(about)

    async def _dispatch(self, row: _Row) -> Dispatch:
        person = await self._last(row.subject.epr, row.subject.patient)
        return Dispatch(
            row=row.row,
            key=row.key,
            epr=row.subject.epr,
            patient=row.subject.patient,
            identity=row.identity,
            recipient=row.to,
            communication=self._created.get((row.subject.epr, row.identity), {}),
            person=person.resource if person is not None else None,
            attempts=row.attempts,
        )

    def _make(self, subject: Subject, identity: str, to: Recipient, state: str) -> None:
        there = ((r.subject.epr, r.identity, r.to.name) for r in self._rows.values())
        if (subject.epr, identity, to.name) not in there:
            number = next(self._numbers)
            self._rows[number] = _Row(row=number, subject=subject, identity=identity, to=to, state=state)

    def _stop(self, subject: Subject, identity: str, *states: str) -> None:
        for row in self._rows.values():
            if row.subject.epr == subject.epr and row.identity == identity and row.state in states:
                row.state = STOPPED
