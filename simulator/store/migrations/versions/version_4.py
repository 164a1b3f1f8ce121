"""Version 4: persons are found by their lead only until somebody has bought it; most are sold when they are claimed."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "4"
down_revision = "3"


def upgrade() -> None:
    unsold = sa.text("buyer_id = ''")
    op.drop_index("persons_by_lead", "persons")
    op.create_index(
        "persons_unsold", "persons", ["tenant", "lead_id", "buyer_id"], sqlite_where=unsold, postgresql_where=unsold
    )
