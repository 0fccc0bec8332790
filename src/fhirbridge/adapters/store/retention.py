"""Letting go of rows that nobody needs any more, over one database (`ports.Retention`).

What keeps anything from being done twice is kept elsewhere: versions by their id, what was written by its identity.
Dead letters stay until somebody has them tried again, and what is told to people while a channel may ask for it.
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import delete, exists, select

from fhirbridge.adapters.store.database import Database
from fhirbridge.adapters.store.outbox import DELIVERED
from fhirbridge.adapters.store.tables import inbox, outbox, written


class SqlRetention:
    """The durable rows of inbox and outbox."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def purge(self, before: datetime, limit: int) -> int:
        """Delete at most `limit` rows each of inbox and outbox that were settled before then; how many went."""
        told = exists().where(
            written.c.epr == outbox.c.epr,
            written.c.identity == outbox.c.identity,
            written.c.reference.startswith("Communication/"),
        )
        old = (
            (inbox, select(inbox.c.row).where(inbox.c.digested_at < before)),
            (outbox, select(outbox.c.row).where(outbox.c.state == DELIVERED, outbox.c.settled_at < before, ~told)),
        )
        gone = 0
        async with self._database.writing() as connection:
            for table, query in old:
                rows = (await connection.execute(query.order_by(table.c.row).limit(limit))).scalars().all()
                if rows:
                    gone += (await connection.execute(delete(table).where(table.c.row.in_(rows)))).rowcount
        return gone
