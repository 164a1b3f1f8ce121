"""Version 3: what several simulators of one store must know of each other; what each lead took."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "3"
down_revision = "2"


def upgrade() -> None:
    op.add_column("pings", sa.Column("owner", sa.Text))
    op.add_column("outbox", sa.Column("sender", sa.Text))
    op.add_column("leads", sa.Column("booking_json", sa.Text))  # older leads do not say
    op.create_table(
        "simulators",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("beat", sa.DateTime(timezone=True), nullable=False),
        sa.Column("seen", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "changes",
        sa.Column("tenant", sa.Text, primary_key=True),
        sa.Column("version", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "faults",
        sa.Column("tenant", sa.Text, primary_key=True),
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("most", sa.BigInteger),
        sa.Column("fired", sa.BigInteger, nullable=False),
        sa.Column("document_json", sa.Text, nullable=False),
    )
