"""The tables of what runs. This package alone writes them."""

from __future__ import annotations

import sqlalchemy as sa

from control_plane.running.canonical import Canonical
from control_plane.storage.columns import Instant, Serial, metadata

_WAITS = sa.text("state = 'waiting'")

# What happens later. `due_at` is the business time and never changes; `try_at` is when a runner may take it (again).
job = sa.Table(
    "job",
    metadata,
    sa.Column("id", Serial, primary_key=True),
    sa.Column("key", sa.Text, nullable=False),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("account", sa.Text),
    sa.Column("due_at", Instant, nullable=False),
    sa.Column("priority", sa.Integer, nullable=False),
    sa.Column("payload", Canonical, nullable=False),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("attempts", sa.Integer, nullable=False),
    sa.Column("try_at", Instant, nullable=False),
    sa.Column("error", sa.Text),
    sa.UniqueConstraint("key"),
    sa.CheckConstraint("state IN ('waiting', 'done', 'cancelled', 'parked')", name="state"),
    sa.Index("ix_job_order", "due_at", "priority", "id", sqlite_where=_WAITS, postgresql_where=_WAITS),
    sa.Index("ix_job_try_at", "try_at", sqlite_where=_WAITS, postgresql_where=_WAITS),
    sa.Index("ix_job_account", "account", "state", "due_at", "priority", "id"),
)

# What somebody of the staff has to look at.
staff_task = sa.Table(
    "staff_task",
    metadata,
    sa.Column("id", Serial, primary_key=True),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("ref", sa.Text, nullable=False),
    sa.Column("account", sa.Text),
    sa.Column("payload", Canonical, nullable=False),
    sa.Column("raised_at", Instant, nullable=False),
    sa.Column("done_at", Instant),
    sa.Column("done_by", sa.Text),
    # One open task a cause, however often it is raised.
    sa.Index(
        "ix_staff_task_open",
        "kind",
        "ref",
        unique=True,
        sqlite_where=sa.text("done_at IS NULL"),
        postgresql_where=sa.text("done_at IS NULL"),
    ),
)

# What leaves the house after the commit: mail and commands to the media server.
outbox = sa.Table(
    "outbox",
    metadata,
    sa.Column("id", Serial, primary_key=True),
    sa.Column("key", sa.Text, nullable=False),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("account", sa.Text),
    sa.Column("payload", Canonical, nullable=False),
    sa.Column("put_at", Instant, nullable=False),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("attempts", sa.Integer, nullable=False),
    sa.Column("try_at", Instant, nullable=False),
    sa.Column("awaited", sa.Boolean, nullable=False),  # somebody sits before a page until it is sent
    sa.Column("error", sa.Text),
    sa.UniqueConstraint("key"),
    sa.CheckConstraint("state IN ('waiting', 'sent', 'refused')", name="state"),
    sa.Index("ix_outbox_waiting", "kind", "awaited", "try_at", "id", sqlite_where=_WAITS, postgresql_where=_WAITS),
    sa.Index("ix_outbox_account", "kind", "account", "state", "id"),
)

# Who did what. Rows are added and never changed (triggers); what names a person is in audit_personal, which may be
# erased.
audit_entry = sa.Table(
    "audit_entry",
    metadata,
    sa.Column("id", Serial, primary_key=True),
    sa.Column("chain", sa.Text, nullable=False),
    sa.Column("number", sa.BigInteger, nullable=False),
    sa.Column("at", Instant, nullable=False),
    sa.Column("actor", sa.Text, nullable=False),
    sa.Column("account", sa.Text),
    sa.Column("code", sa.Text, nullable=False),
    sa.Column("ids", Canonical, nullable=False),
    sa.Column("personal_hash", sa.Text),
    sa.Column("previous", sa.Text, nullable=False),
    sa.Column("hash", sa.Text, nullable=False),
    sa.UniqueConstraint("chain", "number"),
    sa.Index("ix_audit_entry_account", "account", "id"),
)
audit_personal = sa.Table(
    "audit_personal",
    metadata,
    sa.Column("entry", Serial, sa.ForeignKey("audit_entry.id"), primary_key=True, autoincrement=False),
    sa.Column("salt", sa.Text, nullable=False),
    sa.Column("personal", Canonical, nullable=False),
)
# Where each chain ends: a row that is cut off at the end is missed, too.
audit_chain = sa.Table(
    "audit_chain",
    metadata,
    sa.Column("chain", sa.Text, primary_key=True),
    sa.Column("number", sa.BigInteger, nullable=False),
    sa.Column("hash", sa.Text, nullable=False),
)

# What happened in an account, for programs: numbered 1, 2, 3 without a gap.
event = sa.Table(
    "event",
    metadata,
    sa.Column("account", sa.Text, primary_key=True),
    sa.Column("seq", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("id", sa.Text, nullable=False),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("payload", Canonical, nullable=False),
    sa.Column("at", Instant, nullable=False),
    sa.UniqueConstraint("id"),
)
event_counter = sa.Table(
    "event_counter",
    metadata,
    sa.Column("account", sa.Text, primary_key=True),
    sa.Column("last", sa.BigInteger, nullable=False),
)

# Where an account wants its events. `told` is the last event that arrived there.
webhook = sa.Table(
    "webhook",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("account", sa.Text, nullable=False),
    sa.Column("url", sa.Text, nullable=False),
    sa.Column("secret_number", sa.Integer, nullable=False),
    sa.Column("rotated_at", Instant),
    sa.Column("created_at", Instant, nullable=False),
    sa.Column("told", sa.BigInteger, nullable=False),
    sa.Column("try_at", Instant, nullable=False),
    sa.Column("failures", sa.Integer, nullable=False),
    sa.Column("failing_since", Instant),
    sa.Column("error", sa.Text),
    sa.UniqueConstraint("account", "url"),
    sa.Index("ix_webhook_try_at", "try_at"),
)
webhook_attempt = sa.Table(
    "webhook_attempt",
    metadata,
    sa.Column("id", Serial, primary_key=True),
    sa.Column("webhook", sa.Text, sa.ForeignKey("webhook.id", ondelete="CASCADE"), nullable=False),
    sa.Column("seq", sa.BigInteger, nullable=False),
    sa.Column("at", Instant, nullable=False),
    sa.Column("outcome", sa.Text, nullable=False),
    sa.Column("status", sa.Integer),
    sa.Column("error", sa.Text),
    sa.CheckConstraint("outcome IN ('begun', 'delivered', 'failed')", name="outcome"),
    sa.Index("ix_webhook_attempt_webhook", "webhook", "id"),
)
