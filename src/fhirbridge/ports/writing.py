"""What is to be written to an EPR, what became of it, and what was refused or stands there twice.

All instants are UTC. References are `Type/id`.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Protocol

from msgspec import Struct

from fhirbridge.core.effects import Held
from fhirbridge.fhir.render.outgoing import Outgoing
from fhirbridge.ports.record import Resource, Subject


class Delivery(Struct, frozen=True, kw_only=True):
    """An outbox row that waits to be delivered; `attempts` so far."""

    row: int
    subject: Subject
    outgoing: Outgoing
    attempts: int = 0


class There(Struct, frozen=True):
    """Where a thing is in the EPR: its identity, its `Type/id` and the version that was written."""

    identity: str
    reference: str
    version: str = ""


class Receipt(Struct, frozen=True, kw_only=True):
    """What the EPR made of one `Delivery`: the resource's reference and version there, or why it refused it.

    `outcome` is the OperationOutcome of the refusal, if there was one. What stands on the service's own worklist has
    its reference there; `also` is what was written in the EPR to tell of it.
    """

    row: int
    reference: str = ""
    version: str = ""
    refused: str = ""
    outcome: Resource | None = None
    also: tuple[There, ...] = ()


class DeadLetter(Struct, frozen=True, kw_only=True):
    """A row of the outbox that the EPR refused for good: what was to be written, when that was decided, and why not.

    `reason` is what the EPR said, `outcome` its OperationOutcome if it sent one; both can hold a patient's data.
    """

    row: int
    subject: Subject
    outgoing: Outgoing
    decided_at: datetime
    refused_at: datetime
    attempts: int
    reason: str
    outcome: Resource | None = None


class DeadLetters(Protocol):
    """Rows of the outbox that an EPR refused, until somebody has them tried again."""

    async def search(
        self,
        *,
        eprs: Collection[str] = (),
        subjects: Collection[Subject] = (),
        rows: Collection[int] = (),
        after: int = 0,
        limit: int = 100,
    ) -> list[DeadLetter]:
        """Those with a row above `after`, by row; what is empty asks nothing."""
        ...

    async def count(self) -> dict[str, int]:
        """How many there are, by EPR."""
        ...

    async def revive(self, again: Mapping[int, Outgoing], now: datetime) -> int:
        """Have rows tried again, each with what is to be sent now; how many of them were dead."""
        ...


class Double(Struct, frozen=True, kw_only=True):
    """A thing that an EPR holds twice: `kept` is the reference of the one that stands, `double` that of the other.

    `withdrawn`: the other was marked as written in error. Not so where a person has ended it: what they did stays.
    """

    subject: Subject
    identity: str
    kept: str
    double: str
    withdrawn: bool
    found: datetime


class Doubles(Protocol):
    """What EPRs may hold twice, because conditional creates can race there, and what was found to be there twice."""

    async def unaudited(self, epr: str, before: datetime, limit: int) -> list[tuple[Subject, There]]:
        """What was delivered up to then and not looked for again, the oldest first."""
        ...

    async def audited(self, epr: str, identities: Collection[str]) -> None:
        """These have been looked for."""
        ...

    async def note(self, double: Double) -> bool:
        """Remember one; whether it is new."""
        ...

    async def of(self, subject: Subject) -> list[Double]:
        """Those found of a patient, oldest first."""
        ...


class OwnWrites(Protocol):
    """What the service wrote: where it stands in the EPRs, and what of it is held back."""

    async def at(self, epr: str, references: Collection[str]) -> dict[str, There]:
        """Which of these resources (`Type/id`) the service wrote, by reference, as of the last receipt for each."""
        ...

    async def held(self, since: datetime) -> list[tuple[Subject, Held]]:
        """Each time that writes were held back from that instant on, oldest first."""
        ...
