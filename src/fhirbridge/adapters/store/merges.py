"""`ports.Merges` over one database: each method is one transaction."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from sqlalchemy import delete, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from fhirbridge.adapters.store import subjects
from fhirbridge.adapters.store.database import Database
from fhirbridge.adapters.store.tables import merges
from fhirbridge.core.merging import Link
from fhirbridge.ports import Subject

_NAMES = (merges.c.said_by, merges.c.replaced, merges.c.survivor)


class SqlMerges:
    """The durable `ports.Merges`; errors as for the store that it belongs to."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def claim(self, subject: Subject, links: Collection[Link], now: datetime) -> None:
        """What the patient's record says now, in place of what it said before."""
        mine = (merges.c.epr == subject.epr, merges.c.said_by == subject.patient)
        async with self._database.writing() as connection:
            rows = await connection.execute(select(*_NAMES).where(*mine).with_for_update())
            before = {Link(*row) for row in rows}
            await connection.execute(delete(merges).where(*mine))
            if links:
                await connection.execute(
                    merges.insert(), [{"epr": subject.epr, **_row(link)} for link in sorted(links)]
                )
            named = {name for link in before ^ set(links) for name in (link.replaced, link.survivor)}
            others = [Subject(subject.epr, name) for name in named - {subject.patient}]
            await subjects.tell_news(connection, others, now)

    async def linked(self, subject: Subject) -> frozenset[Link]:
        """Everything said about the records linked to this one, at one remove or more."""
        found: frozenset[Link] = frozenset()
        names = {subject.patient}
        async with self._database.reading() as connection:
            while (more := await naming(connection, subject.epr, names)) != found:
                found = more
                names = {name for link in found for name in (link.replaced, link.survivor)}
        return found

    async def wake(self, subject: Subject, now: datetime) -> None:
        """Make the patient due now."""
        async with self._database.writing() as connection:
            await subjects.tell_news(connection, [subject], now)


async def naming(connection: AsyncConnection, epr: str, names: Collection[str]) -> frozenset[Link]:
    """What is said about these records, and by them."""
    about = or_(*(column.in_(sorted(names)) for column in _NAMES))
    rows = await connection.execute(select(*_NAMES).where(merges.c.epr == epr, about))
    return frozenset(Link(*row) for row in rows)


def _row(link: Link) -> dict[str, str]:
    return {"said_by": link.said_by, "replaced": link.replaced, "survivor": link.survivor}
