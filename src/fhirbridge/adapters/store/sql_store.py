"""`ports.Store` over one database: each method is one transaction."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import datetime, timedelta
from uuid import uuid4

from sqlalchemy import delete, select

from fhirbridge.adapters.store import copies, dispatches, inbox, outbox, schema, subjects, unread
from fhirbridge.adapters.store.audit import SqlAudit
from fhirbridge.adapters.store.database import Database
from fhirbridge.adapters.store.dead_letters import SqlDeadLetters
from fhirbridge.adapters.store.doubles import SqlDoubles
from fhirbridge.adapters.store.gaps import SqlGaps, open_at
from fhirbridge.adapters.store.group_commit import GroupCommit
from fhirbridge.adapters.store.kept import SqlKept
from fhirbridge.adapters.store.merges import SqlMerges, naming
from fhirbridge.adapters.store.own_writes import SqlOwnWrites
from fhirbridge.adapters.store.retention import SqlRetention
from fhirbridge.adapters.store.tables import subscriptions
from fhirbridge.adapters.store.worklist import SqlWorklist
from fhirbridge.core.effects import AnyEffect
from fhirbridge.ports import (
    Arrival,
    Delivery,
    Event,
    Known,
    Outgoing,
    Reading,
    Receipt,
    Remapped,
    Revision,
    Subject,
    Subscribed,
    Version,
)

LEASE = timedelta(seconds=60)
"""How long a worker that went silent keeps its subject from the others."""


async def open_store(url: str, *, lease: timedelta = LEASE) -> SqlStore:
    """The store at `sqlite:///FILE` or `postgresql://…`, its schema created or brought up to date.

    Raises:
        ConfigurationError: not such a URL, a file that cannot be made, or a schema of a newer fhirbridge.
        StoreUnavailable: the database does not answer.
    """
    database = Database(url)
    try:
        async with database.writing() as connection:
            await connection.run_sync(schema.migrate, database.where)
    except BaseException:
        await database.close()
        raise
    return SqlStore(database, lease=lease)


class SqlStore:
    """The durable `ports.Store`. Belongs to the event loop it was opened in; `close` it.

    Every method raises `StoreUnavailable` when the database is away, busy or full; nothing of the call was done then.
    """

    def __init__(self, database: Database, *, lease: timedelta = LEASE) -> None:
        self._database = database
        self._lease = lease
        self._inbox = GroupCommit[inbox.Row](self._add)
        self.gaps = SqlGaps(database)
        self.merges = SqlMerges(database)
        self.worklist = SqlWorklist(database)
        self.dead_letters = SqlDeadLetters(database)
        self.doubles = SqlDoubles(database)
        self.retention = SqlRetention(database)
        self.audit = SqlAudit(database)
        self.kept = SqlKept(database)
        self.unread = unread.SqlUnread(database)
        self.own = SqlOwnWrites(database)
        self.dispatches = dispatches.SqlDispatches(database)

    async def close(self) -> None:
        """Finish what was accepted and give all connections back."""
        await self._inbox.close()
        await self._database.close()

    async def accept(self, epr: str, events: Sequence[Event], received: datetime) -> None:
        """Make events durable, in one transaction with those of other callers.

        Raises:
            SenderError: an event's type, id or version is not printable ASCII.
        """
        rows = [inbox.arrival_row(epr, event, received) for event in events]
        if rows:
            await self._inbox.add(rows)

    async def _add(self, rows: Sequence[inbox.Row]) -> None:
        async with self._database.writing() as connection:
            await inbox.add(connection, rows)

    async def waiting(self, limit: int, eprs: Collection[str] | None = None) -> list[Arrival]:
        """The oldest events not yet digested, of these EPRs alone where any are named."""
        async with self._database.reading() as connection:
            return await inbox.oldest(connection, limit, eprs)

    async def keep(self, epr: str, versions: Sequence[Version], digested: Sequence[int], now: datetime) -> None:
        """Keep versions that are new, make their patients due now, close the inbox rows."""
        fit = [one for one in versions if not one.unfit]
        async with self._database.writing() as connection:
            await inbox.close(connection, digested, now)
            await copies.heard(connection, epr, fit, now)
            news = await inbox.add_versions(connection, epr, fit, now)
            await unread.note(connection, epr, versions)
            await subjects.tell_news(connection, news, now)

    async def remap(self, epr: str, reading: Reading, now: datetime) -> Remapped:
        """Read every kept version of the EPR again, and make those due now about whom it says something else."""
        about: set[Subject] = set()
        done = Remapped()
        last = 0
        while True:
            async with self._database.writing() as connection:
                batch = await inbox.reread_versions(connection, epr, reading, after=last)
                await unread.note(connection, epr, batch.doubtful)
                await subjects.tell_news(connection, batch.about, now)
            if not batch.versions:
                return done
            last = batch.last
            about |= batch.about
            done = Remapped(
                versions=done.versions + batch.versions, changed=done.changed + batch.changed, subjects=len(about)
            )

    async def last(self, epr: str, reference: str) -> Version | None:
        """The version of `Type/id` that became known last, of those kept."""
        async with self._database.reading() as connection:
            return await inbox.last_version(connection, epr, reference)

    async def has_seen(self, subject: Subject) -> bool:
        """Whether any version about this patient has been kept."""
        async with self._database.reading() as connection:
            return await inbox.any_about(connection, subject)

    async def due(self, now: datetime, limit: int, eprs: Collection[str] | None = None) -> list[Subject]:
        """Subjects whose timer is due and that nobody holds, longest overdue first; of these EPRs if any are named."""
        async with self._database.reading() as connection:
            return await subjects.due(connection, now, limit, eprs)

    async def next_due(self) -> datetime | None:
        """When `due` has something to give."""
        async with self._database.reading() as connection:
            return await subjects.next_due(connection)

    def lease(self, subject: Subject, now: datetime) -> AbstractAsyncContextManager[bool]:
        """Hold the subject for oneself; False when another worker holds it."""
        return self._leased(subject, now)

    @asynccontextmanager
    async def _leased(self, subject: Subject, now: datetime) -> AsyncIterator[bool]:
        holder = uuid4().hex
        async with self._database.writing() as connection:
            held = await subjects.hold(connection, subject, holder, now, now + self._lease)
        try:
            yield held
        finally:
            if held:
                async with self._database.writing() as connection:
                    await subjects.let_go(connection, subject, holder)

    async def load(self, subject: Subject) -> Known:
        """Everything known about the subject, as of one moment."""
        async with self._database.reading() as connection:
            return Known(
                facts=await inbox.facts_about(connection, subject),
                effects=await outbox.effects_of(connection, subject),
                references=await outbox.references_of(connection, subject),
                revision=await subjects.revision(connection, subject),
                gaps=tuple(await open_at(connection, subject.epr)),
                links=await naming(connection, subject.epr, [subject.patient]),
            )

    async def commit(
        self,
        subject: Subject,
        *,
        effects: Sequence[AnyEffect],
        outgoing: Sequence[Outgoing],
        wakes_at: datetime | None,
        decided_at: datetime,
        revision: Revision,
    ) -> None:
        """Append effects, fill the outbox, set the timer.

        Raises:
            Overtaken: another worker took the subject since it was loaded.
        """
        async with self._database.writing() as connection:
            await subjects.decided(connection, subject, wakes_at, revision)
            await outbox.append(connection, subject, effects)
            await outbox.enqueue(connection, subject, outgoing, decided_at)
            await dispatches.follow(connection, subject, effects)

    async def undelivered(self, now: datetime, limit: int, eprs: Collection[str] | None = None) -> list[Delivery]:
        """Outbox rows that may be tried now, in the order they were decided; of these EPRs where any are named."""
        async with self._database.reading() as connection:
            return await outbox.undelivered(connection, now, limit, eprs)

    async def delivered(self, receipts: Sequence[Receipt], now: datetime) -> None:
        """Record what the EPR made of them; refused ones become dead letters."""
        async with self._database.writing() as connection:
            await copies.delivered(connection, receipts, now)
            await outbox.settle(connection, receipts, now)

    async def postpone(self, rows: Sequence[int], until: datetime, why: str) -> None:
        """Try these rows again not before `until`; counts one attempt more."""
        async with self._database.writing() as connection:
            await outbox.postpone(connection, rows, until, why)

    async def subscriptions(self, epr: str) -> list[Subscribed]:
        """What the service has registered at this EPR."""
        query = select(subscriptions).where(subscriptions.c.epr == epr).order_by(subscriptions.c.criteria)
        async with self._database.reading() as connection:
            return [Subscribed(**row) for row in (await connection.execute(query)).mappings()]

    async def subscribed(self, subscription: Subscribed) -> None:
        """Remember a registration; replaces the one with the same EPR and criteria."""
        same = (
            subscriptions.c.epr == subscription.epr,
            subscriptions.c.criteria == subscription.criteria,
        )
        row = {name: getattr(subscription, name) for name in subscription.__struct_fields__}
        async with self._database.writing() as connection:
            await connection.execute(delete(subscriptions).where(*same))
            await connection.execute(subscriptions.insert().values(row))
