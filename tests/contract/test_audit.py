"""What every `ports.Audit` keeps to, in memory, on SQLite and on PostgreSQL; and that the databases hold on to it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import text

from fhirbridge.adapters.store import open_store
from fhirbridge.adapters.store.database import Database
from fhirbridge.errors import Defect
from fhirbridge.fhir.audit_event import Access, audit_event
from fhirbridge.ports import Audit, Resource, Store
from tests.servers.postgres import fresh_database

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


@pytest.fixture
def audit(store: Store) -> Audit:
    return store.audit


def event(at: datetime, who: str = "reporting") -> Resource:
    return audit_event(Access(did="read", at=at, who=who, patients=("http://epr/fhir/Patient/ann",)))


async def recorded(audit: Audit, since: datetime, until: datetime) -> list[Resource]:
    return [one async for one in audit.recorded(since, until)]


async def test_what_was_recorded_comes_back_in_order_from_the_first_instant_to_before_the_last(audit: Audit) -> None:
    early, noon, late = event(NOON - HOUR), event(NOON, "other"), event(NOON + HOUR)
    await audit.record([late])
    await audit.record([early, noon])
    await audit.record([])

    assert await recorded(audit, NOON - HOUR, NOON + 2 * HOUR) == [late, early, noon]
    assert await recorded(audit, NOON - HOUR, NOON + HOUR) == [early, noon]
    assert await recorded(audit, NOON, NOON) == []


async def test_many_are_read_in_batches(audit: Audit) -> None:
    await audit.record([event(NOON + timedelta(seconds=number)) for number in range(1200)])

    assert len(await recorded(audit, NOON, NOON + HOUR)) == 1200


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
@pytest.mark.parametrize("change", ["DELETE FROM audit", "UPDATE audit SET recorded = recorded"])
async def test_the_database_refuses_to_change_or_delete(
    request: pytest.FixtureRequest, tmp_path: Path, kind: str, change: str
) -> None:
    url = f"sqlite:///{tmp_path / 'store.db'}"
    if kind == "postgres":
        url = fresh_database(request.getfixturevalue("postgres_url"))
    store = await open_store(url)
    await store.audit.record([event(NOON)])
    await store.close()

    database = Database(url)
    try:
        with pytest.raises(Defect, match="refused a statement"):
            async with database.writing() as connection:
                await connection.execute(text(change))
        async with database.reading() as connection:
            assert (await connection.execute(text("SELECT count(*) FROM audit"))).scalar_one() == 1
    finally:
        await database.close()
