"""Rooms: events with ids that are never given twice, invitations, policies, rooms' runs and what was used."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005_rooms"
down_revision = "0004_legal"


def upgrade() -> None:
    op.create_table(
        "event_numbers",
        sa.Column("number", sa.Text(), nullable=False),
        sa.Column("event", sa.Text(), nullable=False),
        sa.Column("given_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("number", name="pk_event_numbers"),
    )
    op.create_table(
        "room_events",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("account", sa.Text(), nullable=False),
        sa.Column("number", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("access", sa.Text(), nullable=False),
        sa.Column("starts_at", sa.BigInteger()),
        sa.Column("seats", sa.Integer()),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("suspended_for", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("changed_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_room_events"),
        sa.ForeignKeyConstraint(["number"], ["event_numbers.number"], name="fk_room_events_number"),
        sa.UniqueConstraint("number", name="uq_room_events_number"),
        sa.CheckConstraint("kind in ('meeting', 'webinar', 'large')", name="ck_room_events_kind"),
        sa.CheckConstraint("access in ('open', 'invited')", name="ck_room_events_access"),
        sa.CheckConstraint("state in ('planned', 'ended', 'cancelled')", name="ck_room_events_state"),
        sa.CheckConstraint("seats is null or seats > 0", name="ck_room_events_seats"),
    )
    op.create_index("ix_room_events_account_id", "room_events", ["account", "id"])
    op.create_table(
        "room_invitations",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("event", sa.Text(), nullable=False),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("label", sa.Text(), nullable=False),
        sa.Column("token_hash", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("revoked_at", sa.BigInteger()),
        sa.PrimaryKeyConstraint("id", name="pk_room_invitations"),
        sa.ForeignKeyConstraint(["event"], ["room_events.id"], name="fk_room_invitations_event"),
        sa.UniqueConstraint("token_hash", name="uq_room_invitations_token_hash"),
        sa.CheckConstraint("role in ('host', 'presenter', 'attendee')", name="ck_room_invitations_role"),
    )
    op.create_index("ix_room_invitations_event", "room_invitations", ["event"])
    op.create_table(
        "room_policies",
        sa.Column("event", sa.Text(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("seats", sa.Integer(), nullable=False),
        sa.Column("senders", sa.Integer(), nullable=False),
        sa.Column("closed", sa.Boolean(), nullable=False),
        sa.Column("changed_at", sa.BigInteger(), nullable=False),
        sa.Column("acknowledged", sa.BigInteger(), nullable=False),
        sa.Column("acknowledged_at", sa.BigInteger()),
        sa.PrimaryKeyConstraint("event", name="pk_room_policies"),
        sa.ForeignKeyConstraint(["event"], ["room_events.id"], name="fk_room_policies_event"),
    )
    op.create_table(
        "room_put_out",
        sa.Column("event", sa.Text(), nullable=False),
        sa.Column("identity", sa.Text(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("event", "identity", name="pk_room_put_out"),
        sa.ForeignKeyConstraint(["event"], ["room_events.id"], name="fk_room_put_out_event"),
    )
    op.create_table(
        "room_runs",
        sa.Column("boot", sa.Text(), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("event", sa.Text(), nullable=False),
        sa.Column("opened_at", sa.BigInteger()),
        sa.Column("ended_at", sa.BigInteger()),
        sa.PrimaryKeyConstraint("boot", "number", name="pk_room_runs"),
        sa.ForeignKeyConstraint(["event"], ["room_events.id"], name="fk_room_runs_event"),
    )
    op.create_index("ix_room_runs_event", "room_runs", ["event"])
    op.create_table(
        "usage_records",
        sa.Column("event", sa.Text(), nullable=False),
        sa.Column("participant", sa.Text(), nullable=False),
        sa.Column("from_at", sa.BigInteger(), nullable=False),
        sa.Column("to_at", sa.BigInteger(), nullable=False),
        sa.Column("identity", sa.Text(), nullable=False),
        sa.Column("sender", sa.Boolean(), nullable=False),
        sa.Column("received_bytes", sa.BigInteger(), nullable=False),
        sa.Column("sent_bytes", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("event", "participant", "from_at", "to_at", name="pk_usage_records"),
        sa.ForeignKeyConstraint(["event"], ["room_events.id"], name="fk_usage_records_event"),
        sa.CheckConstraint("to_at > from_at", name="ck_usage_records_time"),
    )


def downgrade() -> None:
    """Newest first: what refers to another goes before it."""
    for table in (
        "usage_records",
        "room_runs",
        "room_put_out",
        "room_policies",
        "room_invitations",
        "room_events",
        "event_numbers",
    ):
        op.drop_table(table)
