"""Version 2: events, snapshots, tenants, leads by their transaction id, webhooks by their receiver."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "2"
down_revision = "1"

_HAS_TRANSACTION = sa.text("transaction_id != ''")
_PENDING = sa.text("status = 'pending'")


def upgrade() -> None:
    # Tenants and snapshots came while the version was 1: a store may have them.
    op.create_table(
        "tenants",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("document_json", sa.Text, nullable=False),
        if_not_exists=True,
    )
    op.create_table(
        "snapshots",
        sa.Column("tenant", sa.Text, primary_key=True),
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("document_json", sa.Text, nullable=False),
        if_not_exists=True,
    )
    op.create_table(
        "events",
        *(sa.Column(name, sa.Text, primary_key=True) for name in ("tenant", "platform", "transaction_id", "event_id")),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("times", sa.Integer, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_index(
        "leads_by_transaction",
        "leads",
        ["tenant", "transaction_id", "number"],
        sqlite_where=_HAS_TRANSACTION,
        postgresql_where=_HAS_TRANSACTION,
    )
    op.create_index(
        "outbox_by_receiver",
        "outbox",
        ["tenant", "platform", "buyer_id", "due_at", "id"],
        sqlite_where=_PENDING,
        postgresql_where=_PENDING,
        if_not_exists=True,
    )
