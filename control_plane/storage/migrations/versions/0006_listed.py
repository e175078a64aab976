"""Rooms: whether an event stands on its account's public page. Those from before do not: nobody asked for it."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006_listed"
down_revision = "0005_rooms"


def upgrade() -> None:
    op.add_column("room_events", sa.Column("listed", sa.Boolean(), nullable=False, server_default=sa.false()))


def downgrade() -> None:
    op.drop_column("room_events", "listed")
