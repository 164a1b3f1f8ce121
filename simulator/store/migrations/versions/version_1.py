"""Version 1 is where stores begin; nothing leads to it."""

revision = "1"
down_revision = None


def upgrade() -> None:
    """Do nothing: there is no version 0."""
