"""The tables of what the EPRs told: what came in, what it was read as, whose turn it is to be looked at, who is who."""

from __future__ import annotations

from sqlalchemy import Boolean, Column, Index, LargeBinary, Table, Text, UniqueConstraint, text

from fhirbridge.adapters.store.tables.columns import ROW, Instant, metadata

inbox = Table(
    "inbox",
    metadata,
    Column("row", ROW, primary_key=True, autoincrement=True),
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
    Column("row", ROW, primary_key=True, autoincrement=True),
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
    Column("news", ROW, nullable=False, server_default=text("0")),
    Column("turn", ROW, nullable=False, server_default=text("0")),
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

# Resources of which the latest version could not be read: `since` the first such version in a row became known, `known`
# when the latest did. What is `unfit` is not among the versions.
unread = Table(
    "unread",
    metadata,
    Column("epr", Text, primary_key=True),
    Column("type", Text, primary_key=True),
    Column("id", Text, primary_key=True),
    Column("version", Text, nullable=False),
    Column("patient", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("since", Instant, nullable=False),
    Column("known", Instant, nullable=False),
    Column("unfit", Boolean, nullable=False),
)
Index("ix_unread_epr_since", unread.c.epr, unread.c.since)
Index("ix_unread_epr_patient", unread.c.epr, unread.c.patient)
