"""The brake on a loop: two systems that answer each other.

A rule in the EPR may put an appointment back each time that a Task is written for it, and the service takes back and
asks again each time that it does: both are right, and neither stops. So the writes about one obligation are bounded,
and so are those about one patient. What is beyond the bound is not decided to be done: it waits until the oldest of the
counted writes is an hour old (of letters a day), or until a person releases it. The count is of what the service did,
which is kept, so a restart changes nothing.

Only the loop is stopped. Whatever has not been asked for before is asked for at once, whoever is asked. What stands
when the bound is reached stays standing: a Task that may have lost its cause is a lesser harm than one that is missing.
Answers, and what ends with a death, are never held back. (The core decides the same again when it is looked at next; it
does not know of this.)
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta

from msgspec import Struct

from fhirbridge.core.decision import Complete, Create, Withdraw, Write
from fhirbridge.core.effects import Held, Key, Kind, Withdrawal
from fhirbridge.core.own import Own, Thing

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)


class Bounds(Struct, frozen=True, kw_only=True):
    """How much is written at most before it is taken for a loop.

    `obligation`: writes in an hour about one obligation, however often it is asked for anew. `letter`: times in a day
    that one letter is sent. `patient`: looks in an hour at one patient that each wrote something not the first of its
    kind (the same action for the same role).
    """

    obligation: int = 12
    letter: int = 3
    patient: int = 30


class Brake:
    """Lets writes through, or holds them back, after what was done for one patient."""

    def __init__(self, bounds: Bounds, own: Own, now: datetime) -> None:
        self._bounds = bounds
        self._now = now
        self._released = max((t.released for t in own.things.values() if t.released is not None), default=None)
        self._alike: dict[tuple[object, ...], list[Thing]] = defaultdict(list)
        self._of_kind: dict[tuple[object, ...], list[Thing]] = defaultdict(list)
        for thing in own.things.values():
            self._alike[_logical(thing.key)].append(thing)
            self._of_kind[_kind(thing.key)].append(thing)
        repeated = (sorted(_writes(things))[1:] for things in self._of_kind.values())
        self._looks = {at for writes in repeated for at in self._recent(writes, HOUR)}

    def sort(self, writes: Sequence[Write]) -> tuple[tuple[Write, ...], tuple[Held, ...]]:
        """The writes that may be done now, and what is to be noted of the others, once for each time it is held."""
        through: list[Write] = []
        held: list[Held] = []
        for write in writes:
            found = self._holds(write)
            if found is None:
                through.append(write)
                continue
            thing, until, why = found
            if thing.held_until is None or thing.held_until <= self._now:
                held.append(Held(identity=thing.identity, at=self._now, until=until, why=why))
        return tuple(through), tuple(held)

    def _holds(self, write: Write) -> tuple[Thing, datetime, str] | None:
        """What it would be written to again, until when it waits, and why; None when it may be done."""
        key = write.obligation.key if isinstance(write, Create) else write.thing.key
        alike, of_kind = self._alike.get(_logical(key), []), self._of_kind.get(_kind(key), [])
        if not of_kind or isinstance(write, Complete) or _is_final(write):
            return None
        bounds = self._bounds
        if isinstance(write, Create) and key.kind is not Kind.COMMUNICATION and alike:
            return None  # whether it stays is bounded: it is not taken back again
        if isinstance(write, Create):
            if over := self._over((one.written for one in alike), bounds.letter, DAY):
                return alike[-1], over, f"It was sent {bounds.letter} times within a day."
        elif over := self._over(_writes(alike), bounds.obligation, HOUR):
            return alike[-1], over, f"It was written {bounds.obligation} times within an hour."
        if not isinstance(write, Withdraw) and (over := self._over(self._looks, bounds.patient, HOUR)):
            return of_kind[-1], over, f"Each of {bounds.patient} looks at this patient within an hour wrote more."
        return None

    def _over(self, writes: Iterable[datetime], most: int, within: timedelta) -> datetime | None:
        """When there may be one more, if there have been so many within that time."""
        recent = sorted(self._recent(writes, within))
        return recent[-most] + within if len(recent) >= most else None

    def _recent(self, writes: Iterable[datetime], within: timedelta) -> Iterator[datetime]:
        released = self._released
        return (at for at in writes if at > self._now - within and (released is None or at > released))


def held_until(own: Own, now: datetime) -> datetime | None:
    """When something that is held back may be written, for a patient to be looked at again."""
    found = (t.held_until for t in own.things.values() if t.held_until is not None and t.held_until > now)
    return min(found, default=None)


def _is_final(write: Write) -> bool:
    return isinstance(write, Withdraw) and write.reason is Withdrawal.DECEASED


def _logical(key: Key) -> tuple[object, ...]:
    """What the generations of one obligation have in common."""
    return key.case, key.pack, key.kind, key.action, key.role, key.scope, key.occurrence


def _kind(key: Key) -> tuple[object, ...]:
    """What all have in common that ask the same of the same people."""
    return key.kind, key.action, key.role


def _writes(things: Iterable[Thing]) -> Iterator[datetime]:
    for thing in things:
        yield thing.written
        yield from thing.amended
        if thing.withdrawn is not None:
            yield thing.withdrawn
