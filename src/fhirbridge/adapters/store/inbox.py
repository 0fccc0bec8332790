"""Inbox and versions: what came, and what it says. Statements on a connection that the caller opened."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any

import msgspec
from msgspec import Struct
from sqlalchemy import RowMapping, bindparam, exists, select, tuple_, update
from sqlalchemy.ext.asyncio import AsyncConnection

from fhirbridge.adapters.store.dialect import insert_into
from fhirbridge.adapters.store.kept import took_place
from fhirbridge.adapters.store.remapping import reread
from fhirbridge.adapters.store.tables import inbox, versions
from fhirbridge.adapters.store.version_key import is_by_content, key_among, version_key
from fhirbridge.core.facts import AnyFact, Unmapped
from fhirbridge.errors import SenderError
from fhirbridge.ports import Arrival, Event, Reading, Subject, Version

Row = dict[str, Any]

_PACK = msgspec.msgpack.Encoder()
_FACT: msgspec.msgpack.Decoder[AnyFact] = msgspec.msgpack.Decoder(AnyFact)
_BATCH = 500


def check_event(event: Event) -> None:
    """Refuse text that a database would, before the row shares a transaction with those of other callers.

    Raises:
        SenderError: type, id or version has characters that FHIR's `id` has not.
    """
    for name, text in (("type", event.type), ("id", event.id), ("version", event.version)):
        if not text.isascii() or not text.isprintable():
            raise SenderError("only printable ASCII characters can stand here", place=f"event.{name}", issue="value")


def arrival_row(epr: str, event: Event, received: datetime) -> Row:
    """The row of an event.

    Raises:
        SenderError: see `check_event`.
    """
    check_event(event)
    return {
        "epr": epr,
        "type": event.type,
        "id": event.id,
        "version": event.version,
        "resource": None if event.resource is None else _json(event.resource),
        "deleted": event.deleted,
        "received": received,
    }


async def add(connection: AsyncConnection, rows: Sequence[Row]) -> None:
    """Put rows of `arrival_row` into the inbox."""
    await connection.execute(inbox.insert(), list(rows))


async def oldest(connection: AsyncConnection, limit: int, eprs: Collection[str] | None = None) -> list[Arrival]:
    """The oldest rows not yet digested, of these EPRs alone where any are named."""
    query = select(inbox).where(inbox.c.digested_at.is_(None)).order_by(inbox.c.row).limit(limit)
    if eprs is not None:
        query = query.where(inbox.c.epr.in_(eprs))
    return [_arrival(row) for row in (await connection.execute(query)).mappings()]


def _arrival(row: RowMapping) -> Arrival:
    event = Event(
        type=row["type"],
        id=row["id"],
        version=row["version"],
        resource=None if row["resource"] is None else msgspec.json.decode(row["resource"]),
        deleted=row["deleted"],
    )
    return Arrival(row=row["row"], epr=row["epr"], event=event, received=row["received"])


async def close(connection: AsyncConnection, rows: Sequence[int], now: datetime) -> None:
    """Mark rows as digested. Locks them in the order of their numbers, so that two workers cannot block each other."""
    for start in range(0, len(rows), _BATCH):
        chosen = inbox.c.row.in_(sorted(rows)[start : start + _BATCH])
        await connection.execute(select(inbox.c.row).where(chosen).order_by(inbox.c.row).with_for_update())
        await connection.execute(update(inbox).where(chosen, inbox.c.digested_at.is_(None)).values(digested_at=now))


async def add_versions(
    connection: AsyncConnection, epr: str, arrived: Sequence[Version], now: datetime
) -> set[Subject]:
    """Keep the versions that are new; the subjects that they say something new about."""
    news: set[Subject] = set()
    confirming = {(one.fact.source.type, one.fact.source.id, version_key(one)) for one in arrived if one.confirms}
    rows = await _told_apart(connection, epr, [_version_row(epr, version, now) for version in arrived])
    rows.sort(key=_unique)
    for start in range(0, len(rows), _BATCH):
        statement = (
            insert_into(connection, versions)
            .values(rows[start : start + _BATCH])
            .on_conflict_do_nothing(index_elements=["epr", "type", "id", "version"])
            .returning(versions.c.patient, versions.c.type, versions.c.id, versions.c.version)
        )
        for patient, *version in await connection.execute(statement):
            if patient and tuple(version) not in confirming:
                news.add(Subject(epr, patient))
    return news


async def _told_apart(connection: AsyncConnection, epr: str, rows: list[Row]) -> list[Row]:
    """The rows; of those without a version id only what says something new, under a key that nothing has yet."""
    by_content = sorted((row for row in rows if is_by_content(row["version"])), key=lambda row: row["known"])
    if not by_content:
        return rows
    kept: dict[tuple[str, str], list[tuple[datetime, str]]] = {(row["type"], row["id"]): [] for row in by_content}
    named = sorted(kept)
    for start in range(0, len(named), _BATCH):
        some = tuple_(versions.c.type, versions.c.id).in_(named[start : start + _BATCH])
        query = select(versions.c.type, versions.c.id, versions.c.known, versions.c.version)
        found = await connection.execute(query.where(versions.c.epr == epr, some).order_by(versions.c.row))
        for kind, identity, known, version in found:
            kept[kind, identity].append((known, version))
    told = [row for row in rows if not is_by_content(row["version"])]
    for row in by_content:
        before = kept[row["type"], row["id"]]
        if key := key_among(before, row["known"], row["version"]):
            before.append((row["known"], key))
            told.append({**row, "version": key})
    return told


def _version_row(epr: str, version: Version, now: datetime) -> Row:
    fact = version.fact
    return {
        "epr": epr,
        "type": fact.source.type,
        "id": fact.source.id,
        "version": version_key(version),
        "known": fact.known,
        "happens": took_place(fact),
        "patient": fact.patient,
        "fact": _PACK.encode(fact),
        "resource": _json(version.resource),
        "kept_at": now,
    }


class Reread(Struct, frozen=True, kw_only=True):
    """A batch of versions read again: up to which row, how many, how many read differently, and about whom.

    `doubtful` are those that read differently, and those that still cannot be read.
    """

    last: int
    versions: int
    changed: int
    about: set[Subject]
    doubtful: list[Version]


async def reread_versions(connection: AsyncConnection, epr: str, reading: Reading, *, after: int) -> Reread:
    """Read the next versions of the EPR again, those of rows after `after`, and keep what differs."""
    query = (
        select(versions.c.row, versions.c.fact, versions.c.resource)
        .where(versions.c.epr == epr, versions.c.row > after)
        .order_by(versions.c.row)
        .limit(_BATCH)
    )
    rows = (await connection.execute(query)).all()
    changed: list[Row] = []
    about: set[Subject] = set()
    doubtful: list[Version] = []
    for row in rows:
        kept = _FACT.decode(row.fact)
        resource = msgspec.json.decode(row.resource)
        fact = reread(kept, resource, reading)
        if fact != kept or isinstance(fact, Unmapped):
            doubtful.append(Version(fact=fact, resource=resource))
        if fact != kept:
            told = {"patient": fact.patient, "fact": _PACK.encode(fact), "happens": took_place(fact)}
            changed.append({"which": row.row, **told})
            about |= {Subject(epr, patient) for patient in (kept.patient, fact.patient) if patient}
    if changed:
        await connection.execute(update(versions).where(versions.c.row == bindparam("which")), changed)
    return Reread(
        last=rows[-1].row if rows else after,
        versions=len(rows),
        changed=len(changed),
        about=about,
        doubtful=doubtful,
    )


def _unique(row: Row) -> tuple[str, str, str]:
    return (row["type"], row["id"], row["version"])


async def facts_about(connection: AsyncConnection, subject: Subject) -> tuple[AnyFact, ...]:
    """The facts of every version about the subject, in the order in which they became known."""
    query = (
        select(versions.c.fact)
        .where(versions.c.epr == subject.epr, versions.c.patient == subject.patient)
        .order_by(versions.c.known, versions.c.row)
    )
    return tuple(_FACT.decode(fact) for fact in (await connection.execute(query)).scalars())


async def last_version(connection: AsyncConnection, epr: str, reference: str) -> Version | None:
    """The version of a resource that became known last."""
    kind, _, identity = reference.partition("/")
    query = (
        select(versions.c.fact, versions.c.resource)
        .where(versions.c.epr == epr, versions.c.type == kind, versions.c.id == identity)
        .order_by(versions.c.known.desc(), versions.c.row.desc())
        .limit(1)
    )
    row = (await connection.execute(query)).one_or_none()
    return Version(fact=_FACT.decode(row.fact), resource=msgspec.json.decode(row.resource)) if row else None


async def any_about(connection: AsyncConnection, subject: Subject) -> bool:
    """Whether any version is about the subject."""
    query = select(exists().where(versions.c.epr == subject.epr, versions.c.patient == subject.patient))
    return bool((await connection.execute(query)).scalar())


def _json(resource: dict[str, Any]) -> bytes:
    return msgspec.json.encode(resource)
