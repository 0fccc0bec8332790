"""Versions say when that which they tell of took place."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from fhirbridge.adapters.store.tables import Instant

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Add it, empty: what was kept before is dated when its mapping is applied again, or its next version comes."""
    op.add_column("versions", sa.Column("happens", Instant(), nullable=True))
    op.create_index("ix_versions_epr_type_happens", "versions", ["epr", "type", "happens"], unique=False)
