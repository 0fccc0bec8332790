"""How the service learns of changes, and the gaps in it: times of which it may not know everything.

All instants are UTC. References are `Type/id`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from msgspec import Struct

from fhirbridge.core.gaps import Gap
from fhirbridge.fhir.capability import FeedKind
from fhirbridge.fhir.notification import Event
from fhirbridge.ports.record import Subject


class Subscribed(Struct, frozen=True, kw_only=True):
    """A subscription that the service registered at an EPR, and the secret its notifications must carry.

    `former` is the secret before a renewal: as good as the new one until the EPR is known to use that; then empty.
    """

    epr: str
    criteria: str
    reference: str
    secret: str
    since: datetime
    former: str = ""

    @property
    def type(self) -> str:
        """The resource type it is about: criteria are `Type?`, or the canonical of our topic for the type."""
        return self.criteria.partition("?")[0].rpartition("/")[2]


class Standing(StrEnum):
    """How the feed of one type stands."""

    ACTIVE = "active"
    """Changes are told of, or can be asked for."""
    PENDING = "pending"
    """Registered; the EPR has not activated it yet."""
    NOT_OFFERED = "not-offered"
    """The EPR does not have this kind of feed, or not for this type."""
    REFUSED = "refused"
    """The EPR refused it; see `Watch.why`."""


class Watch(Struct, frozen=True, kw_only=True):
    """The feed of one resource type, as `Feed.establish` left it; `reference` is its subscription, if it has one."""

    type: str
    standing: Standing
    reference: str = ""
    why: str = ""


class Hearing(Struct, frozen=True, kw_only=True):
    """What was last heard of a feed that numbers its events, and at `heard` at all (heartbeats too).

    `top` is the highest number that came, at `at`; None where it is not known yet from which to count. `promised` is
    the number that the EPR said at `promised_at` to have come to. `doubtful`: a lower number came after a higher one.
    """

    epr: str
    type: str
    heard: datetime
    at: datetime
    top: int | None = None
    promised: int = 0
    promised_at: datetime | None = None
    doubtful: bool = False


class Gaps(Protocol):
    """The durable truth about gaps, and how far each feed has come."""

    async def found(self, gap: Gap) -> bool:
        """Open it; whether it is new. One that is open takes its place: the earlier `since`, the later `until`."""
        ...

    async def open(self, epr: str | None = None) -> list[Gap]:
        """Those that are open, of this EPR or of all, oldest first."""
        ...

    async def covered(self, epr: str, resource_type: str, since: datetime, began: datetime, ended: datetime) -> None:
        """Changes since `since` were read, from `began` on, and accepted by `ended`: note it on what that covers."""
        ...

    async def close(self, epr: str, now: datetime) -> list[Gap]:
        """Close what was covered, once all that was accepted by then is digested; those that closed.

        With the last of an EPR, the patients who were held back are due.
        """
        ...

    async def hold(self, subject: Subject) -> bool:
        """Look at the patient again when the gaps of their EPR have closed; False where none is open any more."""
        ...

    async def waiting(self, epr: str) -> list[Subject]:
        """The patients who will be looked at again when the gaps of this EPR have closed, by reference."""
        ...

    async def heard(self, hearing: Hearing) -> None:
        """Remember what was last heard of a feed; replaces what was there of the same EPR and type."""
        ...

    async def hearing(self, epr: str, resource_type: str) -> Hearing | None:
        """What was last heard; None if nothing was."""
        ...

    async def mark(self, epr: str, of: str, at: datetime) -> None:
        """Note how far something has come: a resource type's reading, or the service itself (`alive`)."""
        ...

    async def marked(self, epr: str, of: str) -> datetime | None:
        """The instant last noted; None if there is none."""
        ...


class Feed(Protocol):
    """One way to learn of changes at one EPR: a kind of subscription, or a kind of polling.

    Whoever drives it calls `establish` every so often, and `look` for each open gap, and for a feed that only polls
    from where it last came to. What `look` gives is accepted into the inbox before anything is noted as read.
    """

    @property
    def kind(self) -> FeedKind:
        """Which way this is."""
        ...

    async def establish(self, types: Sequence[str], now: datetime) -> Sequence[Watch]:
        """See to it that changes to these types are told of, or can be asked for; opens gaps where that was not so.

        Safe to call again at any time. Raises EprUnavailable, EprError when the EPR cannot be asked at present.
        """
        ...

    def look(self, resource_type: str, since: datetime, now: datetime) -> AsyncIterator[Event]:
        """Events for everything of the type that changed since then, overlap already taken off.

        Raises:
            EprRefused: the EPR cannot say, in this way.
            EprUnavailable, EprError: it cannot be asked at present.
        """
        ...
