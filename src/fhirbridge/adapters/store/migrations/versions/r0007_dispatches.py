"""What has to reach people outside the EPR, and how far it has come."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from fhirbridge.adapters.store.tables import Instant

revision = "0007"
down_revision = "0006"

ROW = sa.BigInteger().with_variant(sa.Integer(), "sqlite")

_INDEXES = (
    ("ix_dispatches_to_do", ["row"], "state IN ('waiting', 'claimed')"),
    ("ix_dispatches_nobody", ["epr", "patient"], "state = 'nobody'"),
    ("ix_dispatches_awaiting", ["channel", "row"], "state = 'sent' AND settled IS false"),
)


def upgrade() -> None:
    """Create it; what was decided before counts as handed over, and has no dispatch."""
    op.create_table(
        "dispatches",
        sa.Column("row", ROW, autoincrement=True, nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("epr", sa.Text(), nullable=False),
        sa.Column("patient", sa.Text(), nullable=False),
        sa.Column("identity", sa.Text(), nullable=False),
        sa.Column("recipient", sa.Text(), nullable=False),
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("address", sa.LargeBinary(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("attempts", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("not_before", Instant()),
        sa.Column("claimed_until", Instant()),
        sa.Column("last_error", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("reference", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("sent_at", Instant()),
        sa.Column("settled", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.PrimaryKeyConstraint("row", name="pk_dispatches"),
        sa.UniqueConstraint("key", name="uq_dispatches_key"),
        sa.UniqueConstraint("epr", "identity", "recipient", name="uq_dispatches_epr_identity_recipient"),
        sqlite_autoincrement=True,
    )
    for name, columns, where in _INDEXES:
        op.create_index(name, "dispatches", columns, sqlite_where=sa.text(where), postgresql_where=sa.text(where))
    op.create_index("ix_dispatches_channel_reference", "dispatches", ["channel", "reference"])
    op.create_index("ix_outbox_epr_identity", "outbox", ["epr", "identity"])
