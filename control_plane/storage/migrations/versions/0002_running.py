"""Jobs, tasks for the staff, outbox, audit, events and webhooks."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002_running"
down_revision = "0001_ledger"
branch_labels = None
depends_on = None

_serial = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_instant = sa.BigInteger()
_waits = sa.text("state = 'waiting'")
# Nobody changes what has been written down, not even by a slip of ours.
_FROZEN = {"audit_entry": ("UPDATE", "DELETE"), "audit_personal": ("UPDATE",)}


def upgrade() -> None:
    _jobs()
    _outbox()
    _audit()
    _events()
    for table, verbs in _FROZEN.items():
        _freeze(table, verbs)


def downgrade() -> None:
    for table in (
        "webhook_attempt",
        "webhook",
        "event_counter",
        "event",
        "audit_chain",
        "audit_personal",
        "audit_entry",
        "outbox",
        "staff_task",
        "job",
    ):
        op.drop_table(table)
    if op.get_bind().dialect.name == "postgresql":
        op.execute("DROP FUNCTION audit_is_append_only()")


def _jobs() -> None:
    op.create_table(
        "job",
        sa.Column("id", _serial, primary_key=True),
        sa.Column("key", sa.Text, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("account", sa.Text),
        sa.Column("due_at", _instant, nullable=False),
        sa.Column("priority", sa.Integer, nullable=False),
        sa.Column("payload", sa.Text, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("try_at", _instant, nullable=False),
        sa.Column("error", sa.Text),
        sa.UniqueConstraint("key"),
        sa.CheckConstraint("state IN ('waiting', 'done', 'cancelled', 'parked')", name="state"),
    )
    op.create_index("ix_job_order", "job", ["due_at", "priority", "id"], sqlite_where=_waits, postgresql_where=_waits)
    op.create_index("ix_job_try_at", "job", ["try_at"], sqlite_where=_waits, postgresql_where=_waits)
    op.create_index("ix_job_account", "job", ["account", "state", "due_at", "priority", "id"])
    op.create_table(
        "staff_task",
        sa.Column("id", _serial, primary_key=True),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("ref", sa.Text, nullable=False),
        sa.Column("account", sa.Text),
        sa.Column("payload", sa.Text, nullable=False),
        sa.Column("raised_at", _instant, nullable=False),
        sa.Column("done_at", _instant),
        sa.Column("done_by", sa.Text),
    )
    is_open = sa.text("done_at IS NULL")
    op.create_index(
        "ix_staff_task_open",
        "staff_task",
        ["kind", "ref"],
        unique=True,
        sqlite_where=is_open,
        postgresql_where=is_open,
    )


def _outbox() -> None:
    op.create_table(
        "outbox",
        sa.Column("id", _serial, primary_key=True),
        sa.Column("key", sa.Text, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("account", sa.Text),
        sa.Column("payload", sa.Text, nullable=False),
        sa.Column("put_at", _instant, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("try_at", _instant, nullable=False),
        sa.Column("error", sa.Text),
        sa.UniqueConstraint("key"),
        sa.CheckConstraint("state IN ('waiting', 'sent', 'refused')", name="state"),
    )
    op.create_index("ix_outbox_try_at", "outbox", ["try_at"], sqlite_where=_waits, postgresql_where=_waits)
    op.create_index("ix_outbox_account", "outbox", ["kind", "account", "state", "id"])


def _audit() -> None:
    op.create_table(
        "audit_entry",
        sa.Column("id", _serial, primary_key=True),
        sa.Column("chain", sa.Text, nullable=False),
        sa.Column("number", sa.BigInteger, nullable=False),
        sa.Column("at", _instant, nullable=False),
        sa.Column("actor", sa.Text, nullable=False),
        sa.Column("account", sa.Text),
        sa.Column("code", sa.Text, nullable=False),
        sa.Column("ids", sa.Text, nullable=False),
        sa.Column("personal_hash", sa.Text),
        sa.Column("previous", sa.Text, nullable=False),
        sa.Column("hash", sa.Text, nullable=False),
        sa.UniqueConstraint("chain", "number"),
    )
    op.create_index("ix_audit_entry_account", "audit_entry", ["account", "id"])
    op.create_table(
        "audit_personal",
        sa.Column("entry", _serial, sa.ForeignKey("audit_entry.id"), primary_key=True, autoincrement=False),
        sa.Column("salt", sa.Text, nullable=False),
        sa.Column("personal", sa.Text, nullable=False),
    )
    op.create_table(
        "audit_chain",
        sa.Column("chain", sa.Text, primary_key=True),
        sa.Column("number", sa.BigInteger, nullable=False),
        sa.Column("hash", sa.Text, nullable=False),
    )


def _events() -> None:
    op.create_table(
        "event",
        sa.Column("account", sa.Text, primary_key=True),
        sa.Column("seq", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("payload", sa.Text, nullable=False),
        sa.Column("at", _instant, nullable=False),
        sa.UniqueConstraint("id"),
    )
    op.create_table(
        "event_counter",
        sa.Column("account", sa.Text, primary_key=True),
        sa.Column("last", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "webhook",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("account", sa.Text, nullable=False),
        sa.Column("url", sa.Text, nullable=False),
        sa.Column("secret_number", sa.Integer, nullable=False),
        sa.Column("rotated_at", _instant),
        sa.Column("created_at", _instant, nullable=False),
        sa.Column("told", sa.BigInteger, nullable=False),
        sa.Column("try_at", _instant, nullable=False),
        sa.Column("failures", sa.Integer, nullable=False),
        sa.Column("failing_since", _instant),
        sa.Column("error", sa.Text),
        sa.UniqueConstraint("account", "url"),
    )
    op.create_index("ix_webhook_try_at", "webhook", ["try_at"])
    op.create_table(
        "webhook_attempt",
        sa.Column("id", _serial, primary_key=True),
        sa.Column("webhook", sa.Text, sa.ForeignKey("webhook.id", ondelete="CASCADE"), nullable=False),
        sa.Column("seq", sa.BigInteger, nullable=False),
        sa.Column("at", _instant, nullable=False),
        sa.Column("outcome", sa.Text, nullable=False),
        sa.Column("status", sa.Integer),
        sa.Column("error", sa.Text),
        sa.CheckConstraint("outcome IN ('begun', 'delivered', 'failed')", name="outcome"),
    )
    op.create_index("ix_webhook_attempt_webhook", "webhook_attempt", ["webhook", "id"])


def _freeze(table: str, verbs: tuple[str, ...]) -> None:
    if op.get_bind().dialect.name == "sqlite":
        for verb in verbs:
            op.execute(
                f"CREATE TRIGGER {table}_no_{verb.lower()} BEFORE {verb} ON {table} "
                f"BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END"
            )
        return
    op.execute(
        "CREATE OR REPLACE FUNCTION audit_is_append_only() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN RAISE EXCEPTION '% is append-only', TG_TABLE_NAME USING ERRCODE = 'integrity_constraint_violation'; "
        "END $$"
    )
    op.execute(
        f"CREATE TRIGGER {table}_append_only BEFORE {' OR '.join(verbs)} ON {table} "
        "FOR EACH ROW EXECUTE FUNCTION audit_is_append_only()"
    )
    if "DELETE" in verbs:
        op.execute(
            f"CREATE TRIGGER {table}_no_truncate BEFORE TRUNCATE ON {table} "
            "FOR EACH STATEMENT EXECUTE FUNCTION audit_is_append_only()"
        )
