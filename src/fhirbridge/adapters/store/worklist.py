"""The service's own worklist over one database (`ports.Worklist`): a version is a row, and rows are never changed.

Only the mark of the current version moves. Two who put a version on the same one are told apart by its number: the
second finds it no longer current.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import ColumnElement, RowMapping, and_, func, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from fhirbridge.adapters.store import inbox
from fhirbridge.adapters.store.database import Database
from fhirbridge.adapters.store.dialect import insert_into
from fhirbridge.adapters.store.tables import worklist, written
from fhirbridge.errors import Overtaken
from fhirbridge.fhir.copies import COPY
from fhirbridge.fhir.worklist import action_of, listed_id, numbered
from fhirbridge.ports import Event, Listed, Placing, Subject, Wanted

_OVERTAKEN = "somebody changed what stands on the worklist since it was read: read it again"

_TOLD = and_(written.c.epr == worklist.c.epr, written.c.identity == worklist.c.notice)
_VERSIONS = select(worklist, written.c.reference.label("told")).outerjoin(written, _TOLD)


class SqlWorklist:
    """The durable worklist; `Overtaken` and `StoreUnavailable` mean that nothing of the call was done."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def search(self, wanted: Wanted, *, after: int = 0, limit: int = 50) -> list[Listed]:
        """Current versions with a row above `after`, by row."""
        query = (
            _VERSIONS.where(worklist.c.current, worklist.c.row > after, *_conditions(wanted))
            .order_by(worklist.c.row)
            .limit(limit)
        )
        async with self._database.reading() as connection:
            return [_listed(row) for row in (await connection.execute(query)).mappings()]

    async def count(self, wanted: Wanted) -> int:
        """How many current versions there are."""
        query = select(func.count()).select_from(worklist).where(worklist.c.current, *_conditions(wanted))
        async with self._database.reading() as connection:
            return int((await connection.execute(query)).scalar_one())

    async def read(self, reference: str) -> Listed | None:
        """The current version of `Type/id`."""
        query = _VERSIONS.where(worklist.c.current, *_is(reference))
        async with self._database.reading() as connection:
            row = (await connection.execute(query)).mappings().one_or_none()
            return _listed(row) if row else None

    async def history(self, reference: str) -> list[Listed]:
        """Every version of `Type/id`, oldest first."""
        query = _VERSIONS.where(*_is(reference)).order_by(worklist.c.version)
        async with self._database.reading() as connection:
            return [_listed(row) for row in (await connection.execute(query)).mappings()]

    async def standing(self, subject: Subject) -> dict[str, Listed]:
        """Everything of a patient that is on the worklist, by identity."""
        async with self._database.reading() as connection:
            return await _standing(connection, subject)

    async def place(self, subject: Subject, placings: Sequence[Placing], now: datetime) -> dict[str, Listed]:
        """Put versions of the service's own writes on the worklist; what stands then, by identity.

        Raises:
            Overtaken: one is based on a version that is no longer current.
        """
        async with self._database.writing() as connection:
            for placing in placings:
                await put(connection, subject, placing, now)
            return await _standing(connection, subject)

    async def complete(self, reference: str, placing: Placing, now: datetime) -> Listed:
        """Put a version that staff made on the worklist, and an event that tells of it into the inbox.

        Raises:
            Overtaken: it is based on a version that is no longer current, or nothing is there.
        """
        async with self._database.writing() as connection:
            query = _VERSIONS.where(worklist.c.current, *_is(reference))
            before = (await connection.execute(query)).mappings().one_or_none()
            if before is None or before["way"] == COPY or placing.based_on < 1:
                raise Overtaken(_OVERTAKEN)
            subject = Subject(before["epr"], before["patient"])
            await put(connection, subject, placing, now)
            after = _listed((await connection.execute(query)).mappings().one())
            event = Event(type=before["type"], id=before["id"], version=str(after.version))
            await inbox.add(connection, [inbox.arrival_row(subject.epr, event, now)])
            return after


async def _standing(connection: AsyncConnection, subject: Subject) -> dict[str, Listed]:
    query = _VERSIONS.where(
        worklist.c.current,
        worklist.c.epr == subject.epr,
        worklist.c.patient == subject.patient,
        worklist.c.way != COPY,
    ).order_by(worklist.c.row)
    return {row["identity"]: _listed(row) for row in (await connection.execute(query)).mappings()}


async def put(connection: AsyncConnection, subject: Subject, placing: Placing, now: datetime) -> None:
    """Add a version, and make it the current one.

    Raises:
        Overtaken: it is based on a version that is no longer current.
    """
    reference = f"{placing.resource['resourceType']}/{listed_id(subject.epr, placing.identity)}"
    if placing.based_on:
        moved = await connection.execute(
            update(worklist)
            .where(worklist.c.current, worklist.c.version == placing.based_on, *_is(reference))
            .values(current=False)
        )
        if moved.rowcount != 1:
            raise Overtaken(_OVERTAKEN)
    added = await connection.execute(
        insert_into(connection, worklist)
        .values(_row(subject, placing, now))
        .on_conflict_do_nothing(index_elements=["type", "id", "version"])
        .returning(worklist.c.row)
    )
    if added.scalar_one_or_none() is None:
        raise Overtaken(_OVERTAKEN)


def _row(subject: Subject, placing: Placing, now: datetime) -> dict[str, Any]:
    resource = numbered(placing.resource, subject.epr, placing.identity, placing.based_on + 1, now)
    return {
        "epr": subject.epr,
        "patient": subject.patient,
        "identity": placing.identity,
        "type": resource["resourceType"],
        "id": resource["id"],
        "version": placing.based_on + 1,
        "current": True,
        "status": str(resource.get("status", "")),
        "code": action_of(resource),
        "updated": now,
        "way": placing.way,
        "write": placing.write,
        "notice": placing.notice,
        "by": placing.by,
        "resource": msgspec.json.encode(resource),
    }


def _listed(row: RowMapping) -> Listed:
    return Listed(
        row=row["row"],
        subject=Subject(row["epr"], row["patient"]),
        identity=row["identity"],
        resource=msgspec.json.decode(row["resource"]),
        way=row["way"],
        updated=row["updated"],
        notice=row["notice"],
        told=row["told"] or "",
        by=row["by"],
        write=row["write"],
        current=row["current"],
    )


def _is(reference: str) -> tuple[ColumnElement[bool], ...]:
    kind, _, identity = reference.partition("/")
    return worklist.c.type == kind, worklist.c.id == identity


def _conditions(wanted: Wanted) -> list[ColumnElement[bool]]:
    asked = (
        (worklist.c.type, wanted.types),
        (worklist.c.id, wanted.ids),
        (worklist.c.epr, wanted.eprs),
        (worklist.c.patient, wanted.patients),
        (worklist.c.identity, wanted.identities),
        (worklist.c.status, wanted.statuses),
        (worklist.c.code, wanted.codes),
    )
    conditions: list[ColumnElement[bool]] = [column.in_(values) for column, values in asked if values]
    if wanted.since is not None:
        conditions.append(worklist.c.updated >= wanted.since)
    if wanted.until is not None:
        conditions.append(worklist.c.updated < wanted.until)
    return conditions
