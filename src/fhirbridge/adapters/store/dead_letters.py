"""Rows of the outbox that an EPR refused, over one database (`ports.DeadLetters`)."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime

import msgspec
from sqlalchemy import RowMapping, func, select, tuple_, update

from fhirbridge.adapters.store.database import Database
from fhirbridge.adapters.store.outbox import DEAD, PENDING
from fhirbridge.adapters.store.tables import outbox
from fhirbridge.ports import DeadLetter, Outgoing, Subject

_JSON = msgspec.json.Encoder()
_OUTGOING = msgspec.json.Decoder(Outgoing)


class SqlDeadLetters:
    """The durable dead letters."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def search(
        self,
        *,
        eprs: Collection[str] = (),
        subjects: Collection[Subject] = (),
        rows: Collection[int] = (),
        after: int = 0,
        limit: int = 100,
    ) -> list[DeadLetter]:
        """Those with a row above `after`, by row."""
        query = select(outbox).where(outbox.c.state == DEAD, outbox.c.row > after).order_by(outbox.c.row).limit(limit)
        if eprs:
            query = query.where(outbox.c.epr.in_(eprs))
        if subjects:
            named = [(subject.epr, subject.patient) for subject in subjects]
            query = query.where(tuple_(outbox.c.epr, outbox.c.patient).in_(named))
        if rows:
            query = query.where(outbox.c.row.in_(rows))
        async with self._database.reading() as connection:
            return [_letter(row) for row in (await connection.execute(query)).mappings()]

    async def count(self) -> dict[str, int]:
        """How many there are, by EPR."""
        query = select(outbox.c.epr, func.count()).where(outbox.c.state == DEAD).group_by(outbox.c.epr)
        async with self._database.reading() as connection:
            return {epr: int(number) for epr, number in await connection.execute(query)}

    async def revive(self, again: Mapping[int, Outgoing], now: datetime) -> int:
        """Have rows tried again; how many of them were dead."""
        revived = 0
        async with self._database.writing() as connection:
            for row, outgoing in sorted(again.items()):
                done = await connection.execute(
                    update(outbox)
                    .where(outbox.c.row == row, outbox.c.state == DEAD)
                    .values(
                        state=PENDING,
                        outgoing=_JSON.encode(outgoing),
                        attempts=0,
                        not_before=None,
                        last_error="",
                        outcome=None,
                        settled_at=None,
                    )
                )
                revived += done.rowcount
        return revived


def _letter(row: RowMapping) -> DeadLetter:
    return DeadLetter(
        row=row["row"],
        subject=Subject(row["epr"], row["patient"]),
        outgoing=_OUTGOING.decode(row["outgoing"]),
        decided_at=row["decided_at"],
        refused_at=row["settled_at"],
        attempts=row["attempts"],
        reason=row["last_error"],
        outcome=msgspec.json.decode(row["outcome"]) if row["outcome"] else None,
    )
