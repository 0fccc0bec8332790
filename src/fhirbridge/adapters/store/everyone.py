"""Everybody for whom the service ever did anything, for reports: reads alone, one patient at a time."""

from __future__ import annotations

from collections.abc import AsyncIterator

from sqlalchemy import select

from fhirbridge.adapters.store.database import Database
from fhirbridge.adapters.store.sql_store import open_store
from fhirbridge.adapters.store.tables import effects
from fhirbridge.ports import Known, Subject


async def everyone(url: str) -> AsyncIterator[tuple[Subject, Known]]:
    """Each patient with an effect, by EPR and reference, and what is known about them; errors as for `open_store`."""
    store = await open_store(url)
    database = Database(url)
    try:
        async with database.reading() as connection:
            query = select(effects.c.epr, effects.c.patient).distinct().order_by(effects.c.epr, effects.c.patient)
            found = [Subject(epr, patient) for epr, patient in await connection.execute(query)]
        for subject in found:
            yield subject, await store.load(subject)
    finally:
        await database.close()
        await store.close()
