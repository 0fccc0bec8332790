"""What was learnt of patients: events, the versions that they lead to, and what is known of one patient at a time.

All instants are UTC. References are `Type/id`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from datetime import datetime
from typing import Any, Protocol

from msgspec import Struct

from fhirbridge.core.effects import AnyEffect
from fhirbridge.core.facts import AnyFact
from fhirbridge.core.gaps import Gap
from fhirbridge.core.merging import Link
from fhirbridge.fhir.notification import Event

Resource = dict[str, Any]
"""A FHIR resource as parsed JSON."""


Reading = Callable[[Resource], AnyFact | None]
"""How a mapping reads a resource: the fact it gives, None when there is no use for it."""


class Arrival(Struct, frozen=True, kw_only=True):
    """An `Event` in the inbox, not yet digested."""

    row: int
    epr: str
    event: Event
    received: datetime


class Version(Struct, frozen=True, kw_only=True):
    """One version of one resource with the fact it gives; unique by (epr, type, id, version).

    `confirms`: it is what the service itself wrote, and says nothing else; nobody is looked at again because of it.
    `unfit`: no fact can be made of it, nor said whom it is about (`fact` is Unmapped): it is noted as unread and not
    kept among the versions, and what was kept before goes on to count. Erased, it has gone before it could be read.
    """

    fact: AnyFact
    resource: Resource
    confirms: bool = False
    unfit: bool = False


class Unreadable(Struct, frozen=True, kw_only=True):
    """A resource of which the latest version could not be read, and why; `patient` is "" where it is not known.

    `since` is when the first such version in a row became known. `unfit`: it was not fit to be kept.
    """

    epr: str
    patient: str
    reference: str
    version: str
    reason: str
    since: datetime
    unfit: bool = False


class Remapped(Struct, frozen=True, kw_only=True):
    """What another mapping made of the kept versions: how many there are, how many read differently, about how many."""

    versions: int = 0
    changed: int = 0
    subjects: int = 0


class Subject(Struct, frozen=True):
    """One patient of one EPR: the unit that is decided, leased and delivered as a whole. `patient` is `Patient/id`."""

    epr: str
    patient: str


class Revision(Struct, frozen=True, kw_only=True):
    """How far a subject had come when it was loaded; a decision made on that basis is committed with it.

    `news` counts the times that new versions were kept, `turn` the leases and commits.
    """

    news: int = 0
    turn: int = 0


class Known(Struct, frozen=True, kw_only=True):
    """All that is known about a subject: facts of the EPR (every kept version) and our own effects, oldest first.

    `references` gives for each identity that was delivered its `Type/id` in the EPR, `gaps` those open at its EPR.
    `links` are those that name this very record; `replaced_by` is the patient (`Patient/id`) whose record goes on in
    place of this one, in the end: `Store.load` does not look for that.
    """

    facts: tuple[AnyFact, ...]
    effects: tuple[AnyEffect, ...]
    references: dict[str, str]
    revision: Revision = Revision()
    gaps: tuple[Gap, ...] = ()
    links: frozenset[Link] = frozenset()
    replaced_by: str | None = None


class Merges(Protocol):
    """The durable truth about records of patients that were merged: who says that which is replaced by which."""

    async def claim(self, subject: Subject, links: Collection[Link], now: datetime) -> None:
        """What this patient's record says now, in place of what it said before.

        Whoever else is named by what was not said before, or is no longer said, is due now.
        """
        ...

    async def linked(self, subject: Subject) -> frozenset[Link]:
        """Everything said about this record and those linked to it, at one remove or more."""
        ...

    async def wake(self, subject: Subject, now: datetime) -> None:
        """Make the patient due now: something was learnt about a record that theirs replaces."""
        ...


class Unread(Protocol):
    """Which resources could not be read as they stand, until a version comes that can."""

    async def search(
        self, *, eprs: Collection[str] = (), subjects: Collection[Subject] = (), limit: int = 100
    ) -> list[Unreadable]:
        """The oldest of them first, then by reference; what is empty asks nothing."""
        ...

    async def count(self) -> dict[str, int]:
        """How many there are, by EPR."""
        ...


class Kept(Protocol):
    """What is kept of an EPR's resources, to compare it with what the EPR has now."""

    async def latest(self, epr: str, resource_type: str, ids: Collection[str]) -> dict[str, Version]:
        """For each of these ids that anything is kept of, the version that became known last."""
        ...

    async def expected(
        self, epr: str, resource_type: str, *, start: datetime | None, end: datetime | None, patient: str = ""
    ) -> set[str]:
        """Ids of resources that, as last known, are there and took place from `start` to before `end`.

        Without bounds, whenever that was; with `patient` (`Patient/id`), of that patient alone.
        """
        ...

    async def unknown(self, epr: str, versions: Sequence[Version]) -> list[Version]:
        """Those of these versions that are not kept, each once; without an id, those that say something new."""
        ...

    async def patients(self, epr: str, *, after: str, limit: int) -> list[str]:
        """Patients of this EPR about whom anything is kept, as `Patient/id` in order, those past `after`."""
        ...
