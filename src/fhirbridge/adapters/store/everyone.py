"""Everybody for whom the service ever did anything, for reports: reads alone, one patient at a time."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime

from sqlalchemy import select

from fhirbridge.adapters.store.database import Database
from fhirbridge.adapters.store.sql_store import open_store
from fhirbridge.adapters.store.tables import effects
from fhirbridge.ports import Known, Subject
from fhirbridge.service.merging import as_one


async def everyone(url: str) -> AsyncIterator[tuple[Subject, Known]]:
    """Each patient with an effect, by EPR and reference, and what is known about them; errors as for `open_store`.

    What was done for a record that was replaced is told with the record that goes on.
    """
    store = await open_store(url)
    database = Database(url)
    try:
        async with database.reading() as connection:
            query = select(effects.c.epr, effects.c.patient).distinct().order_by(effects.c.epr, effects.c.patient)
            found = [Subject(epr, patient) for epr, patient in await connection.execute(query)]
        for subject in found:
            known = await as_one(store, subject, await store.load(subject), datetime.now(UTC))
            if known.replaced_by is None:
                yield subject, known
            elif (goes_on := Subject(subject.epr, known.replaced_by)) not in found:
                found.append(goes_on)
    finally:
        await database.close()
        await store.close()
