"""`ports.Gaps` over one database: each method is one transaction."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, case, delete, exists, func, literal, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from fhirbridge.adapters.store import subjects
from fhirbridge.adapters.store.database import Database
from fhirbridge.adapters.store.dialect import insert_into
from fhirbridge.adapters.store.tables import Instant, gaps, hearings, held, inbox, marks
from fhirbridge.core.gaps import Cause, Gap
from fhirbridge.ports import Hearing, Subject

_OPEN = gaps.c.closed_at.is_(None)
_GAP = (gaps.c.epr, gaps.c.type, gaps.c.feed, gaps.c.cause, gaps.c.since, gaps.c.until)


class SqlGaps:
    """The durable `ports.Gaps`; errors as for the store that it belongs to."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def found(self, gap: Gap) -> bool:
        """Open it; one that is open already is widened instead. Whether it is new."""
        same = (gaps.c.epr == gap.epr, gaps.c.type == gap.type, gaps.c.cause == gap.cause.value, _OPEN)
        wider: dict[str, Any] = {
            "since": case((gaps.c.since < gap.since, gaps.c.since), else_=literal(gap.since, Instant())),
            "until": case((gaps.c.until > gap.until, gaps.c.until), else_=literal(gap.until, Instant())),
            "covered_at": None,
        }
        row = {"epr": gap.epr, "type": gap.type, "feed": gap.feed, "cause": gap.cause.value}
        async with self._database.writing() as connection:
            there = await connection.execute(update(gaps).where(*same).values(**wider))
            if there.rowcount:
                return False
            await connection.execute(gaps.insert().values(**row, since=gap.since, until=gap.until))
            return True

    async def open(self, epr: str | None = None) -> list[Gap]:
        """Those that are open, oldest first."""
        async with self._database.reading() as connection:
            return await open_at(connection, epr)

    async def covered(self, epr: str, resource_type: str, since: datetime, began: datetime, ended: datetime) -> None:
        """Note a reading on the gaps that it covers."""
        within = (gaps.c.epr == epr, gaps.c.type == resource_type, gaps.c.since >= since, gaps.c.until <= began)
        async with self._database.writing() as connection:
            await connection.execute(update(gaps).where(_OPEN, *within).values(covered_at=ended))

    async def close(self, epr: str, now: datetime) -> list[Gap]:
        """Close what was covered and digested; with the last, those who were held back are due."""
        ready = (_OPEN, gaps.c.epr == epr, gaps.c.covered_at.is_not(None), ~_undigested())
        async with self._database.writing() as connection:
            found = (await connection.execute(select(gaps.c.row, *_GAP).where(*ready).order_by(gaps.c.row))).all()
            if not found:
                return []
            rows = [one.row for one in found]
            await connection.execute(update(gaps).where(gaps.c.row.in_(rows)).values(closed_at=now))
            if not await open_at(connection, epr):
                waiting = await connection.execute(select(held.c.patient).where(held.c.epr == epr))
                await subjects.tell_news(connection, [Subject(epr, patient) for (patient,) in waiting], now)
                await connection.execute(delete(held).where(held.c.epr == epr))
            return [_gap(one) for one in found]

    async def hold(self, subject: Subject) -> bool:
        """Remember to look at the patient when the gaps of their EPR have closed."""
        async with self._database.writing() as connection:
            query = select(exists().where(gaps.c.epr == subject.epr, _OPEN))
            if not (await connection.execute(query)).scalar():
                return False
            row = insert_into(connection, held).values(epr=subject.epr, patient=subject.patient)
            await connection.execute(row.on_conflict_do_nothing(index_elements=["epr", "patient"]))
            return True

    async def waiting(self, epr: str) -> list[Subject]:
        """The patients who will be looked at again when the gaps have closed."""
        query = select(held.c.patient).where(held.c.epr == epr).order_by(held.c.patient)
        async with self._database.reading() as connection:
            return [Subject(epr, patient) for (patient,) in await connection.execute(query)]

    async def mark(self, epr: str, of: str, at: datetime) -> None:
        """Note how far something has come."""
        async with self._database.writing() as connection:
            row = insert_into(connection, marks).values(epr=epr, of=of, at=at)
            await connection.execute(row.on_conflict_do_update(index_elements=["epr", "of"], set_={"at": at}))

    async def marked(self, epr: str, of: str) -> datetime | None:
        """The instant last noted."""
        query = select(marks.c.at).where(marks.c.epr == epr, marks.c.of == of)
        async with self._database.reading() as connection:
            at: datetime | None = (await connection.execute(query)).scalar()
            return at

    async def heard(self, hearing: Hearing) -> None:
        """Remember what was last heard of a feed."""
        values = {name: getattr(hearing, name) for name in hearing.__struct_fields__}
        others = {name: value for name, value in values.items() if name not in ("epr", "type")}
        async with self._database.writing() as connection:
            row = insert_into(connection, hearings).values(**values)
            await connection.execute(row.on_conflict_do_update(index_elements=["epr", "type"], set_=others))

    async def hearing(self, epr: str, resource_type: str) -> Hearing | None:
        """What was last heard."""
        query = select(hearings).where(hearings.c.epr == epr, hearings.c.type == resource_type)
        async with self._database.reading() as connection:
            row = (await connection.execute(query)).mappings().one_or_none()
            return Hearing(**row) if row else None


async def open_at(connection: AsyncConnection, epr: str | None = None) -> list[Gap]:
    """The gaps open at an EPR, or at all, oldest first."""
    query = select(*_GAP).where(_OPEN).order_by(gaps.c.since, gaps.c.row)
    if epr is not None:
        query = query.where(gaps.c.epr == epr)
    return [_gap(row) for row in await connection.execute(query)]


def _undigested() -> ColumnElement[bool]:
    """Something of the gap's type that was accepted until the gap was covered still waits."""
    waits = (inbox.c.epr == gaps.c.epr, inbox.c.type == gaps.c.type, inbox.c.digested_at.is_(None))
    return exists().where(*waits, inbox.c.received <= func.coalesce(gaps.c.covered_at, gaps.c.until))


def _gap(row: Any) -> Gap:
    return Gap(epr=row.epr, type=row.type, feed=row.feed, cause=Cause(row.cause), since=row.since, until=row.until)
