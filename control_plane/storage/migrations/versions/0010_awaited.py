"""What somebody waits for before a page leaves the outbox before the rest of its kind."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0010_awaited"
down_revision = "0009_stored"

_waits = sa.text("state = 'waiting'")


def upgrade() -> None:
    op.add_column("outbox", sa.Column("awaited", sa.Boolean(), nullable=False, server_default=sa.false()))
    _index("kind", "awaited", "try_at", "id")


def downgrade() -> None:
    _index("kind", "try_at", "id")
    op.drop_column("outbox", "awaited")


def _index(*columns: str) -> None:
    op.drop_index("ix_outbox_waiting", "outbox")
    op.create_index("ix_outbox_waiting", "outbox", list(columns), sqlite_where=_waits, postgresql_where=_waits)
