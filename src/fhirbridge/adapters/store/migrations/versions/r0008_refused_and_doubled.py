"""Why a write was refused; what was written is looked for again, and what is found twice is noted."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from fhirbridge.adapters.store.tables import Instant

revision = "0008"
down_revision = "0007"

ROW = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Add them; what was written before is taken as looked for."""
    op.add_column("outbox", sa.Column("outcome", sa.LargeBinary(), nullable=True))
    op.create_index(
        "ix_outbox_dead",
        "outbox",
        ["row"],
        unique=False,
        sqlite_where=sa.text("state = 'dead'"),
        postgresql_where=sa.text("state = 'dead'"),
    )
    op.add_column("written", sa.Column("unaudited_since", Instant(), nullable=True))
    op.create_index(
        "ix_written_unaudited",
        "written",
        ["epr", "unaudited_since"],
        unique=False,
        sqlite_where=sa.text("unaudited_since IS NOT NULL"),
        postgresql_where=sa.text("unaudited_since IS NOT NULL"),
    )
    op.create_table(
        "doubles",
        sa.Column("row", ROW, autoincrement=True, nullable=False),
        sa.Column("epr", sa.Text(), nullable=False),
        sa.Column("patient", sa.Text(), nullable=False),
        sa.Column("identity", sa.Text(), nullable=False),
        sa.Column("kept", sa.Text(), nullable=False),
        sa.Column("double", sa.Text(), nullable=False),
        sa.Column("withdrawn", sa.Boolean(), nullable=False),
        sa.Column("found", Instant(), nullable=False),
        sa.PrimaryKeyConstraint("row", name="pk_doubles"),
        sa.UniqueConstraint("epr", "double", name="uq_doubles_epr_double"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_doubles_epr_patient", "doubles", ["epr", "patient"])
