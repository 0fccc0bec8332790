"""The first schema: inbox, versions, subjects, effects, outbox, what was written, subscriptions."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from fhirbridge.adapters.store.tables import Instant

revision = "0001"
down_revision = None

ROW = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Create all tables."""
    _create_arrivals()
    _create_subjects()
    _create_outcomes()
    _create_subscriptions()


def _create_arrivals() -> None:
    op.create_table(
        "inbox",
        sa.Column("row", ROW, autoincrement=True, nullable=False),
        sa.Column("epr", sa.Text(), nullable=False),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("version", sa.Text(), nullable=False),
        sa.Column("resource", sa.LargeBinary(), nullable=True),
        sa.Column("deleted", sa.Boolean(), nullable=False),
        sa.Column("received", Instant(), nullable=False),
        sa.Column("digested_at", Instant(), nullable=True),
        sa.PrimaryKeyConstraint("row", name="pk_inbox"),
        sqlite_autoincrement=True,
    )
    op.create_index(
        "ix_inbox_waiting",
        "inbox",
        ["row"],
        unique=False,
        sqlite_where=sa.text("digested_at IS NULL"),
        postgresql_where=sa.text("digested_at IS NULL"),
    )
    op.create_table(
        "versions",
        sa.Column("row", ROW, autoincrement=True, nullable=False),
        sa.Column("epr", sa.Text(), nullable=False),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("version", sa.Text(), nullable=False),
        sa.Column("known", Instant(), nullable=False),
        sa.Column("patient", sa.Text(), nullable=False),
        sa.Column("fact", sa.LargeBinary(), nullable=False),
        sa.Column("resource", sa.LargeBinary(), nullable=False),
        sa.Column("kept_at", Instant(), nullable=False),
        sa.PrimaryKeyConstraint("row", name="pk_versions"),
        sa.UniqueConstraint("epr", "type", "id", "version", name="uq_versions_epr_type_id_version"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_versions_epr_patient_known", "versions", ["epr", "patient", "known"], unique=False)


def _create_subjects() -> None:
    op.create_table(
        "subjects",
        sa.Column("epr", sa.Text(), nullable=False),
        sa.Column("patient", sa.Text(), nullable=False),
        sa.Column("wakes_at", Instant(), nullable=True),
        sa.Column("news", ROW, server_default=sa.text("0"), nullable=False),
        sa.Column("turn", ROW, server_default=sa.text("0"), nullable=False),
        sa.Column("holder", sa.Text(), nullable=True),
        sa.Column("held_until", Instant(), nullable=True),
        sa.PrimaryKeyConstraint("epr", "patient", name="pk_subjects"),
    )
    op.create_index(
        "ix_subjects_held_until",
        "subjects",
        ["held_until"],
        unique=False,
        sqlite_where=sa.text("held_until IS NOT NULL"),
        postgresql_where=sa.text("held_until IS NOT NULL"),
    )
    op.create_index("ix_subjects_wakes_at", "subjects", ["wakes_at"], unique=False)


def _create_outcomes() -> None:
    op.create_table(
        "effects",
        sa.Column("row", ROW, autoincrement=True, nullable=False),
        sa.Column("epr", sa.Text(), nullable=False),
        sa.Column("patient", sa.Text(), nullable=False),
        sa.Column("identity", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("at", Instant(), nullable=False),
        sa.Column("effect", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("row", name="pk_effects"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_effects_epr_patient_row", "effects", ["epr", "patient", "row"], unique=False)
    op.create_table(
        "outbox",
        sa.Column("row", ROW, autoincrement=True, nullable=False),
        sa.Column("epr", sa.Text(), nullable=False),
        sa.Column("patient", sa.Text(), nullable=False),
        sa.Column("identity", sa.Text(), nullable=False),
        sa.Column("outgoing", sa.LargeBinary(), nullable=False),
        sa.Column("decided_at", Instant(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("attempts", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("not_before", Instant(), nullable=True),
        sa.Column("last_error", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("settled_at", Instant(), nullable=True),
        sa.PrimaryKeyConstraint("row", name="pk_outbox"),
        sqlite_autoincrement=True,
    )
    op.create_index(
        "ix_outbox_pending",
        "outbox",
        ["epr", "patient", "row"],
        unique=False,
        sqlite_where=sa.text("state = 'pending'"),
        postgresql_where=sa.text("state = 'pending'"),
    )
    op.create_table(
        "written",
        sa.Column("epr", sa.Text(), nullable=False),
        sa.Column("identity", sa.Text(), nullable=False),
        sa.Column("patient", sa.Text(), nullable=False),
        sa.Column("reference", sa.Text(), nullable=False),
        sa.Column("version", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("epr", "identity", name="pk_written"),
    )
    op.create_index("ix_written_epr_patient", "written", ["epr", "patient"], unique=False)
    op.create_index("ix_written_epr_reference", "written", ["epr", "reference"], unique=False)


def _create_subscriptions() -> None:
    op.create_table(
        "subscriptions",
        sa.Column("epr", sa.Text(), nullable=False),
        sa.Column("criteria", sa.Text(), nullable=False),
        sa.Column("reference", sa.Text(), nullable=False),
        sa.Column("secret", sa.Text(), nullable=False),
        sa.Column("since", Instant(), nullable=False),
        sa.PrimaryKeyConstraint("epr", "criteria", name="pk_subscriptions"),
    )
