"""The tables. Resources are JSON, facts and effects msgpack, as bytes: the database keeps them, it does not read them.

What the schema is today; how it became so is in `migrations`. The two are compared by a test.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Dialect,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects.postgresql import TIMESTAMP
from sqlalchemy.types import TypeDecorator, TypeEngine

_SQLITE_FORMAT = "%Y-%m-%dT%H:%M:%S.%fZ"


class Instant(TypeDecorator[datetime]):
    """An instant: `timestamptz` on PostgreSQL; on SQLite UTC text of fixed width, which sorts as the instants do."""

    impl = String(27)
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """The column type on this database."""
        if dialect.name == "postgresql":
            return dialect.type_descriptor(TIMESTAMP(timezone=True))
        return dialect.type_descriptor(String(27))

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> Any:
        """An aware datetime as the database takes it; a naive one is a mistake of the caller."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise TypeError("an instant needs an offset; pass an aware datetime")
        instant = value.astimezone(UTC)
        # strftime does not pad years before 1000, and text of another width would not sort.
        return instant if dialect.name == "postgresql" else f"{instant.year:04d}{instant.strftime(_SQLITE_FORMAT[2:])}"

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:
        """An aware datetime in UTC."""
        if value is None:
            return None
        if isinstance(value, datetime):
            return value.astimezone(UTC)
        return datetime.strptime(value, _SQLITE_FORMAT).replace(tzinfo=UTC)


# SQLite only numbers rows by itself when the key is a plain INTEGER.
_ROW = BigInteger().with_variant(Integer, "sqlite")
_NAMES = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}

metadata = MetaData(naming_convention=_NAMES)

inbox = Table(
    "inbox",
    metadata,
    Column("row", _ROW, primary_key=True, autoincrement=True),
    Column("epr", Text, nullable=False),
    Column("type", Text, nullable=False),
    Column("id", Text, nullable=False),
    Column("version", Text, nullable=False),
    Column("resource", LargeBinary),
    Column("deleted", Boolean, nullable=False),
    Column("received", Instant, nullable=False),
    Column("digested_at", Instant),
    sqlite_autoincrement=True,
)
Index(
    "ix_inbox_waiting",
    inbox.c.row,
    sqlite_where=inbox.c.digested_at.is_(None),
    postgresql_where=inbox.c.digested_at.is_(None),
)

versions = Table(
    "versions",
    metadata,
    Column("row", _ROW, primary_key=True, autoincrement=True),
    Column("epr", Text, nullable=False),
    Column("type", Text, nullable=False),
    Column("id", Text, nullable=False),
    # The version's id, or a hash of its content where it has none (see `version_key`).
    Column("version", Text, nullable=False),
    Column("known", Instant, nullable=False),
    # When what it tells of took place; null for what says how things stand.
    Column("happens", Instant),
    Column("patient", Text, nullable=False),
    Column("fact", LargeBinary, nullable=False),
    Column("resource", LargeBinary, nullable=False),
    Column("kept_at", Instant, nullable=False),
    UniqueConstraint("epr", "type", "id", "version"),
    sqlite_autoincrement=True,
)
Index("ix_versions_epr_patient_known", versions.c.epr, versions.c.patient, versions.c.known)
Index("ix_versions_epr_type_happens", versions.c.epr, versions.c.type, versions.c.happens)

subjects = Table(
    "subjects",
    metadata,
    Column("epr", Text, primary_key=True),
    Column("patient", Text, primary_key=True),
    Column("wakes_at", Instant),
    Column("news", _ROW, nullable=False, server_default=text("0")),
    Column("turn", _ROW, nullable=False, server_default=text("0")),
    Column("holder", Text),
    Column("held_until", Instant),
)
Index("ix_subjects_wakes_at", subjects.c.wakes_at)
Index(
    "ix_subjects_held_until",
    subjects.c.held_until,
    sqlite_where=subjects.c.held_until.is_not(None),
    postgresql_where=subjects.c.held_until.is_not(None),
)

