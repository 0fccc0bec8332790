"""The tables of the feeds: by which subscriptions changes are heard of, and what may have been missed."""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Column, Index, Table, Text, text

from fhirbridge.adapters.store.tables.columns import ROW, Instant, metadata

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
    Column("row", ROW, primary_key=True, autoincrement=True),
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
