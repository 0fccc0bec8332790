"""One database, reached in two ways: `reading` sees one moment, `writing` is one transaction, durable at its end.

SQLite has one writer at a time: a pool of one connection makes writers of this process queue for it instead of
polling a lock, and `BEGIN IMMEDIATE` takes the lock of other processes before anything is read. `synchronous=FULL`
makes a commit in WAL mode wait for the disk.

No value of a row may reach a log: the engine hides parameters, loggers that would write rows and parameters at DEBUG
are held above it, and errors of the database, whose text can quote a key, are replaced by our own.
"""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import URL, event, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.pool import AsyncAdaptedQueuePool

from fhirbridge.errors import ConfigurationError, Defect, FhirbridgeError, StoreUnavailable

_TALKATIVE = ("aiosqlite", "sqlalchemy.engine", "sqlalchemy.pool")
_BUSY_SECONDS = 10
_SQLITE_READERS = 4
# Bits beyond the lowest eight only say more about the same cause.
_SQLITE_PASSING = {
    sqlite3.SQLITE_BUSY,
    sqlite3.SQLITE_LOCKED,
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_READONLY,
}
# Connection, transaction rollback (deadlock), insufficient resources, operator intervention, system error.
_POSTGRES_PASSING = ("08", "40", "53", "57", "58")


class Database:
    """The engines of one database. Belongs to one event loop; `close` it."""

    def __init__(self, url: str) -> None:
        for name in _TALKATIVE:
            logging.getLogger(name).setLevel(logging.WARNING)
        parsed = _parse(url)
        self.where = parsed.render_as_string(hide_password=True)
        if parsed.get_backend_name() == "sqlite":
            _prepare_file(Path(parsed.database or ""))
            self._writer = _sqlite_engine(parsed, begin="BEGIN IMMEDIATE", size=1)
            self._reader = _sqlite_engine(parsed, begin="BEGIN", size=_SQLITE_READERS)
        else:
            self._writer = create_async_engine(parsed, hide_parameters=True, pool_pre_ping=True)
            self._reader = self._writer.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[AsyncConnection]:
        """A connection whose statements all see the same moment."""
        with translated(self.where):
            async with self._reader.connect() as connection, connection.begin():
                yield connection

    @asynccontextmanager
    async def writing(self) -> AsyncIterator[AsyncConnection]:
        """A transaction: committed, and durable, when the block ends; rolled back when it raises."""
        with translated(self.where):
            async with self._writer.begin() as connection:
                yield connection

    async def close(self) -> None:
        """Give all connections back."""
        await self._writer.dispose()
        await self._reader.dispose()


def _parse(url: str) -> URL:
    try:
        parsed = make_url(url)
    except ArgumentError:
        parsed = None
    if parsed is None:
        raise ConfigurationError("not a database URL; write sqlite:///FILE or postgresql://…", place="database_url")
    match parsed.get_backend_name():
        case "sqlite" if parsed.database and parsed.database != ":memory:":
            return parsed.set(drivername="sqlite+aiosqlite")
        case "sqlite":
            raise ConfigurationError("SQLite needs a file: write sqlite:///FILE", place="database_url")
        case "postgresql":
            return parsed.set(drivername="postgresql+psycopg")
        case other:
            raise ConfigurationError(f"{other} is not supported; use sqlite or postgresql", place="database_url")


def _prepare_file(path: Path) -> None:
    """Make the folder and the file, readable by the service's own user alone: they hold patient data."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        path.touch(mode=0o600, exist_ok=True)
    except OSError as error:
        raise ConfigurationError(f"cannot make {path}: {error.strerror}", place="database_url") from error


def _sqlite_engine(url: URL, *, begin: str, size: int) -> AsyncEngine:
    engine = create_async_engine(
        url,
        hide_parameters=True,
        poolclass=AsyncAdaptedQueuePool,
        pool_size=size,
        max_overflow=0,
        connect_args={"timeout": _BUSY_SECONDS},
    )

    def configure(connection: Any, _: object) -> None:
        # The driver would begin and commit transactions on its own; SQLAlchemy has to.
        connection.isolation_level = None
        cursor = connection.cursor()
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    event.listen(engine.sync_engine, "connect", configure)
    event.listen(engine.sync_engine, "begin", lambda connection: connection.exec_driver_sql(begin))
    return engine


@contextmanager
def translated(where: str) -> Iterator[None]:
    """Replace errors of the database by ours, without their text: it can quote a row.

    Raises:
        StoreUnavailable: the database is away, busy or full.
        Defect: it refused what we asked.
    """
    try:
        yield
    except SQLAlchemyError as error:
        raise _failure(error, where) from None


def _failure(error: SQLAlchemyError, where: str) -> FhirbridgeError:
    cause = error.orig if isinstance(error, DBAPIError) else error
    code = getattr(cause, "sqlite_errorname", None) or getattr(cause, "sqlstate", None) or ""
    named = f"{type(cause).__name__} {code}".strip()
    if isinstance(error, PoolTimeout) or (isinstance(error, DBAPIError) and _passing(error)):
        return StoreUnavailable(
            f"the database {where} does not serve us now ({named}): check that it runs, answers and has free disk space"
        )
    return Defect(f"the database {where} refused a statement ({named}): please report it")


def _passing(error: DBAPIError) -> bool:
    cause = error.orig
    if isinstance(cause, sqlite3.Error):
        return getattr(cause, "sqlite_errorcode", 0) & 0xFF in _SQLITE_PASSING
    state = getattr(cause, "sqlstate", None)
    if state is None:  # psycopg never reached the server, or lost it
        return error.connection_invalidated or type(cause).__name__ == "OperationalError"
    return str(state).startswith(_POSTGRES_PASSING)
