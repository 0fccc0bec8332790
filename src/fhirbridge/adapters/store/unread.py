"""Which resources could not be read as they stand, over one database (`ports.Unread`)."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime
from typing import Any

import msgspec
from msgspec import Struct
from sqlalchemy import delete, func, select, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection

from fhirbridge.adapters.store.database import Database
from fhirbridge.adapters.store.dialect import insert_into
from fhirbridge.adapters.store.tables import unread, versions
from fhirbridge.core.facts import AnyFact, Unmapped
from fhirbridge.ports import Subject, Unreadable, Version

Name = tuple[str, str]
"""A resource, by type and id."""

_FACT: msgspec.msgpack.Decoder[AnyFact] = msgspec.msgpack.Decoder(AnyFact)
_BATCH = 500


class Noted(Struct, frozen=True, kw_only=True):
    """What is noted of one resource; `known` is when the latest version that could not be read became known."""

    told: Unreadable
    known: datetime


def judged(epr: str, last: AnyFact | None, unfit: Iterable[Version], before: Noted | None) -> Noted | None:
    """What is to be noted of one resource from now on; None when the latest that is known of it can be read.

    `last` is the fact of the version that is kept and became known last, `unfit` what has just come and is not fit to
    be kept or tells that the resource has gone, `before` what was noted so far. Whom an unfit version is about, the one
    before it says.
    """
    patient = last.patient if last is not None else ""
    told = [one.fact for one in unfit if isinstance(one.fact, Unmapped)]
    gone = max((fact.known for fact in told if fact.erased), default=None)
    found = [_noted(epr, fact, patient, unfit=True) for fact in told if not fact.erased]
    if before is not None and before.told.unfit:
        found.append(before)
    latest = max(found, key=lambda one: one.known, default=None)
    if last is not None and (latest is None or last.known >= latest.known):
        latest = _noted(epr, last, patient, unfit=False) if isinstance(last, Unmapped) and not last.erased else None
    if latest is not None and gone is not None and gone >= latest.known:
        return None
    if latest is None or before is None:
        return latest
    return msgspec.structs.replace(latest, told=msgspec.structs.replace(latest.told, since=before.told.since))


def _noted(epr: str, fact: Unmapped, patient: str, *, unfit: bool) -> Noted:
    told = Unreadable(
        epr=epr,
        patient=patient,
        reference=fact.source.reference,
        version=fact.source.version,
        reason=fact.reason,
        since=fact.known,
        unfit=unfit,
    )
    return Noted(told=told, known=fact.known)


async def note(connection: AsyncConnection, epr: str, arrived: Sequence[Version]) -> None:
    """Note what cannot be read of what has arrived, and forget what can be read again; after it was kept."""
    names = {(one.fact.source.type, one.fact.source.id) for one in arrived}
    before = await _before(connection, epr, names)
    suspects = {(one.fact.source.type, one.fact.source.id) for one in arrived if isinstance(one.fact, Unmapped)}
    if not (touched := sorted(suspects | before.keys())):
        return
    unfit = [one for one in arrived if one.unfit]
    last = await _last(connection, epr, touched)
    for name in touched:
        mine = [one for one in unfit if (one.fact.source.type, one.fact.source.id) == name]
        await _set(connection, epr, name, judged(epr, last.get(name), mine, before.get(name)), before.get(name))


async def _set(connection: AsyncConnection, epr: str, name: Name, now: Noted | None, before: Noted | None) -> None:
    if now == before:
        return
    kind, identity = name
    await connection.execute(delete(unread).where(unread.c.epr == epr, unread.c.type == kind, unread.c.id == identity))
    if now is None:
        return
    told = now.told
    row = insert_into(connection, unread).values(
        epr=epr,
        type=kind,
        id=identity,
        version=told.version,
        patient=told.patient,
        reason=told.reason,
        since=told.since,
        known=now.known,
        unfit=told.unfit,
    )
    # Two that note the same at once say the same.
    await connection.execute(row.on_conflict_do_nothing(index_elements=["epr", "type", "id"]))


async def _before(connection: AsyncConnection, epr: str, names: Collection[Name]) -> dict[Name, Noted]:
    found = {}
    wanted = sorted(names)
    for start in range(0, len(wanted), _BATCH):
        some = tuple_(unread.c.type, unread.c.id).in_(wanted[start : start + _BATCH])
        for row in await connection.execute(select(unread).where(unread.c.epr == epr, some)):
            found[row.type, row.id] = Noted(told=_told(row), known=row.known)
    return found


async def _last(connection: AsyncConnection, epr: str, names: Sequence[Name]) -> dict[Name, AnyFact]:
    facts: dict[Name, bytes] = {}
    for start in range(0, len(names), _BATCH):
        some = tuple_(versions.c.type, versions.c.id).in_(names[start : start + _BATCH])
        query = select(versions.c.type, versions.c.id, versions.c.fact).where(versions.c.epr == epr, some)
        for kind, identity, fact in await connection.execute(query.order_by(versions.c.known, versions.c.row)):
            facts[kind, identity] = fact
    return {name: _FACT.decode(fact) for name, fact in facts.items()}


class SqlUnread:
    """The durable `ports.Unread`: reads alone."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def search(
        self, *, eprs: Collection[str] = (), subjects: Collection[Subject] = (), limit: int = 100
    ) -> list[Unreadable]:
        """The oldest of them first, then by reference."""
        query = select(unread).order_by(unread.c.since, unread.c.type, unread.c.id, unread.c.epr).limit(limit)
        if eprs:
            query = query.where(unread.c.epr.in_(eprs))
        if subjects:
            named = [(subject.epr, subject.patient) for subject in subjects]
            query = query.where(tuple_(unread.c.epr, unread.c.patient).in_(named))
        async with self._database.reading() as connection:
            return [_told(row) for row in await connection.execute(query)]

    async def count(self) -> dict[str, int]:
        """How many there are, by EPR."""
        query = select(unread.c.epr, func.count()).group_by(unread.c.epr)
        async with self._database.reading() as connection:
            return {epr: int(number) for epr, number in await connection.execute(query)}


def _told(row: Any) -> Unreadable:
    return Unreadable(
        epr=row.epr,
        patient=row.patient,
        reference=f"{row.type}/{row.id}",
        version=row.version,
        reason=row.reason,
        since=row.since,
        unfit=row.unfit,
    )
