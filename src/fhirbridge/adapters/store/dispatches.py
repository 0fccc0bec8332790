"""`channels.Dispatches` over one database: each method is one transaction, and keeps what it learns as effects too."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID, uuid5

import msgspec
from sqlalchemy import ColumnElement, and_, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from fhirbridge.adapters.store import inbox, outbox, subjects
from fhirbridge.adapters.store.database import Database
from fhirbridge.adapters.store.dialect import insert_into
from fhirbridge.adapters.store.tables import dispatches
from fhirbridge.channels import Dispatch, Sent, Told
from fhirbridge.core.deliveries import Recipient, Report
from fhirbridge.core.effects import Addressed, AnyEffect, HandedOver, Reported, Unaddressed, Withdrawn
from fhirbridge.ports import Resource, Subject

NOBODY, WAITING, CLAIMED, SENT, REFUSED, STOPPED = "nobody", "waiting", "claimed", "sent", "refused", "stopped"

ON_ITS_WAY = frozenset({Report.HANDED_OVER, Report.ACCEPTED})
"""Reports after which the channel itself has still something to say."""

_KEYS = UUID("0d9e5f0c-6a39-5c4e-8b1d-7f3a2c9b4e15")
"""Namespace of the keys of dispatches; never changes."""
_ADDRESS = msgspec.json.Encoder()
_RECIPIENT = msgspec.json.Decoder(Recipient)


def key_of(epr: str, identity: str, recipient: str) -> str:
    """The key of a dispatch: a UUID derived from what it is."""
    return str(uuid5(_KEYS, "\n".join((epr, identity, recipient))))


class SqlDispatches:
    """The durable `channels.Dispatches`; errors as for the store that it belongs to."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def to_send(self, now: datetime, limit: int) -> list[Dispatch]:
        """Dispatches that may be sent now, oldest first."""
        waits = dispatches.c.not_before
        query = (
            select(dispatches)
            .where(_is_free(now), or_(waits.is_(None), waits <= now))
            .order_by(dispatches.c.row)
            .limit(limit)
        )
        async with self._database.reading() as connection:
            rows = (await connection.execute(query)).mappings().all()
            return [await _dispatch(connection, row) for row in rows]

    async def claim(self, row: int, now: datetime, until: datetime) -> bool:
        """Take it for oneself until then."""
        async with self._database.writing() as connection:
            taken = await connection.execute(
                update(dispatches)
                .where(dispatches.c.row == row, _is_free(now))
                .values(state=CLAIMED, claimed_until=until)
            )
            return taken.rowcount == 1

    async def handed_over(self, row: int, reference: str, told: Sequence[Told], now: datetime) -> None:
        """Keep that it was handed over, and what was reported with that."""
        settled = any(each.report not in ON_ITS_WAY for each in told)
        values = {"state": SENT, "reference": reference, "sent_at": now, "settled": settled}
        async with self._database.writing() as connection:
            found = await _taken(connection, row, values)
            if found is not None:
                sent = HandedOver(identity=found.identity, at=now, recipient=found.recipient)
                more = (reported(found.identity, found.recipient, each, now) for each in told)
                await _tell(connection, Subject(found.epr, found.patient), (sent, *more), now)

    async def undeliverable(self, row: int, why: str, now: datetime) -> None:
        """Keep that its channel refuses it for good."""
        async with self._database.writing() as connection:
            found = await _taken(connection, row, {"state": REFUSED, "last_error": why, "settled": True})
            if found is not None:
                told = Told(about=found.key, report=Report.UNDELIVERABLE, happened=now, says=why)
                effect = reported(found.identity, found.recipient, told, now)
                await _tell(connection, Subject(found.epr, found.patient), (effect,), now)

    async def put_off(self, row: int, until: datetime, why: str) -> None:
        """Give the claim back and try again not before `until`."""
        values: dict[str, Any] = {"attempts": dispatches.c.attempts + 1, "not_before": until, "last_error": why}
        async with self._database.writing() as connection:
            await connection.execute(
                update(dispatches)
                .where(dispatches.c.row == row, dispatches.c.state.in_((WAITING, CLAIMED)))
                .values(state=WAITING, claimed_until=None, **values)
            )

    async def awaiting(self, channel: str, limit: int) -> list[Sent]:
        """What was handed over to this channel, and of which it may have more to say, oldest first."""
        query = (
            select(dispatches.c.key, dispatches.c.reference, dispatches.c.sent_at)
            .where(dispatches.c.channel == channel, dispatches.c.state == SENT, dispatches.c.settled.is_(False))
            .order_by(dispatches.c.row)
            .limit(limit)
        )
        async with self._database.reading() as connection:
            rows = await connection.execute(query)
            return [Sent(key=row.key, reference=row.reference, since=row.sent_at) for row in rows]

    async def report(self, channel: str, told: Told, now: datetime, *, sender: str = "") -> bool:
        """Keep the report as an effect, once; False when nothing of the channel, or of the sender, is called that."""
        called = or_(dispatches.c.key == told.about, dispatches.c.reference == told.about)
        query = select(dispatches).where(dispatches.c.channel == channel, called).order_by(dispatches.c.row).limit(1)
        async with self._database.writing() as connection:
            found = (await connection.execute(query.with_for_update())).one_or_none()
            if found is None or not told.about or not is_from(sender, _RECIPIENT.decode(found.address)):
                return False
            if told.report not in ON_ITS_WAY:
                await connection.execute(update(dispatches).where(dispatches.c.row == found.row).values(settled=True))
            subject = Subject(found.epr, found.patient)
            effect = reported(found.identity, found.recipient, told, now)
            if not has_been_told(effect, await outbox.effects_of(connection, subject)):
                await _tell(connection, subject, (effect,), now)
            return True

    async def look_again(self, now: datetime) -> int:
        """Make everybody due of whom a Communication has no recipient yet."""
        query = select(dispatches.c.epr, dispatches.c.patient).where(dispatches.c.state == NOBODY).distinct()
        async with self._database.writing() as connection:
            about = {Subject(epr, patient) for epr, patient in await connection.execute(query)}
            await subjects.tell_news(connection, about, now)
            return len(about)


