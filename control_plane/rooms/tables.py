"""The tables of the rooms area; only this package writes them. Invitations are kept as the SHA-256 of their token."""

from __future__ import annotations

import sqlalchemy as sa

from control_plane.storage.columns import Instant, metadata

# Every id that was ever given, so that none is given twice; it outlives its event.
event_numbers = sa.Table(
    "event_numbers",
    metadata,
    sa.Column("number", sa.Text, primary_key=True),
    sa.Column("event", sa.Text, nullable=False),
    sa.Column("given_at", Instant, nullable=False),
)

room_events = sa.Table(
    "room_events",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("account", sa.Text, nullable=False),
    sa.Column("number", sa.Text, sa.ForeignKey("event_numbers.number"), nullable=False, unique=True),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("title", sa.Text, nullable=False),
    sa.Column("access", sa.Text, nullable=False),  # "open": the id is enough; "invited": a link is needed
    sa.Column("listed", sa.Boolean, nullable=False),  # on the account's public page, if it is open
    sa.Column("starts_at", Instant),
    sa.Column("seats", sa.Integer),  # as the host wished; none = as many as the plan gives
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("suspended_for", sa.Text, nullable=False),  # code of the reason; "" = not suspended
    sa.Column("created_at", Instant, nullable=False),
    sa.Column("changed_at", Instant, nullable=False),
    sa.CheckConstraint("kind in ('meeting', 'webinar', 'large')", name="kind"),
    sa.CheckConstraint("access in ('open', 'invited')", name="access"),
    sa.CheckConstraint("state in ('planned', 'ended', 'cancelled')", name="state"),
    sa.CheckConstraint("seats is null or seats > 0", name="seats"),
    sa.Index(None, "account", "id"),
)

invitations = sa.Table(
    "room_invitations",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("event", sa.Text, sa.ForeignKey("room_events.id"), nullable=False, index=True),
    sa.Column("role", sa.Text, nullable=False),
    sa.Column("label", sa.Text, nullable=False),  # for the host's own list
    sa.Column("token_hash", sa.Text, nullable=False, unique=True),
    sa.Column("created_at", Instant, nullable=False),
    sa.Column("revoked_at", Instant),
    sa.CheckConstraint("role in ('host', 'presenter', 'attendee')", name="role"),
)

# What the media server is ordered of each event's room. `version` only rises; `acknowledged` is what it has told back.
policies = sa.Table(
    "room_policies",
    metadata,
    sa.Column("event", sa.Text, sa.ForeignKey("room_events.id"), primary_key=True),
    sa.Column("version", sa.BigInteger, nullable=False),
    sa.Column("seats", sa.Integer, nullable=False),
    sa.Column("senders", sa.Integer, nullable=False),
    sa.Column("closed", sa.Boolean, nullable=False),
    sa.Column("changed_at", Instant, nullable=False),
    sa.Column("acknowledged", sa.BigInteger, nullable=False),
    sa.Column("acknowledged_at", Instant),
)

put_out = sa.Table(
    "room_put_out",
    metadata,
    sa.Column("event", sa.Text, sa.ForeignKey("room_events.id"), primary_key=True),
    sa.Column("identity", sa.Text, primary_key=True),
    sa.Column("at", Instant, nullable=False),
)

# One life of a room on the media server, from the first who came in to the last who left.
runs = sa.Table(
    "room_runs",
    metadata,
    sa.Column("boot", sa.Text, primary_key=True),  # of the media server
    sa.Column("number", sa.BigInteger, primary_key=True),  # of the room within it
    sa.Column("event", sa.Text, sa.ForeignKey("room_events.id"), nullable=False, index=True),
    sa.Column("opened_at", Instant),
    sa.Column("ended_at", Instant),
)

# Who used what. The primary key is the record's own name: the same one again changes nothing.
usage_records = sa.Table(
    "usage_records",
    metadata,
    sa.Column("event", sa.Text, sa.ForeignKey("room_events.id"), primary_key=True),
    sa.Column("participant", sa.Text, primary_key=True),
    sa.Column("from_at", Instant, primary_key=True),
    sa.Column("to_at", Instant, primary_key=True),
    sa.Column("identity", sa.Text, nullable=False),
    sa.Column("sender", sa.Boolean, nullable=False),
    sa.Column("received_bytes", sa.BigInteger, nullable=False),
    sa.Column("sent_bytes", sa.BigInteger, nullable=False),
    sa.CheckConstraint("to_at > from_at", name="time"),
    sa.Index("ix_usage_records_event_to_at", "event", "to_at"),
)

# What was used on a day (UTC), summed as records come, so that a month is read at once. A record counts on the day on
# which it begins. `most` people were in at once, `most_senders` of them might send.
usage_days = sa.Table(
    "usage_days",
    metadata,
    sa.Column("account", sa.Text, primary_key=True),
    sa.Column("day", sa.Date, primary_key=True),
    sa.Column("event", sa.Text, sa.ForeignKey("room_events.id"), primary_key=True),
    sa.Column("participant_us", sa.BigInteger, nullable=False),  # microseconds of all together
    sa.Column("most", sa.Integer, nullable=False),
    sa.Column("most_senders", sa.Integer, nullable=False),
)

# What came to be kept of a room's recordings and files. The primary key is the record's own name.
stored_pieces = sa.Table(
    "stored_pieces",
    metadata,
    sa.Column("event", sa.Text, sa.ForeignKey("room_events.id"), primary_key=True),
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("from_at", Instant, primary_key=True),
    sa.Column("to_at", Instant, nullable=False),
    sa.Column("size_bytes", sa.BigInteger, nullable=False),
    sa.CheckConstraint("to_at >= from_at", name="time"),
)

# Their sums by object; `kind` is "" where it was told to be gone before it was told what it is.
stored_objects = sa.Table(
    "stored_objects",
    metadata,
    sa.Column("event", sa.Text, sa.ForeignKey("room_events.id"), primary_key=True),
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("account", sa.Text, nullable=False, index=True),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("size_bytes", sa.BigInteger, nullable=False),
    sa.Column("removed_at", Instant),
    sa.CheckConstraint("kind in ('', 'recording', 'file')", name="kind"),
)

# What was recorded on a day (UTC), summed as records come.
recorded_days = sa.Table(
    "recorded_days",
    metadata,
    sa.Column("account", sa.Text, primary_key=True),
    sa.Column("day", sa.Date, primary_key=True),
    sa.Column("event", sa.Text, sa.ForeignKey("room_events.id"), primary_key=True),
    sa.Column("recorded_us", sa.BigInteger, nullable=False),  # microseconds of all recordings together
)
