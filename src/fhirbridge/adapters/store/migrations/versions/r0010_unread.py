"""Resources of which the latest version could not be read."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from fhirbridge.adapters.store.tables import Instant

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    """Create the table."""
    op.create_table(
        "unread",
        sa.Column("epr", sa.Text(), nullable=False),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("version", sa.Text(), nullable=False),
        sa.Column("patient", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("since", Instant(), nullable=False),
        sa.Column("known", Instant(), nullable=False),
        sa.Column("unfit", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("epr", "type", "id", name="pk_unread"),
    )
    op.create_index("ix_unread_epr_since", "unread", ["epr", "since"])
    op.create_index("ix_unread_epr_patient", "unread", ["epr", "patient"])
