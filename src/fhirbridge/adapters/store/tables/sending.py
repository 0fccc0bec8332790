"""The table of dispatches: one row for each Communication and each recipient that a channel serves."""

from __future__ import annotations

from sqlalchemy import Boolean, Column, Index, Integer, LargeBinary, Table, Text, UniqueConstraint, text

from fhirbridge.adapters.store.tables.columns import ROW, Instant, metadata

dispatches = Table(
    "dispatches",
    metadata,
    Column("row", ROW, primary_key=True, autoincrement=True),
    Column("key", Text, nullable=False),
    Column("epr", Text, nullable=False),
    Column("patient", Text, nullable=False),
    Column("identity", Text, nullable=False),
    # The recipient's name; empty where nobody is known.
    Column("recipient", Text, nullable=False),
    Column("channel", Text, nullable=False),
    Column("address", LargeBinary, nullable=False),
    # nobody, waiting, claimed, sent, refused or stopped
    Column("state", Text, nullable=False),
    Column("attempts", Integer, nullable=False, server_default=text("0")),
    Column("not_before", Instant),
    Column("claimed_until", Instant),
    Column("last_error", Text, nullable=False, server_default=text("''")),
    # What the channel calls it.
    Column("reference", Text, nullable=False, server_default=text("''")),
    Column("sent_at", Instant),
    # Whether the channel itself has nothing more to say of it.
    Column("settled", Boolean, nullable=False, server_default=text("false")),
    UniqueConstraint("key"),
    UniqueConstraint("epr", "identity", "recipient"),
    sqlite_autoincrement=True,
)
_TO_DO = dispatches.c.state.in_(("waiting", "claimed"))
Index("ix_dispatches_to_do", dispatches.c.row, sqlite_where=_TO_DO, postgresql_where=_TO_DO)
Index(
    "ix_dispatches_nobody",
    dispatches.c.epr,
    dispatches.c.patient,
    sqlite_where=dispatches.c.state == "nobody",
    postgresql_where=dispatches.c.state == "nobody",
)
_AWAITING = (dispatches.c.state == "sent") & dispatches.c.settled.is_(False)
Index(
    "ix_dispatches_awaiting",
    dispatches.c.channel,
    dispatches.c.row,
    sqlite_where=_AWAITING,
    postgresql_where=_AWAITING,
)
Index("ix_dispatches_channel_reference", dispatches.c.channel, dispatches.c.reference)
