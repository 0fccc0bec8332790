"""Brings a database to the schema that this version of the code works with."""

from __future__ import annotations

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import Connection, text

from fhirbridge.errors import ConfigurationError

# Any number will do, as long as nothing else in the database locks it.
_MIGRATION_LOCK = 0x66686972


def configuration() -> Config:
    """Alembic's configuration, pointing at the migrations inside the package."""
    config = Config()
    config.set_main_option("script_location", "fhirbridge.adapters.store:migrations")
    config.set_main_option("path_separator", "os")
    return config


def migrate(connection: Connection, where: str) -> None:
    """Create the tables or bring them up to date, in the caller's transaction.

    Raises:
        ConfigurationError: a newer version of fhirbridge made this schema.
    """
    if connection.dialect.name == "postgresql":
        # Two processes that start at once: the second waits, and then finds nothing to do.
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _MIGRATION_LOCK})
    config = configuration()
    scripts = ScriptDirectory.from_config(config)
    current = MigrationContext.configure(connection).get_current_revision()
    head = scripts.get_current_head()
    if current == head:
        return
    if current is not None and not _is_known(scripts, current):
        raise ConfigurationError(
            f"{where} has schema {current}, this fhirbridge knows schemas up to {head}: "
            "upgrade fhirbridge, or restore a backup made by this version",
            place="database_url",
        )
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


def is_current(connection: Connection) -> bool:
    """Whether the schema is the one that this version of the code works with."""
    head = ScriptDirectory.from_config(configuration()).get_current_head()
    return MigrationContext.configure(connection).get_current_revision() == head


def _is_known(scripts: ScriptDirectory, revision: str) -> bool:
    try:
        return scripts.get_revision(revision) is not None
    except CommandError:
        return False