async def follow(connection: AsyncConnection, subject: Subject, effects: Sequence[AnyEffect]) -> None:
    """Make, and stop, the dispatches that these effects call for, in the transaction that keeps them."""
    found = [e.identity for e in effects if isinstance(e, Addressed) or (isinstance(e, HandedOver) and not e.recipient)]
    withdrawn = [effect.identity for effect in effects if isinstance(effect, Withdrawn)]
    for identities, states in ((found, (NOBODY,)), (withdrawn, (NOBODY, WAITING))):
        if identities:
            mine = (dispatches.c.epr == subject.epr, dispatches.c.identity.in_(identities))
            which = (*mine, dispatches.c.state.in_(states))
            await connection.execute(update(dispatches).where(*which).values(state=STOPPED))
    for effect in effects:
        if isinstance(effect, Addressed):
            await _make(connection, subject, effect.identity, effect.to, WAITING)
        elif isinstance(effect, Unaddressed):
            nobody = Recipient(name="", shown="", role="", channel="")
            await _make(connection, subject, effect.identity, nobody, NOBODY)


def reported(identity: str, recipient: str, told: Told, now: datetime) -> Reported:
    """The report as an effect; what is said to happen in the future has happened by now."""
    return Reported(
        identity=identity,
        at=now,
        recipient=recipient,
        report=told.report,
        happened=min(told.happened, now),
        code=told.code,
        says=told.says,
    )


def has_been_told(effect: Reported, before: Sequence[AnyEffect]) -> bool:
    """Whether the very same was reported already."""
    same = (each for each in before if isinstance(each, Reported) and each.identity == effect.identity)
    return any(
        (each.recipient, each.report, each.happened, each.code, each.says)
        == (effect.recipient, effect.report, effect.happened, effect.code, effect.says)
        for each in same
    )


def is_from(sender: str, to: Recipient) -> bool:
    """Whether `sender`, an endpoint, is whom it was sent to; an unnamed one vouches for itself."""
    return not sender or to.endpoint.rstrip("/") == sender.rstrip("/")


def _is_free(now: datetime) -> ColumnElement[bool]:
    over = and_(dispatches.c.state == CLAIMED, dispatches.c.claimed_until <= now)
    return or_(dispatches.c.state == WAITING, over)


async def _dispatch(connection: AsyncConnection, row: Any) -> Dispatch:
    subject = Subject(row["epr"], row["patient"])
    person = await inbox.last_version(connection, subject.epr, subject.patient)
    return Dispatch(
        row=row["row"],
        key=row["key"],
        epr=subject.epr,
        patient=subject.patient,
        identity=row["identity"],
        recipient=_RECIPIENT.decode(row["address"]),
        communication=await _communication(connection, subject, row["identity"]),
        attempts=row["attempts"],
        person=person.resource if person is not None else None,
    )


async def _communication(connection: AsyncConnection, subject: Subject, identity: str) -> Resource:
    created = await outbox.creation_of(connection, subject, identity)
    return created.resource if created is not None else {}


async def _make(connection: AsyncConnection, subject: Subject, identity: str, to: Recipient, state: str) -> None:
    insert = insert_into(connection, dispatches).values(
        key=key_of(subject.epr, identity, to.name),
        epr=subject.epr,
        patient=subject.patient,
        identity=identity,
        recipient=to.name,
        channel=to.channel,
        address=_ADDRESS.encode(to),
        state=state,
    )
    await connection.execute(insert.on_conflict_do_nothing(index_elements=["epr", "identity", "recipient"]))


async def _taken(connection: AsyncConnection, row: int, values: dict[str, Any]) -> Any:
    """The row, changed so; None when somebody else has brought it to its end meanwhile."""
    query = select(dispatches).where(dispatches.c.row == row, dispatches.c.state.in_((WAITING, CLAIMED)))
    found = (await connection.execute(query.with_for_update())).one_or_none()
    if found is not None:
        await connection.execute(
            update(dispatches).where(dispatches.c.row == row).values(**values, attempts=dispatches.c.attempts + 1)
        )
    return found


async def _tell(connection: AsyncConnection, subject: Subject, effects: Sequence[AnyEffect], now: datetime) -> None:
    await outbox.append(connection, subject, effects)
    await subjects.tell_news(connection, (subject,), now)
