"""The service's own worklist: what an EPR cannot take as itself, in every version, for staff to work on.

All instants are UTC. References are `Type/id`.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from msgspec import Struct

from fhirbridge.ports.record import Resource, Subject


class Listed(Struct, frozen=True, kw_only=True):
    """One version of a resource on the service's own worklist, where stands what an EPR does not take as itself.

    `resource` is what the EPR would hold: its id is the service's own and unique over all EPRs, `meta.versionId` counts
    from 1, references are those of the EPR, or `Type/id` of the worklist for what stands there too. `way` says how the
    EPR is told of it (`fhirbridge.fhir.capability.Way`), `notice` the identity of what told of it last there, itself
    perhaps, and `told` the reference that this has there, once it was delivered. `by` is who made this version, empty
    for the service itself; `write` the code of its write then. `row` grows with every version of anything; `current` is
    the newest of its resource.
    """

    row: int
    subject: Subject
    identity: str
    resource: Resource
    way: str
    updated: datetime
    notice: str = ""
    told: str = ""
    by: str = ""
    write: str = ""
    current: bool = True

    @property
    def reference(self) -> str:
        """`Type/id` on the worklist."""
        return f"{self.resource['resourceType']}/{self.resource['id']}"

    @property
    def version(self) -> int:
        """The number of this version, from 1."""
        return int(self.resource["meta"]["versionId"])


class Placing(Struct, frozen=True, kw_only=True):
    """A version to put on the worklist, in place of the one numbered `based_on`; 0 where there is none yet.

    `resource` needs type, and `meta` without version and time. `write` is the code of the service's write, by which it
    is found to have been placed; empty for a version that staff make. For `way`, `notice` and `by` see `Listed`.
    """

    identity: str
    resource: Resource
    based_on: int = 0
    way: str = "own"
    write: str = ""
    notice: str = ""
    by: str = ""


class Wanted(Struct, frozen=True, kw_only=True):
    """What to look for on the worklist; what is empty asks nothing, several values are alternatives.

    `ids` are logical ids, `codes` codes of the action system (`Task.code`, `Flag.code`, `category` of the others),
    `patients` are `Patient/id`. `since` is inclusive, `until` is not; both are about `meta.lastUpdated`.
    """

    types: tuple[str, ...] = ()
    ids: tuple[str, ...] = ()
    eprs: tuple[str, ...] = ()
    patients: tuple[str, ...] = ()
    identities: tuple[str, ...] = ()
    statuses: tuple[str, ...] = ()
    codes: tuple[str, ...] = ()
    since: datetime | None = None
    until: datetime | None = None


class Worklist(Protocol):
    """What the service keeps itself because an EPR does not take it as itself: every version of it, none ever lost."""

    async def search(self, wanted: Wanted, *, after: int = 0, limit: int = 50) -> list[Listed]:
        """Current versions with a row above `after`, by row: what changes meanwhile comes again, nothing is missed."""
        ...

    async def count(self, wanted: Wanted) -> int:
        """How many current versions there are."""
        ...

    async def read(self, reference: str) -> Listed | None:
        """The current version of `Type/id`; None for what is not on the worklist."""
        ...

    async def history(self, reference: str) -> list[Listed]:
        """Every version of `Type/id`, oldest first."""
        ...

    async def standing(self, subject: Subject) -> dict[str, Listed]:
        """Everything of a patient that is on the worklist, by identity."""
        ...

    async def place(self, subject: Subject, placings: Sequence[Placing], now: datetime) -> dict[str, Listed]:
        """Put versions of the service's own writes on the worklist, all or none; what stands then, by identity.

        Raises:
            Overtaken: one is based on a version that is no longer current; read again.
        """
        ...

    async def complete(self, reference: str, placing: Placing, now: datetime) -> Listed:
        """Put a version that staff made on the worklist, and an event that tells of it into the inbox.

        From there it comes in as if the EPR had told of it. `fhirbridge.service.completing` makes the version.

        Raises:
            Overtaken: it is based on a version that is no longer current, or nothing is there.
        """
        ...
