"""What an EPR may hold twice, over one database (`ports.Doubles`)."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from sqlalchemy import select, update

from fhirbridge.adapters.store.database import Database
from fhirbridge.adapters.store.dialect import insert_into
from fhirbridge.adapters.store.tables import doubles, written
from fhirbridge.ports import Double, Subject, There

_BATCH = 500


class SqlDoubles:
    """The durable record of what was looked for again, and of what was found twice."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def unaudited(self, epr: str, before: datetime, limit: int) -> list[tuple[Subject, There]]:
        """What was delivered up to then and not looked for again, the oldest first."""
        query = (
            select(written)
            .where(written.c.epr == epr, written.c.unaudited_since <= before)
            .order_by(written.c.unaudited_since, written.c.identity)
            .limit(limit)
        )
        async with self._database.reading() as connection:
            return [
                (Subject(epr, row["patient"]), There(row["identity"], row["reference"], row["version"]))
                for row in (await connection.execute(query)).mappings()
            ]

    async def audited(self, epr: str, identities: Collection[str]) -> None:
        """These have been looked for."""
        named = sorted(identities)
        async with self._database.writing() as connection:
            for start in range(0, len(named), _BATCH):
                chosen = written.c.identity.in_(named[start : start + _BATCH])
                await connection.execute(
                    update(written).where(written.c.epr == epr, chosen).values(unaudited_since=None)
                )

    async def note(self, double: Double) -> bool:
        """Remember one; whether it is new."""
        row = {
            "epr": double.subject.epr,
            "patient": double.subject.patient,
            "identity": double.identity,
            "kept": double.kept,
            "double": double.double,
            "withdrawn": double.withdrawn,
            "found": double.found,
        }
        async with self._database.writing() as connection:
            statement = (
                insert_into(connection, doubles)
                .values(row)
                .on_conflict_do_nothing(index_elements=["epr", "double"])
                .returning(doubles.c.row)
            )
            return (await connection.execute(statement)).scalar_one_or_none() is not None

    async def of(self, subject: Subject) -> list[Double]:
        """Those found of a patient, oldest first."""
        query = (
            select(doubles)
            .where(doubles.c.epr == subject.epr, doubles.c.patient == subject.patient)
            .order_by(doubles.c.row)
        )
        async with self._database.reading() as connection:
            return [
                Double(
                    subject=subject,
                    identity=row["identity"],
                    kept=row["kept"],
                    double=row["double"],
                    withdrawn=row["withdrawn"],
                    found=row["found"],
                )
                for row in (await connection.execute(query)).mappings()
            ]
