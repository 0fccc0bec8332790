"""What is kept of an EPR's resources, over one database (`ports.Kept`): reads alone."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from datetime import datetime
from typing import TypeVar

import msgspec
from sqlalchemy import select, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection

from fhirbridge.adapters.store.database import Database
from fhirbridge.adapters.store.tables import subjects
from fhirbridge.adapters.store.tables import versions as table
from fhirbridge.adapters.store.version_key import is_by_content, key_among, version_key
from fhirbridge.core.facts import AnyFact, Appointment, Encounter, Episode, Fact, Message, Task
from fhirbridge.ports import Version

_FACT: msgspec.msgpack.Decoder[AnyFact] = msgspec.msgpack.Decoder(AnyFact)
_BATCH = 500
Item = TypeVar("Item")


def took_place(fact: Fact) -> datetime | None:
    """When that which the fact tells of happened, or will; None for what only says how things stand."""
    match fact:
        case Appointment(start=start) | Encounter(start=start) | Episode(start=start):
            return start
        case Message(sent=sent):
            return sent
        case Task(happened=happened):
            return happened
        case _:
            return None


def is_expected(fact: Fact, start: datetime | None, end: datetime | None, patient: str) -> bool:
    """Whether the resource should be found by asking for what took place from `start` to before `end`."""
    if fact.erased or (patient and fact.patient != patient):
        return False
    if start is None and end is None:
        return True
    when = took_place(fact)
    return when is not None and (start is None or when >= start) and (end is None or when < end)


Named = dict[tuple[str, str], list[tuple[datetime, str]]]
"""By type and id, when the versions of a resource became known and their keys, in the order they were kept."""


def new_among(versions: Sequence[Version], kept: Named) -> list[Version]:
    """Those of the versions that say something new, each once; `kept` grows by them."""
    new = []
    for version in sorted(versions, key=lambda version: version.fact.known):
        fact = version.fact
        before = kept.setdefault((fact.source.type, fact.source.id), [])
        key = version_key(version)
        if is_by_content(key):
            key = key_among(before, fact.known, key)
        if key and all(key != other for _, other in before):
            before.append((fact.known, key))
            new.append(version)
    return new


class SqlKept:
    """What is kept, from the tables of the store."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def latest(self, epr: str, resource_type: str, ids: Collection[str]) -> dict[str, Version]:
        """For each of these ids that anything is kept of, the version that became known last."""
        found: dict[str, Version] = {}
        async with self._database.reading() as connection:
            for some in _batches(sorted(ids)):
                query = (
                    select(table.c.id, table.c.fact, table.c.resource)
                    .where(table.c.epr == epr, table.c.type == resource_type, table.c.id.in_(some))
                    .order_by(table.c.known, table.c.row)
                )
                last = {row.id: row for row in await connection.execute(query)}
                for identity, row in last.items():
                    found[identity] = Version(fact=_FACT.decode(row.fact), resource=msgspec.json.decode(row.resource))
        return found

    async def expected(
        self, epr: str, resource_type: str, *, start: datetime | None, end: datetime | None, patient: str = ""
    ) -> set[str]:
        """Ids of resources that, as last known, are there and took place from `start` to before `end`."""
        candidates = select(table.c.id).where(table.c.epr == epr, table.c.type == resource_type).distinct()
        if patient:
            candidates = candidates.where(table.c.patient == patient)
        if start is not None:
            candidates = candidates.where(table.c.happens >= start)
        if end is not None:
            candidates = candidates.where(table.c.happens < end)
        async with self._database.reading() as connection:
            ids = list((await connection.execute(candidates)).scalars())
            facts: dict[str, AnyFact] = {}
            for some in _batches(ids):
                facts |= await _last_facts(connection, epr, resource_type, some)
        return {identity for identity, fact in facts.items() if is_expected(fact, start, end, patient)}

    async def unknown(self, epr: str, versions: Sequence[Version]) -> list[Version]:
        """Those of these versions that are not kept, each once; without an id, those that say something new."""
        about: Named = {(one.fact.source.type, one.fact.source.id): [] for one in versions}
        async with self._database.reading() as connection:
            for some in _batches(sorted(about)):
                rows = select(table.c.type, table.c.id, table.c.known, table.c.version).order_by(table.c.row)
                these = tuple_(table.c.type, table.c.id).in_(some)
                for kind, identity, known, version in await connection.execute(rows.where(table.c.epr == epr, these)):
                    about[kind, identity].append((known, version))
        return new_among(versions, about)

    async def patients(self, epr: str, *, after: str, limit: int) -> list[str]:
        """Patients of this EPR about whom anything is kept, in order, those past `after`."""
        query = (
            select(subjects.c.patient)
            .where(subjects.c.epr == epr, subjects.c.patient > after)
            .order_by(subjects.c.patient)
            .limit(limit)
        )
        async with self._database.reading() as connection:
            return list((await connection.execute(query)).scalars())


async def _last_facts(
    connection: AsyncConnection, epr: str, resource_type: str, ids: Sequence[str]
) -> dict[str, AnyFact]:
    query = (
        select(table.c.id, table.c.fact)
        .where(table.c.epr == epr, table.c.type == resource_type, table.c.id.in_(ids))
        .order_by(table.c.known, table.c.row)
    )
    last = {row.id: row.fact for row in await connection.execute(query)}
    return {identity: _FACT.decode(fact) for identity, fact in last.items()}


def _batches(items: Sequence[Item]) -> Iterator[Sequence[Item]]:
    return (items[start : start + _BATCH] for start in range(0, len(items), _BATCH))
