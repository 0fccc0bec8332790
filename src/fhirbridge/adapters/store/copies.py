"""Copies of what was delivered to an EPR as itself, kept among the versions of the worklist, whose way is `copy`.

Staff work on these in the EPR; nobody completes them here. Statements on a connection that the caller opened: a copy is
made in the transaction that records the delivery, and follows the EPR in the one that keeps its versions.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

import msgspec
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from fhirbridge.adapters.store import outbox, tables
from fhirbridge.adapters.store.version_key import version_key
from fhirbridge.adapters.store.worklist import put
from fhirbridge.core.facts import Message, OwnFlag, Plan, Task
from fhirbridge.fhir import copies
from fhirbridge.fhir.copies import COPY
from fhirbridge.fhir.linking import pointed, write_code
from fhirbridge.fhir.worklist import listed_id
from fhirbridge.ports import Outgoing, Placing, Receipt, Resource, Subject, Version

_OUTGOING = msgspec.json.Decoder(Outgoing)


async def delivered(connection: AsyncConnection, receipts: Sequence[Receipt], now: datetime) -> None:
    """Copy what these receipts, which are not settled yet, say to stand in the EPR as itself."""
    by_row = {receipt.row: receipt for receipt in receipts if receipt.reference}
    query = (
        select(tables.outbox.c.row, tables.outbox.c.epr, tables.outbox.c.patient, tables.outbox.c.outgoing)
        .where(tables.outbox.c.row.in_(by_row), tables.outbox.c.state == outbox.PENDING)
        .order_by(tables.outbox.c.row)
    )
    rows = (await connection.execute(query)).all()
    places: dict[Subject, dict[str, str]] = {}
    decoded = [(Subject(row.epr, row.patient), by_row[row.row], _OUTGOING.decode(row.outgoing)) for row in rows]
    for subject, receipt, outgoing in decoded:
        if subject not in places:
            places[subject] = await outbox.references_of(connection, subject)
        places[subject][outgoing.identity] = receipt.reference
    for subject, receipt, outgoing in decoded:
        if stands_there(subject, outgoing, receipt):
            await _copy(connection, subject, outgoing, places[subject], now)


def stands_there(subject: Subject, outgoing: Outgoing, receipt: Receipt) -> bool:
    """Whether it was delivered as itself: neither carried by another type, nor put on the service's own worklist."""
    kind, _, identity = receipt.reference.partition("/")
    return kind == outgoing.type and identity != listed_id(subject.epr, outgoing.identity)


def placings(
    outgoing: Outgoing, before: tuple[int, Resource] | None, places: Mapping[str, str], taken: bool
) -> list[Placing]:
    """The versions that a delivered row adds: of the thing on top of `before`, and of the Provenance unless `taken`."""
    number, resource = before or (0, None)
    made = []
    after = copies.written(resource, outgoing, pointed(outgoing.resource, places))
    if after is not None and after != resource:
        made.append(
            Placing(identity=outgoing.identity, resource=after, based_on=number, way=COPY, notice=outgoing.identity)
        )
    code = write_code(outgoing.provenance)
    if code and not taken:
        told = pointed(outgoing.provenance, places)
        made.append(Placing(identity=code, resource=told, way=COPY, notice=code, write=code))
    return made


async def _copy(
    connection: AsyncConnection, subject: Subject, outgoing: Outgoing, places: Mapping[str, str], now: datetime
) -> None:
    code = write_code(outgoing.provenance)
    before = await _current(connection, subject.epr, outgoing.type, outgoing.identity)
    taken = bool(code) and await _current(connection, subject.epr, "Provenance", code) is not None
    if before is not None and before[0] != COPY:
        return
    for placing in placings(outgoing, before[1:] if before else None, places, taken):
        await put(connection, subject, placing, now)


async def heard(connection: AsyncConnection, epr: str, versions: Sequence[Version], now: datetime) -> None:
    """Lay what these versions, which are not kept yet, say of the service's own things over their copies."""
    for version in sorted(versions, key=lambda one: one.fact.known):
        fact = version.fact
        identity = own_identity(version)
        if not identity or not await _is_newest(connection, epr, version):
            continue
        before = await _current(connection, epr, fact.source.type, identity)
        if before is None or before[0] != COPY:
            continue
        after = copies.heard(before[2], version.resource, erased=fact.erased)
        if after is not before[2]:
            subject = Subject(epr, fact.patient)
            await put(
                connection,
                subject,
                Placing(identity=identity, resource=after, based_on=before[1], way=COPY, notice=identity),
                now,
            )


def own_identity(version: Version) -> str:
    """The identity of the thing of the service's that this version tells of; "" where it is none."""
    fact = version.fact
    return (fact.obligation or "") if isinstance(fact, Task | Message | Plan | OwnFlag) else ""


async def _current(connection: AsyncConnection, epr: str, kind: str, identity: str) -> tuple[str, int, Resource] | None:
    """Way, number and content of the current version of this thing; None where there is none."""
    listed = tables.worklist
    query = select(listed.c.way, listed.c.version, listed.c.resource).where(
        listed.c.current, listed.c.type == kind, listed.c.id == listed_id(epr, identity)
    )
    row = (await connection.execute(query)).one_or_none()
    return (row.way, row.version, msgspec.json.decode(row.resource)) if row else None


async def _is_newest(connection: AsyncConnection, epr: str, version: Version) -> bool:
    """Whether nothing later is kept of the resource, nor this very version."""
    fact, kept = version.fact, tables.versions
    mine = (kept.c.epr == epr, kept.c.type == fact.source.type, kept.c.id == fact.source.id)
    latest = (await connection.execute(select(func.max(kept.c.known)).where(*mine))).scalar()
    if latest is None or latest < fact.known:
        return True
    same = select(kept.c.row).where(*mine, kept.c.version == version_key(version))
    return latest == fact.known and (await connection.execute(same)).first() is None
