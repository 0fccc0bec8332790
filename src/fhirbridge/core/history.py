"""Every version of one resource that was ever learnt, in order.

The latest version is what holds now; the stretches of equal meaning before it say since when something is known, and
how often it was asserted and taken back.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Generic, TypeVar

from msgspec import Struct

from fhirbridge.core.facts import Appointment, Encounter, Episode, Fact, Message, Signal, Task

F = TypeVar("F", bound=Fact)

BEGINNING = datetime(1, 1, 2, tzinfo=UTC)
"""Before anything that can be recorded; stands for "since always"."""


class Stretch(Struct, frozen=True):
    """Consecutive versions of one resource that mean the same; `known` is when the first of them was committed."""

    meaning: object
    known: datetime


class History(Struct, Generic[F], frozen=True):
    """All versions of one resource, oldest first, and the stretches in which they mean the same."""

    latest: F
    stretches: tuple[Stretch, ...]
    versions: tuple[F, ...]

    @property
    def since(self) -> datetime:
        """When what the latest version means first became known, without interruption."""
        return self.stretches[-1].known

    def taken_back(self, meaning: object) -> int:
        """How often this meaning was asserted and later replaced by another."""
        return sum([1 for stretch in self.stretches[:-1] if stretch.meaning == meaning])

    @classmethod
    def of(cls, versions: Sequence[F]) -> History[F]:
        """Order the versions by when they were committed, and join those that mean the same."""
        if len(versions) == 1:
            fact = versions[0]
            return cls(latest=fact, stretches=(Stretch(meaning(fact), fact.known),), versions=(fact,))
        ordered = sorted(versions, key=_order)
        stretches: list[Stretch] = []
        for fact in ordered:
            means = meaning(fact)
            if not stretches or stretches[-1].meaning != means:
                stretches.append(Stretch(means, fact.known))
        return cls(latest=ordered[-1], stretches=tuple(stretches), versions=tuple(ordered))


def _order(fact: Fact) -> tuple[datetime, int, str]:
    version = fact.source.version
    return fact.known, int(version) if version.isdecimal() else 0, version


def meaning(fact: Fact) -> object:
    """What of a version counts for "since when is this known"."""
    if fact.erased:
        return "erased"
    match fact:
        case Appointment(state=state):
            return state
        case Signal(signals=signals, active=active):
            return (signals, active)
        case Task(status=status, outcome=outcome):
            return (status, outcome)
        case Encounter(status=status) | Episode(status=status) | Message(status=status):
            return status
        case _:
            return "stated"


def clock(happened: datetime | None, known: datetime, late: float) -> datetime:
    """The instant clocks run from: when it happened, or when it became known if that is more than `late` later."""
    if happened is None or (known - happened).total_seconds() > late:
        return known
    return happened
