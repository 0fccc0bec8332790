"""Which record of a patient is replaced by which, by whose word."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    """Create the table."""
    op.create_table(
        "merges",
        sa.Column("epr", sa.Text(), nullable=False),
        sa.Column("said_by", sa.Text(), nullable=False),
        sa.Column("replaced", sa.Text(), nullable=False),
        sa.Column("survivor", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("epr", "said_by", "replaced", name="pk_merges"),
    )
    op.create_index("ix_merges_epr_replaced", "merges", ["epr", "replaced"])
    op.create_index("ix_merges_epr_survivor", "merges", ["epr", "survivor"])
