"""What the service wrote, over one database (`ports.OwnWrites`): where it stands, and what of it is held back."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

import msgspec
from sqlalchemy import select

from fhirbridge.adapters.store.database import Database
from fhirbridge.adapters.store.tables import effects, written
from fhirbridge.core.effects import Held
from fhirbridge.ports import Subject, There

_HELD: msgspec.msgpack.Decoder[Held] = msgspec.msgpack.Decoder(Held)
_BATCH = 500


class SqlOwnWrites:
    """The durable `ports.OwnWrites`, from the tables of the store: reads alone."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def at(self, epr: str, references: Collection[str]) -> dict[str, There]:
        """Which of these resources the service wrote, by reference."""
        wanted = sorted(references)
        found: dict[str, There] = {}
        async with self._database.reading() as connection:
            for start in range(0, len(wanted), _BATCH):
                query = select(written.c.identity, written.c.reference, written.c.version).where(
                    written.c.epr == epr, written.c.reference.in_(wanted[start : start + _BATCH])
                )
                for identity, reference, version in await connection.execute(query):
                    found[reference] = There(identity, reference, version)
        return found

    async def held(self, since: datetime) -> list[tuple[Subject, Held]]:
        """What was held back from that instant on, oldest first."""
        query = (
            select(effects.c.epr, effects.c.patient, effects.c.effect)
            .where(effects.c.kind == "held", effects.c.at >= since)
            .order_by(effects.c.at, effects.c.identity)
        )
        async with self._database.reading() as connection:
            rows = (await connection.execute(query)).all()
        return [(Subject(epr, patient), _HELD.decode(effect)) for epr, patient, effect in rows]
