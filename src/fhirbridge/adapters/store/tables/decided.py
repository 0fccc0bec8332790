"""The tables of what the service decided and wrote: in the EPR, and in its own worklist what an EPR does not take."""

from __future__ import annotations

from sqlalchemy import Boolean, Column, Index, Integer, LargeBinary, Table, Text, UniqueConstraint, text

from fhirbridge.adapters.store.tables.columns import ROW, Instant, metadata

effects = Table(
    "effects",
    metadata,
    Column("row", ROW, primary_key=True, autoincrement=True),
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
    Column("row", ROW, primary_key=True, autoincrement=True),
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

# What an EPR does not take as itself: every version, each a row of its own.
worklist = Table(
    "worklist",
    metadata,
    Column("row", ROW, primary_key=True, autoincrement=True),
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

# What an EPR held twice: which of the two stands, and whether the other was withdrawn.
doubles = Table(
    "doubles",
    metadata,
    Column("row", ROW, primary_key=True, autoincrement=True),
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
