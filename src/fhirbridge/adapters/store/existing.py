"""The store that is there already, for those who only look: nothing is made, and no schema is brought up to date."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from sqlalchemy import make_url
from sqlalchemy.exc import ArgumentError

from fhirbridge.adapters.store import schema
from fhirbridge.adapters.store.database import Database
from fhirbridge.adapters.store.sql_store import SqlStore


@asynccontextmanager
async def existing_store(url: str) -> AsyncIterator[SqlStore | None]:
    """The store at `sqlite:///FILE` or `postgresql://…`; None where no service of this version has run on it.

    Raises:
        ConfigurationError: not such a URL.
        StoreUnavailable: the database does not answer.
    """
    if _is_missing_file(url):
        yield None
        return
    database = Database(url)
    try:
        async with database.reading() as connection:
            current = await connection.run_sync(schema.is_current)
        yield SqlStore(database) if current else None
    finally:
        await database.close()


def _is_missing_file(url: str) -> bool:
    try:
        parsed = make_url(url)
    except ArgumentError:
        return False
    return parsed.get_backend_name() == "sqlite" and bool(parsed.database) and not Path(str(parsed.database)).exists()
