"""Copies of what was delivered to an EPR as itself, kept among the versions of the worklist, whose way is `copy`.

Staff work on these in the EPR; nobody completes them here. Statements on a connection that the caller opened: a copy is
made in the transaction that records the delivery, and follows the EPR in the one that keeps its versions.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime

import msgspec
from msgspec import Struct
from sqlalchemy import func, select, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection

from fhirbridge.adapters.store import outbox, tables
from fhirbridge.adapters.store.version_key import version_key
from fhirbridge.adapters.store.worklist import put
from fhirbridge.core.effects import Kind
from fhirbridge.core.facts import Message, OwnFlag, Plan, Task
from fhirbridge.fhir import copies
from fhirbridge.fhir.copies import COPY
from fhirbridge.fhir.linking import pointed, write_code
from fhirbridge.fhir.worklist import listed_id
from fhirbridge.ports import Outgoing, Placing, Receipt, Resource, Subject, Version

_BATCH = 500
_TYPES = (*(kind.value for kind in Kind), "Provenance")
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
    told = [(Subject(row.epr, row.patient), by_row[row.row], _OUTGOING.decode(row.outgoing)) for row in rows]
    places = {subject: await outbox.references_of(connection, subject) for subject, _, _ in told}
    for subject, receipt, outgoing in told:
        places[subject][outgoing.identity] = receipt.reference
    native = [(subject, outgoing) for subject, receipt, outgoing in told if stands_there(subject, outgoing, receipt)]
    ids = {(s.epr, one) for s, outgoing in native for one in (outgoing.identity, write_code(outgoing.provenance))}
    await _lock(connection, {subject for subject, _ in native})
    current = await _current(connection, ids)
    for subject, outgoing in native:
        before = current.get(listed_id(subject.epr, outgoing.identity))
        if before is not None and before.way != COPY:
            continue
        taken = listed_id(subject.epr, write_code(outgoing.provenance)) in current
        for placing in placings(outgoing, before, places[subject], taken):
            await put(connection, subject, placing, now)
            name = listed_id(subject.epr, placing.identity)
            current[name] = Current(placing.way, placing.based_on + 1, placing.resource)


class Current(Struct, frozen=True):
    """The current version of a thing: its way, number and content."""

    way: str
    version: int
    resource: Resource


def stands_there(subject: Subject, outgoing: Outgoing, receipt: Receipt) -> bool:
    """Whether it was delivered as itself: neither carried by another type, nor put on the service's own worklist."""
    kind, _, identity = receipt.reference.partition("/")
    return kind == outgoing.type and identity != listed_id(subject.epr, outgoing.identity)


def placings(outgoing: Outgoing, before: Current | None, places: Mapping[str, str], taken: bool) -> list[Placing]:
    """The versions that a delivered row adds: of the thing on top of `before`, and of the Provenance unless `taken`."""
    number, resource = (before.version, before.resource) if before else (0, None)
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


async def heard(connection: AsyncConnection, epr: str, versions: Sequence[Version], now: datetime) -> None:
    """Lay what these versions, which are not kept yet, say of the service's own things over their copies."""
    own = [(version, identity) for version in versions if (identity := own_identity(version))]
    if not own:
        return
    await _lock(connection, {Subject(epr, version.fact.patient) for version, _ in own})
    current = await _current(connection, {(epr, identity) for _, identity in own})
    for version, identity in sorted(own, key=lambda one: one[0].fact.known):
        fact, name = version.fact, listed_id(epr, identity)
        before = current.get(name)
        if before is None or before.way != COPY or before.resource["resourceType"] != fact.source.type:
            continue
        if not await _is_newest(connection, epr, version):
            continue
        after = copies.heard(before.resource, version.resource, erased=fact.erased)
        if after is not before.resource:
            placing = Placing(identity=identity, resource=after, based_on=before.version, way=COPY, notice=identity)
            await put(connection, Subject(epr, fact.patient), placing, now)
            current[name] = Current(COPY, placing.based_on + 1, after)


def own_identity(version: Version) -> str:
    """The identity of the thing of the service's that this version tells of; "" where it is none."""
    fact = version.fact
    return (fact.obligation or "") if isinstance(fact, Task | Message | Plan | OwnFlag) else ""


async def _lock(connection: AsyncConnection, about: Collection[Subject]) -> None:
    """Have what else is done for these patients wait: a copy is read here, and written on top of what was read."""
    named = sorted((subject.epr, subject.patient) for subject in about)
    of = tables.subjects
    for start in range(0, len(named), _BATCH):
        mine = tuple_(of.c.epr, of.c.patient).in_(named[start : start + _BATCH])
        await connection.execute(select(of.c.patient).where(mine).order_by(of.c.epr, of.c.patient).with_for_update())


async def _current(connection: AsyncConnection, things: Collection[tuple[str, str]]) -> dict[str, Current]:
    """The current versions of these things, each an EPR and an identity, by their id in the view."""
    listed = tables.worklist
    names = sorted({listed_id(epr, identity) for epr, identity in things if identity})
    found: dict[str, Current] = {}
    for start in range(0, len(names), _BATCH):
        query = select(listed.c.id, listed.c.way, listed.c.version, listed.c.resource).where(
            listed.c.current, listed.c.type.in_(_TYPES), listed.c.id.in_(names[start : start + _BATCH])
        )
        for row in await connection.execute(query):
            found[row.id] = Current(row.way, row.version, msgspec.json.decode(row.resource))
    return found


async def _is_newest(connection: AsyncConnection, epr: str, version: Version) -> bool:
    """Whether nothing later is kept of the resource, nor this very version."""
    fact, kept = version.fact, tables.versions
    mine = (kept.c.epr == epr, kept.c.type == fact.source.type, kept.c.id == fact.source.id)
    latest = (await connection.execute(select(func.max(kept.c.known)).where(*mine))).scalar()
    if latest is None or latest < fact.known:
        return True
    same = select(kept.c.row).where(*mine, kept.c.version == version_key(version))
    return latest == fact.known and (await connection.execute(same)).first() is None
