"""One row a subject: its timer, its lease and its two counters. Statements on a connection that the caller opened."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, and_, case, func, literal, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from fhirbridge.adapters.store.dialect import insert_into
from fhirbridge.adapters.store.tables import Instant, subjects
from fhirbridge.errors import Overtaken
from fhirbridge.ports import Revision, Subject

_BATCH = 500


def _is(subject: Subject) -> ColumnElement[bool]:
    return and_(subjects.c.epr == subject.epr, subjects.c.patient == subject.patient)


async def tell_news(connection: AsyncConnection, about: Iterable[Subject], now: datetime) -> None:
    """Make these subjects due now, unless they already were."""
    rows = [
        {"epr": subject.epr, "patient": subject.patient, "wakes_at": now, "news": 1}
        for subject in sorted(about, key=lambda subject: (subject.epr, subject.patient))
    ]
    for start in range(0, len(rows), _BATCH):
        insert = insert_into(connection, subjects).values(rows[start : start + _BATCH])
        sooner = case(
            (subjects.c.wakes_at < insert.excluded.wakes_at, subjects.c.wakes_at), else_=insert.excluded.wakes_at
        )
        await connection.execute(
            insert.on_conflict_do_update(
                index_elements=["epr", "patient"], set_={"wakes_at": sooner, "news": subjects.c.news + 1}
            )
        )


async def due(connection: AsyncConnection, now: datetime, limit: int, eprs: Collection[str] | None) -> list[Subject]:
    """Subjects to be decided now that nobody holds, longest overdue first; of these EPRs where any are named."""
    query = (
        select(subjects.c.epr, subjects.c.patient)
        .where(subjects.c.wakes_at <= now, or_(subjects.c.held_until.is_(None), subjects.c.held_until <= now))
        .order_by(subjects.c.wakes_at, subjects.c.epr, subjects.c.patient)
        .limit(limit)
    )
    if eprs is not None:
        query = query.where(subjects.c.epr.in_(eprs))
    return [Subject(epr, patient) for epr, patient in await connection.execute(query)]


async def next_due(connection: AsyncConnection) -> datetime | None:
    """When `due` has something to give next. Two queries, for each is answered by an index of its own."""
    later = case((subjects.c.held_until > subjects.c.wakes_at, subjects.c.held_until), else_=subjects.c.wakes_at)
    free = select(func.min(subjects.c.wakes_at)).where(subjects.c.held_until.is_(None))
    held = select(func.min(later)).where(subjects.c.held_until.is_not(None), subjects.c.wakes_at.is_not(None))
    found = [(await connection.execute(query)).scalar() for query in (free, held)]
    return min((instant for instant in found if instant is not None), default=None)


async def revision(connection: AsyncConnection, subject: Subject) -> Revision:
    """The counters of the subject; zeros for one never heard of."""
    row = (await connection.execute(select(subjects.c.news, subjects.c.turn).where(_is(subject)))).one_or_none()
    return Revision() if row is None else Revision(news=row.news, turn=row.turn)


async def hold(connection: AsyncConnection, subject: Subject, holder: str, now: datetime, until: datetime) -> bool:
    """Take the lease, if it is free or expired."""
    await _ensure(connection, subject)
    taken = await connection.execute(
        update(subjects)
        .where(_is(subject), or_(subjects.c.held_until.is_(None), subjects.c.held_until <= now))
        .values(holder=holder, held_until=until, turn=subjects.c.turn + 1)
    )
    return taken.rowcount == 1


async def let_go(connection: AsyncConnection, subject: Subject, holder: str) -> None:
    """Give the lease back, if it is still this holder's."""
    await connection.execute(
        update(subjects).where(_is(subject), subjects.c.holder == holder).values(holder=None, held_until=None)
    )


async def decided(connection: AsyncConnection, subject: Subject, wakes_at: datetime | None, seen: Revision) -> None:
    """Set the timer after a decision, and lock the row until the transaction ends.

    Raises:
        Overtaken: somebody took a turn since `seen`.
    """
    if seen.turn == 0:
        await _ensure(connection, subject)
    stays: ColumnElement[Any] = subjects.c.wakes_at
    if wakes_at is not None:
        stays = case((subjects.c.wakes_at < wakes_at, subjects.c.wakes_at), else_=literal(wakes_at, Instant()))
    done = await connection.execute(
        update(subjects)
        .where(_is(subject), subjects.c.turn == seen.turn)
        .values(
            turn=subjects.c.turn + 1,
            wakes_at=case((subjects.c.news == seen.news, literal(wakes_at, Instant())), else_=stays),
        )
    )
    if done.rowcount != 1:
        raise Overtaken("another worker took this subject since it was loaded: load it and decide again")


async def _ensure(connection: AsyncConnection, subject: Subject) -> None:
    await connection.execute(
        insert_into(connection, subjects)
        .values(epr=subject.epr, patient=subject.patient)
        .on_conflict_do_nothing(index_elements=["epr", "patient"])
    )
