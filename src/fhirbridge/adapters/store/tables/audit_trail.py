"""The table of AuditEvents."""

from __future__ import annotations

from sqlalchemy import Column, Index, LargeBinary, Table

from fhirbridge.adapters.store.tables.columns import ROW, Instant, metadata

# AuditEvents; a trigger refuses to change or delete them.
audit = Table(
    "audit",
    metadata,
    Column("row", ROW, primary_key=True, autoincrement=True),
    Column("recorded", Instant, nullable=False),
    Column("event", LargeBinary, nullable=False),
    sqlite_autoincrement=True,
)
Index("ix_audit_recorded", audit.c.recorded)
