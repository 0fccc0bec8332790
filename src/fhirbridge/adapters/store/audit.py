"""Who looked at what: AuditEvents, appended and never changed. A trigger of the database refuses anything else."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from datetime import datetime

import msgspec
from sqlalchemy import select

from fhirbridge.adapters.store.database import Database
from fhirbridge.adapters.store.tables import audit
from fhirbridge.ports import Resource

_JSON = msgspec.json.Encoder()
_BATCH = 500


class SqlAudit:
    """The durable `ports.Audit`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def record(self, events: Sequence[Resource]) -> None:
        """Append AuditEvents; when this returns, they are durable."""
        rows = [
            {"recorded": datetime.fromisoformat(event["recorded"]), "event": _JSON.encode(event)} for event in events
        ]
        if rows:
            async with self._database.writing() as connection:
                await connection.execute(audit.insert(), rows)

    async def recorded(self, since: datetime, until: datetime) -> AsyncIterator[Resource]:
        """AuditEvents recorded at or after `since` and before `until`, in the order in which they were appended."""
        last = 0
        while True:
            query = (
                select(audit.c.row, audit.c.event)
                .where(audit.c.row > last, audit.c.recorded >= since, audit.c.recorded < until)
                .order_by(audit.c.row)
                .limit(_BATCH)
            )
            async with self._database.reading() as connection:
                found = (await connection.execute(query)).all()
            for row, event in found:
                yield msgspec.json.decode(event)
                last = row
            if len(found) < _BATCH:
                return
