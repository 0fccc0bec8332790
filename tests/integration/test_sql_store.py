"""What only a database can do: keep, migrate, fail."""

from __future__ import annotations

import logging
import sqlite3
import stat
import traceback
from contextlib import closing
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection

from fhirbridge.adapters.store import open_store
from fhirbridge.adapters.store.database import Database
from fhirbridge.adapters.store.tables import Instant, metadata
from fhirbridge.core.facts import Person, Source
from fhirbridge.errors import ConfigurationError, Defect, StoreUnavailable
from fhirbridge.ports import Event, Outgoing, Receipt, Subject, Version
from tests.servers.postgres import fresh_database

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
ANN = Subject("epr", "Patient/ann")
EVENT = Event(type="Appointment", id="a", resource={"resourceType": "Appointment"})


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'folder' / 'store.db'}"
    return fresh_database(request.getfixturevalue("postgres_url"))


def version_of(patient: str) -> Version:
    fact = Person(source=Source("Patient", patient.partition("/")[2], "1"), known=NOON, patient=patient)
    return Version(fact=fact, resource={"resourceType": "Patient", "name": [{"family": "Featherstonehaugh"}]})


async def test_everything_is_there_after_a_restart(url: str) -> None:
    store = await open_store(url)
    await store.accept("epr", [EVENT], NOON)
    await store.keep("epr", [version_of(ANN.patient)], [], NOON)
    seen = await store.load(ANN)
    row = Outgoing(identity="i", type="Task", verb="create", resource={}, provenance={})
    await store.commit(ANN, effects=[], outgoing=[row, row], wakes_at=NOON, decided_at=NOON, revision=seen.revision)
    first, second = await store.undelivered(NOON, 10)
    await store.delivered([Receipt(row=first.row, reference="Task/1")], NOON)
    before = await store.load(ANN)
    await store.close()

    again = await open_store(url)
    assert await again.load(ANN) == before
    assert [arrival.event for arrival in await again.waiting(10)] == [EVENT]
    assert await again.due(NOON, 10) == [ANN]
    assert await again.undelivered(NOON, 10) == [second]
    await again.close()


async def test_the_migrations_make_the_tables_that_the_code_uses(url: str) -> None:
    def differences(connection: Connection) -> list[object]:
        context = MigrationContext.configure(connection, opts={"compare_server_default": True})
        return list(compare_metadata(context, metadata))

    await (await open_store(url)).close()
    database = Database(url)
    async with database.reading() as connection:
        assert await connection.run_sync(differences) == []
    await database.close()


