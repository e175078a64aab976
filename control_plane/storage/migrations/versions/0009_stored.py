"""What is kept of rooms, recordings and files: pieces as they are reported, objects and days as their sums."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009_stored"
down_revision = "0008_outbox_by_kind"


def upgrade() -> None:
    op.create_table(
        "stored_pieces",
        sa.Column("event", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("from_at", sa.BigInteger(), nullable=False),
        sa.Column("to_at", sa.BigInteger(), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("to_at >= from_at", name=op.f("ck_stored_pieces_time")),
        sa.ForeignKeyConstraint(["event"], ["room_events.id"], name=op.f("fk_stored_pieces_event")),
        sa.PrimaryKeyConstraint("event", "name", "from_at", name=op.f("pk_stored_pieces")),
    )
    op.create_table(
        "stored_objects",
        sa.Column("event", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("account", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("removed_at", sa.BigInteger(), nullable=True),
        sa.CheckConstraint("kind in ('', 'recording', 'file')", name=op.f("ck_stored_objects_kind")),
        sa.ForeignKeyConstraint(["event"], ["room_events.id"], name=op.f("fk_stored_objects_event")),
        sa.PrimaryKeyConstraint("event", "name", name=op.f("pk_stored_objects")),
    )
    op.create_index("ix_stored_objects_account", "stored_objects", ["account"])
    op.create_table(
        "recorded_days",
        sa.Column("account", sa.Text(), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("event", sa.Text(), nullable=False),
        sa.Column("recorded_us", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["event"], ["room_events.id"], name=op.f("fk_recorded_days_event")),
        sa.PrimaryKeyConstraint("account", "day", "event", name=op.f("pk_recorded_days")),
    )


def downgrade() -> None:
    op.drop_table("recorded_days")
    op.drop_index("ix_stored_objects_account", "stored_objects")
    op.drop_table("stored_objects")
    op.drop_table("stored_pieces")
