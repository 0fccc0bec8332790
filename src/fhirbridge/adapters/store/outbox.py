"""Effects and the outbox: what was decided, and what became of it. Statements on a connection the caller opened."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime

import msgspec
from sqlalchemy import exists, select, tuple_, update
from sqlalchemy.ext.asyncio import AsyncConnection

from fhirbridge.adapters.store.dialect import insert_into
from fhirbridge.adapters.store.tables import effects, outbox, written
from fhirbridge.core.effects import AnyEffect
from fhirbridge.errors import Defect
from fhirbridge.ports import Delivery, Outgoing, Receipt, Subject, There

_PACK = msgspec.msgpack.Encoder()
_EFFECT: msgspec.msgpack.Decoder[AnyEffect] = msgspec.msgpack.Decoder(AnyEffect)
_JSON = msgspec.json.Encoder()
_OUTGOING = msgspec.json.Decoder(Outgoing)
_BATCH = 500

PENDING, DELIVERED, DEAD = "pending", "delivered", "dead"


async def append(connection: AsyncConnection, subject: Subject, done: Sequence[AnyEffect]) -> None:
    """Add effects after those the subject already has."""
    rows = [
        {
            "epr": subject.epr,
            "patient": subject.patient,
            "identity": effect.identity,
            "kind": str(effect.__struct_config__.tag),
            "at": effect.at,
            "effect": _PACK.encode(effect),
        }
        for effect in done
    ]
    if rows:
        await connection.execute(effects.insert(), rows)


async def effects_of(connection: AsyncConnection, subject: Subject) -> tuple[AnyEffect, ...]:
    """What the service did for the subject, in the order in which it was decided."""
    query = (
        select(effects.c.effect)
        .where(effects.c.epr == subject.epr, effects.c.patient == subject.patient)
        .order_by(effects.c.row)
    )
    return tuple(_EFFECT.decode(effect) for effect in (await connection.execute(query)).scalars())


async def references_of(connection: AsyncConnection, subject: Subject) -> dict[str, str]:
    """`Type/id` in the EPR of each identity that was delivered."""
    query = (
        select(written.c.identity, written.c.reference)
        .where(written.c.epr == subject.epr, written.c.patient == subject.patient)
        .order_by(written.c.identity)
    )
    return {row.identity: row.reference for row in await connection.execute(query)}


async def enqueue(
    connection: AsyncConnection, subject: Subject, outgoing: Sequence[Outgoing], decided_at: datetime
) -> None:
    """Add rows after those the subject already has."""
    rows = [
        {
            "epr": subject.epr,
            "patient": subject.patient,
            "identity": item.identity,
            "outgoing": _JSON.encode(item),
            "decided_at": decided_at,
            "state": PENDING,
        }
        for item in outgoing
    ]
    if rows:
        await connection.execute(outbox.insert(), rows)


async def creation_of(connection: AsyncConnection, subject: Subject, identity: str) -> Outgoing | None:
    """The row by which this was created, whatever became of it since."""
    mine = (outbox.c.epr == subject.epr, outbox.c.identity == identity)
    rows = (await connection.execute(select(outbox.c.outgoing).where(*mine).order_by(outbox.c.row))).scalars()
    return next((found for row in rows if (found := _OUTGOING.decode(row)).verb == "create"), None)


async def undelivered(
    connection: AsyncConnection, now: datetime, limit: int, eprs: Collection[str] | None
) -> list[Delivery]:
    """The oldest rows that may be tried, whole subjects at a time; of these EPRs where any are named."""
    before = outbox.alias("before")
    postponed = exists().where(
        before.c.state == PENDING,
        before.c.epr == outbox.c.epr,
        before.c.patient == outbox.c.patient,
        before.c.row <= outbox.c.row,
        before.c.not_before > now,
    )
    ready = [outbox.c.state == PENDING, ~postponed]
    if eprs is not None:
        ready.append(outbox.c.epr.in_(eprs))
    oldest = select(outbox.c.epr, outbox.c.patient).where(*ready).order_by(outbox.c.row).limit(limit).subquery()
    query = (
        select(outbox.c.row, outbox.c.epr, outbox.c.patient, outbox.c.outgoing, outbox.c.attempts)
        .where(*ready, tuple_(outbox.c.epr, outbox.c.patient).in_(select(oldest.c.epr, oldest.c.patient)))
        .order_by(outbox.c.row)
    )
    found = [
        Delivery(row=row, subject=Subject(epr, patient), outgoing=_OUTGOING.decode(item), attempts=attempts)
        for row, epr, patient, item, attempts in await connection.execute(query)
    ]
    return whole_subjects(found, limit)


def whole_subjects(found: Sequence[Delivery], limit: int) -> list[Delivery]:
    """All rows of the first subjects, as many subjects as fit into `limit` rows, but one at least."""
    sizes: dict[Subject, int] = {}
    for delivery in found:
        sizes[delivery.subject] = sizes.get(delivery.subject, 0) + 1
    chosen: set[Subject] = set()
    total = 0
    for subject, size in sizes.items():
        if chosen and total + size > limit:
            break
        chosen.add(subject)
        total += size
    return [delivery for delivery in found if delivery.subject in chosen]


def check_receipt(receipt: Receipt) -> None:
    """Raises `Defect` for a receipt that says neither where the resource is nor why it is not."""
    if not receipt.reference and not receipt.refused:
        raise Defect(f"the receipt for outbox row {receipt.row} has neither a reference nor a refusal")


async def settle(connection: AsyncConnection, receipts: Sequence[Receipt], now: datetime) -> None:
    """Record receipts. Rows are locked in the order of their numbers; those settled before stay as they are.

    Raises:
        Defect: a receipt for a row that does not exist, or one that says neither where nor why not.
    """
    by_row = {receipt.row: receipt for receipt in receipts}
    for receipt in by_row.values():
        check_receipt(receipt)
    query = (
        select(outbox.c.row, outbox.c.epr, outbox.c.patient, outbox.c.identity, outbox.c.state)
        .where(outbox.c.row.in_(by_row))
        .order_by(outbox.c.row)
        .with_for_update()
    )
    found = (await connection.execute(query)).all()
    if len(found) != len(by_row):
        missing = sorted(set(by_row) - {row.row for row in found})
        raise Defect(f"receipts for outbox rows that do not exist: {missing}")
    for row in found:
        if row.state == PENDING:
            await _settle_one(connection, Subject(row.epr, row.patient), row.identity, by_row[row.row], now)


async def _settle_one(
    connection: AsyncConnection, subject: Subject, identity: str, receipt: Receipt, now: datetime
) -> None:
    state = DEAD if receipt.refused else DELIVERED
    await connection.execute(
        update(outbox)
        .where(outbox.c.row == receipt.row)
        .values(
            state=state,
            attempts=outbox.c.attempts + 1,
            last_error=receipt.refused,
            outcome=_JSON.encode(receipt.outcome) if receipt.outcome else None,
            settled_at=now,
        )
    )
    if state == DELIVERED:
        for there in (There(identity, receipt.reference, receipt.version), *receipt.also):
            place = {"reference": there.reference, "version": there.version}
            await connection.execute(
                insert_into(connection, written)
                .values(epr=subject.epr, patient=subject.patient, identity=there.identity, unaudited_since=now, **place)
                .on_conflict_do_update(index_elements=["epr", "identity"], set_=place)
            )


async def postpone(connection: AsyncConnection, rows: Sequence[int], until: datetime, why: str) -> None:
    """Count an attempt and say when the next may be."""
    for start in range(0, len(rows), _BATCH):
        chosen = outbox.c.row.in_(sorted(rows)[start : start + _BATCH])
        await connection.execute(select(outbox.c.row).where(chosen).order_by(outbox.c.row).with_for_update())
        await connection.execute(
            update(outbox)
            .where(chosen, outbox.c.state == PENDING)
            .values(attempts=outbox.c.attempts + 1, not_before=until, last_error=why)
        )