effects = Table(
    "effects",
    metadata,
    Column("row", _ROW, primary_key=True, autoincrement=True),
    Column("epr", Text, nullable=False),
    Column("patient", Text, nullable=False),
    Column("identity", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("at", Instant, nullable=False),
    Column("effect", LargeBinary, nullable=False),
    sqlite_autoincrement=True,
)
Index("ix_effects_epr_patient_row", effects.c.epr, effects.c.patient, effects.c.row)

outbox = Table(
    "outbox",
    metadata,
    Column("row", _ROW, primary_key=True, autoincrement=True),
    Column("epr", Text, nullable=False),
    Column("patient", Text, nullable=False),
    Column("identity", Text, nullable=False),
    Column("outgoing", LargeBinary, nullable=False),
    Column("decided_at", Instant, nullable=False),
    # pending, delivered or dead
    Column("state", Text, nullable=False),
    Column("attempts", Integer, nullable=False, server_default=text("0")),
    Column("not_before", Instant),
    Column("last_error", Text, nullable=False, server_default=text("''")),
    Column("settled_at", Instant),
    # The OperationOutcome of a refusal.
    Column("outcome", LargeBinary),
    sqlite_autoincrement=True,
)
Index(
    "ix_outbox_dead",
    outbox.c.row,
    sqlite_where=outbox.c.state == "dead",
    postgresql_where=outbox.c.state == "dead",
)
Index(
    "ix_outbox_pending",
    outbox.c.epr,
    outbox.c.patient,
    outbox.c.row,
    sqlite_where=outbox.c.state == "pending",
    postgresql_where=outbox.c.state == "pending",
)

Index("ix_outbox_epr_identity", outbox.c.epr, outbox.c.identity)

written = Table(
    "written",
    metadata,
    Column("epr", Text, primary_key=True),
    Column("identity", Text, primary_key=True),
    Column("patient", Text, nullable=False),
    Column("reference", Text, nullable=False),
    Column("version", Text, nullable=False),
    # Delivered then, and not looked for again since: an EPR may hold it twice.
    Column("unaudited_since", Instant),
)
Index(
    "ix_written_unaudited",
    written.c.epr,
    written.c.unaudited_since,
    sqlite_where=written.c.unaudited_since.is_not(None),
    postgresql_where=written.c.unaudited_since.is_not(None),
)
Index("ix_written_epr_patient", written.c.epr, written.c.patient)
Index("ix_written_epr_reference", written.c.epr, written.c.reference)

subscriptions = Table(
    "subscriptions",
    metadata,
    Column("epr", Text, primary_key=True),
    Column("criteria", Text, primary_key=True),
    Column("reference", Text, nullable=False),
    Column("secret", Text, nullable=False),
    Column("since", Instant, nullable=False),
    Column("former", Text, nullable=False, server_default=text("''")),
)

# What may be unknown: a row for each gap that there ever was; and how far the feeds have come.
gaps = Table(
    "gaps",
    metadata,
    Column("row", _ROW, primary_key=True, autoincrement=True),
    Column("epr", Text, nullable=False),
    Column("type", Text, nullable=False),
    Column("feed", Text, nullable=False),
    Column("cause", Text, nullable=False),
    Column("since", Instant, nullable=False),
    Column("until", Instant, nullable=False),
    Column("covered_at", Instant),
    Column("closed_at", Instant),
    Index(
        "ix_gaps_open",
        "epr",
        "type",
        "cause",
        unique=True,
        sqlite_where=text("closed_at IS NULL"),
        postgresql_where=text("closed_at IS NULL"),
    ),
    sqlite_autoincrement=True,
)
held = Table(
    "held",
    metadata,
    Column("epr", Text, primary_key=True),
    Column("patient", Text, primary_key=True),
)
marks = Table(
    "marks",
    metadata,
    Column("epr", Text, primary_key=True),
    Column("of", Text, primary_key=True),
    Column("at", Instant, nullable=False),
)
hearings = Table(
    "hearings",
    metadata,
    Column("epr", Text, primary_key=True),
    Column("type", Text, primary_key=True),
    Column("heard", Instant, nullable=False),
    Column("at", Instant, nullable=False),
    Column("top", BigInteger),
    Column("promised", BigInteger, nullable=False),
    Column("promised_at", Instant),
    Column("doubtful", Boolean, nullable=False),
)

# What an EPR does not take as itself: every version, each a row of its own.
# By whose word which record of a patient is replaced by which.
merges = Table(
    "merges",
    metadata,
    Column("epr", Text, primary_key=True),
    Column("said_by", Text, primary_key=True),
    Column("replaced", Text, primary_key=True),
    Column("survivor", Text, nullable=False),
)
Index("ix_merges_epr_replaced", merges.c.epr, merges.c.replaced)
Index("ix_merges_epr_survivor", merges.c.epr, merges.c.survivor)

worklist = Table(
    "worklist",
    metadata,
    Column("row", _ROW, primary_key=True, autoincrement=True),
    Column("epr", Text, nullable=False),
    Column("patient", Text, nullable=False),
    Column("identity", Text, nullable=False),
    Column("type", Text, nullable=False),
    Column("id", Text, nullable=False),
    Column("version", Integer, nullable=False),
    Column("current", Boolean, nullable=False),
    Column("status", Text, nullable=False),
    Column("code", Text, nullable=False),
    Column("updated", Instant, nullable=False),
    Column("way", Text, nullable=False),
    Column("write", Text, nullable=False),
    # The identity of what told of it in the EPR.
    Column("notice", Text, nullable=False),
    # Who made the version: empty for the service itself.
    Column("by", Text, nullable=False),
    Column("resource", LargeBinary, nullable=False),
    UniqueConstraint("type", "id", "version"),
    sqlite_autoincrement=True,
)
Index(
    "ix_worklist_current",
    worklist.c.epr,
    worklist.c.patient,
    sqlite_where=worklist.c.current,
    postgresql_where=worklist.c.current,
)
Index(
    "ix_worklist_type",
    worklist.c.type,
    worklist.c.row,
    sqlite_where=worklist.c.current,
    postgresql_where=worklist.c.current,
)

# AuditEvents; a trigger refuses to change or delete them.
audit = Table(
    "audit",
    metadata,
    Column("row", _ROW, primary_key=True, autoincrement=True),
    Column("recorded", Instant, nullable=False),
    Column("event", LargeBinary, nullable=False),
    sqlite_autoincrement=True,
)
Index("ix_audit_recorded", audit.c.recorded)

# What an EPR held twice: which of the two stands, and whether the other was withdrawn.
doubles = Table(
    "doubles",
    metadata,
    Column("row", _ROW, primary_key=True, autoincrement=True),
    Column("epr", Text, nullable=False),
    Column("patient", Text, nullable=False),
    Column("identity", Text, nullable=False),
    Column("kept", Text, nullable=False),
    Column("double", Text, nullable=False),
    Column("withdrawn", Boolean, nullable=False),
    Column("found", Instant, nullable=False),
    UniqueConstraint("epr", "double"),
    sqlite_autoincrement=True,
)
Index("ix_doubles_epr_patient", doubles.c.epr, doubles.c.patient)
