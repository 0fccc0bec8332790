"""What may be unknown, and how far the feeds have come."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from fhirbridge.adapters.store.tables import Instant

revision = "0004"
down_revision = "0003"

ROW = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Create the tables, empty."""
    op.create_table(
        "gaps",
        sa.Column("row", ROW, autoincrement=True, nullable=False),
        sa.Column("epr", sa.Text(), nullable=False),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("feed", sa.Text(), nullable=False),
        sa.Column("cause", sa.Text(), nullable=False),
        sa.Column("since", Instant(), nullable=False),
        sa.Column("until", Instant(), nullable=False),
        sa.Column("covered_at", Instant(), nullable=True),
        sa.Column("closed_at", Instant(), nullable=True),
        sa.PrimaryKeyConstraint("row", name="pk_gaps"),
        sqlite_autoincrement=True,
    )
    op.create_index(
        "ix_gaps_open",
        "gaps",
        ["epr", "type", "cause"],
        unique=True,
        sqlite_where=sa.text("closed_at IS NULL"),
        postgresql_where=sa.text("closed_at IS NULL"),
    )
    op.create_table(
        "held",
        sa.Column("epr", sa.Text(), nullable=False),
        sa.Column("patient", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("epr", "patient", name="pk_held"),
    )
    op.create_table(
        "marks",
        sa.Column("epr", sa.Text(), nullable=False),
        sa.Column("of", sa.Text(), nullable=False),
        sa.Column("at", Instant(), nullable=False),
        sa.PrimaryKeyConstraint("epr", "of", name="pk_marks"),
    )
    op.create_table(
        "hearings",
        sa.Column("epr", sa.Text(), nullable=False),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("heard", Instant(), nullable=False),
        sa.Column("at", Instant(), nullable=False),
        sa.Column("top", sa.BigInteger(), nullable=True),
        sa.Column("promised", sa.BigInteger(), nullable=False),
        sa.Column("promised_at", Instant(), nullable=True),
        sa.Column("doubtful", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("epr", "type", name="pk_hearings"),
    )
