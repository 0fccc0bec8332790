"""Subscriptions remember the secret before their renewal."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Add it; no renewal is under way in a database that has not known it."""
    op.add_column("subscriptions", sa.Column("former", sa.Text(), server_default=sa.text("''"), nullable=False))
