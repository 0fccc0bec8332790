"""`ports.Audit` in memory: for tests and dry runs."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from datetime import datetime

from fhirbridge.ports import Resource


class MemoryAudit:
    """Keeps AuditEvents in a list, `events`."""

    def __init__(self) -> None:
        self.events: list[Resource] = []

    async def record(self, events: Sequence[Resource]) -> None:
        """Append AuditEvents."""
        self.events.extend(events)

    async def recorded(self, since: datetime, until: datetime) -> AsyncIterator[Resource]:
        """AuditEvents recorded at or after `since` and before `until`."""
        for event in list(self.events):
            if since <= datetime.fromisoformat(event["recorded"]) < until:
                yield event
