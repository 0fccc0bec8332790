"""The service's own worklist."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from fhirbridge.adapters.store.tables import Instant

revision = "0003"
down_revision = "0002"

ROW = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Create it, empty."""
    op.create_table(
        "worklist",
        sa.Column("row", ROW, autoincrement=True, nullable=False),
        sa.Column("epr", sa.Text(), nullable=False),
        sa.Column("patient", sa.Text(), nullable=False),
        sa.Column("identity", sa.Text(), nullable=False),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("current", sa.Boolean(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("updated", Instant(), nullable=False),
        sa.Column("way", sa.Text(), nullable=False),
        sa.Column("write", sa.Text(), nullable=False),
        sa.Column("notice", sa.Text(), nullable=False),
        sa.Column("by", sa.Text(), nullable=False),
        sa.Column("resource", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("row", name="pk_worklist"),
        sa.UniqueConstraint("type", "id", "version", name="uq_worklist_type_id_version"),
        sqlite_autoincrement=True,
    )
    for name, columns in (("ix_worklist_current", ["epr", "patient"]), ("ix_worklist_type", ["type", "row"])):
        op.create_index(
            name,
            "worklist",
            columns,
            unique=False,
            sqlite_where=sa.text("current"),
            postgresql_where=sa.text("current"),
        )
