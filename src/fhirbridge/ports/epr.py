"""One EPR, as the service uses it.

All instants are UTC. References are `Type/id`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import datetime
from typing import Protocol

from fhirbridge.fhir.notification import Event
from fhirbridge.ports.record import Resource
from fhirbridge.ports.writing import Delivery, Receipt


class Epr(Protocol):
    """One EPR over FHIR R4. Errors: `EprUnavailable`, `EprConflict`, `EprRefused`, `EprError`."""

    name: str

    async def capability(self) -> Resource:
        """Its CapabilityStatement (`GET /metadata`)."""
        ...

    async def read(self, reference: str) -> Resource | None:
        """The current version of `Type/id`; None when deleted or unknown (404, 410)."""
        ...

    async def history(self, reference: str) -> list[Resource]:
        """Every version of `Type/id` the EPR still has, oldest first; empty where it keeps none."""
        ...

    async def invoke(self, path: str) -> Resource:
        """The answer of an operation that changes nothing, `Type/id/$name?parameters` (`$status`, `$events`)."""
        ...

    def search(self, resource_type: str, parameters: Mapping[str, str | Sequence[str]]) -> AsyncIterator[Resource]:
        """All matches, over all pages; pages are followed only inside the EPR's own base URL.

        A parameter with several values has to match each of them. Where the answer has several pages, it is read until
        nothing new comes: a match that slipped from one page to another meanwhile is not lost.
        """
        ...

    def changes(self, resource_type: str, since: datetime) -> AsyncIterator[Event]:
        """Every version of any resource of the type committed since then, deletions too (type-level `_history`).

        Raises:
            EprRefused: the EPR does not offer that.
        """
        ...

    async def deliver(self, deliveries: Sequence[Delivery], references: dict[str, str]) -> list[Receipt]:
        """Carry out the rows of one subject in one transaction; conditional creates, If-Match on changes."""
        ...

    async def create(self, resource: Resource) -> Resource:
        """Plain create; the stored resource (used for subscriptions)."""
        ...

    async def update(self, resource: Resource) -> Resource:
        """Plain update by id; the stored resource."""
        ...