async def test_a_schema_of_a_newer_version_is_refused_untouched(url: str) -> None:
    await (await open_store(url)).close()
    database = Database(url)
    async with database.writing() as connection:
        await connection.execute(sa.text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(ConfigurationError, match=r"has schema 9999, this fhirbridge knows schemas up to \d+: upgrade"):
        await open_store(url)
    async with database.reading() as connection:
        assert await connection.scalar(sa.text("SELECT version_num FROM alembic_version")) == "9999"
    await database.close()


async def test_two_stores_over_one_database_share_what_they_know(url: str) -> None:
    one, other = await open_store(url), await open_store(url)
    async with one.lease(ANN, NOON) as mine, other.lease(ANN, NOON) as theirs:
        assert (mine, theirs) == (True, False)
    await one.accept("epr", [EVENT], NOON)
    await other.accept("epr", [EVENT], NOON)
    assert len(await one.waiting(10)) == 2
    await one.close()
    await other.close()


async def test_a_refused_statement_is_reported_without_its_values(url: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    store = await open_store(url)
    await store.keep("epr", [version_of(ANN.patient)], [], NOON)
    assert await store.due(NOON, 10) == [ANN]
    await store.close()
    database = Database(url)
    same_again = metadata.tables["subjects"].insert().values(epr="epr", patient=ANN.patient)
    with pytest.raises(Defect) as refused:
        async with database.writing() as connection:
            await connection.execute(same_again)
    await database.close()
    told = "".join(traceback.format_exception(refused.value)) + caplog.text
    assert "IntegrityError" in str(refused.value) or "UniqueViolation" in str(refused.value)
    assert ANN.patient not in told


async def test_the_refused_row_is_kept_with_the_reason(url: str) -> None:
    store = await open_store(url)
    row = Outgoing(identity="i", type="Task", verb="create", resource={"id": "x"}, provenance={})
    seen = await store.load(ANN)
    await store.commit(ANN, effects=[], outgoing=[row], wakes_at=None, decided_at=NOON, revision=seen.revision)
    [delivery] = await store.undelivered(NOON, 1)
    await store.delivered([Receipt(row=delivery.row, refused="422: no such code")], NOON)
    await store.postpone([delivery.row], NOON, "503: another worker that came late")
    await store.close()

    database = Database(url)
    outbox = metadata.tables["outbox"]
    async with database.reading() as connection:
        dead = (await connection.execute(sa.select(outbox))).one()
    assert (dead.state, dead.last_error, dead.settled_at) == ("dead", "422: no such code", NOON)
    assert b'"id":"x"' in dead.outgoing
    await database.close()


async def test_sqlite_waits_for_the_disk_and_only_its_owner_reads_it(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "down" / "store.db"
    database = Database(f"sqlite:///{path}")
    async with database.writing() as connection:
        assert await connection.scalar(sa.text("PRAGMA journal_mode")) == "wal"
        assert await connection.scalar(sa.text("PRAGMA synchronous")) == 2
    await database.close()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


async def test_a_database_that_is_locked_can_be_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fhirbridge.adapters.store.database._BUSY_SECONDS", 0)
    path = tmp_path / "store.db"
    store = await open_store(f"sqlite:///{path}")
    with closing(sqlite3.connect(path, isolation_level=None)) as blocker:
        blocker.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreUnavailable, match="SQLITE_BUSY") as refused:
            await store.accept("epr", [EVENT], NOON)
        assert refused.value.transient
        blocker.execute("ROLLBACK")
    assert await store.waiting(10) == []
    await store.accept("epr", [EVENT], NOON)
    assert len(await store.waiting(10)) == 1
    await store.close()


async def test_a_database_that_is_away_can_be_tried_again(tmp_path: Path) -> None:
    with pytest.raises(StoreUnavailable, match="OperationalError") as refused:
        await open_store(f"postgresql://me:hunter2@/nothing?host={tmp_path}")
    assert "hunter2" not in str(refused.value)


async def test_a_file_that_is_no_database_is_not_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "letter.txt"
    path.write_text("Dear Sir, " * 1000)
    with pytest.raises(Defect, match="SQLITE_NOTADB"):
        await open_store(f"sqlite:///{path}")
    assert path.read_text().startswith("Dear Sir")


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ("nonsense", "not a database URL"),
        ("sqlite://", "needs a file"),
        ("sqlite:///:memory:", "needs a file"),
        ("mysql://localhost/x", "mysql is not supported"),
        ("sqlite:////proc/nothing/store.db", "cannot make"),
    ],
)
async def test_a_url_that_cannot_work_says_why(bad: str, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        await open_store(bad)


async def test_instants_sort_and_come_back_whatever_their_zone(url: str) -> None:
    table = sa.Table("instants", sa.MetaData(), sa.Column("at", Instant, primary_key=True))
    summer = timezone(timedelta(hours=1))
    instants = [
        datetime(987, 1, 1, tzinfo=UTC),
        datetime(1948, 7, 5, 12, tzinfo=UTC),
        datetime(2026, 6, 1, 0, 30, tzinfo=summer),
        datetime(2026, 5, 31, 23, 45, 0, 5, tzinfo=UTC),
    ]
    database = Database(url)
    async with database.writing() as connection:
        await connection.run_sync(table.metadata.create_all)
        await connection.execute(table.insert(), [{"at": instant} for instant in reversed(instants)])
        found = list((await connection.execute(sa.select(table.c.at).order_by(table.c.at))).scalars())
        assert found == instants
        assert {instant.utcoffset() for instant in found} == {timedelta(0)}
    with pytest.raises(Defect):
        async with database.writing() as connection:
            await connection.execute(table.insert().values(at=NOON.replace(tzinfo=None)))
    await database.close()
