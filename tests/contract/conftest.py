"""Real servers for the contract suites, and the stores that all of them are held to."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from fhirbridge.adapters.memory_store import MemoryStore
from fhirbridge.adapters.store import open_store
from fhirbridge.ports import Store
from tests.servers.postgres import fresh_database
from tests.servers.postgres import postgres_url as postgres_url
from tests.servers.sekmet import sekmet_url as sekmet_url


@pytest.fixture(params=["memory", "sqlite", "postgres"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Store]:
    """An empty store: the double, and the real one on each of its databases."""
    if request.param == "memory":
        yield MemoryStore()
        return
    url = f"sqlite:///{tmp_path / 'store.db'}"
    if request.param == "postgres":
        url = fresh_database(request.getfixturevalue("postgres_url"))
    opened = await open_store(url)
    yield opened
    await opened.close()
