"""Billing: subscriptions, periods, add-ons, cards, invoices, payments, refunds, disputes, credit, revenue, prices.

The database itself keeps that no two periods of an account share a day, and that a paid invoice is never changed.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007_billing"
down_revision = "0006_listed"

SERIAL = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
# From the last one that others refer to backwards.
TABLES = (
    *("gateway_events", "disputes", "refunds", "periods", "payments", "deferrals", "subscriptions", "payers"),
    *("invoices", "credits", "cards", "add_ons", "prices", "price_changes", "invoice_series"),
    *("limit_notices", "usage_days", "awaited_disputes"),
)
# Another period of the account with a day of this one; what was cut off ends on that day.
OVERLAP = (
    'SELECT 1 FROM periods other WHERE other.account = NEW.account AND other."first" < NEW."end"'
    ' AND coalesce(other.cut_on, other."end") > NEW."first" AND other.id <> NEW.id'
)
# Refunds and lost or open disputes of a payment.
EXCEEDS = (
    "SELECT 1 FROM payments WHERE payments.key = NEW.payment AND payments.received <"
    " (SELECT coalesce(sum(amount), 0) FROM refunds WHERE refunds.payment = NEW.payment AND refunds.state <> 'failed')"
    " + (SELECT coalesce(sum(amount), 0) FROM disputes WHERE disputes.payment = NEW.payment"
    " AND disputes.state IN ('open', 'lost'))"
)
PAID = "OLD.state = 'paid' AND (NEW.state <> OLD.state OR NEW.document <> OLD.document OR NEW.number <> OLD.number)"


def sqlite() -> list[str]:
    made = [
        f"CREATE TRIGGER periods_no_overlap AFTER INSERT ON periods WHEN EXISTS ({OVERLAP})"
        " BEGIN SELECT RAISE(ABORT, 'billing.overlap'); END",
        f"CREATE TRIGGER invoices_paid_stay BEFORE UPDATE ON invoices WHEN {PAID}"
        " BEGIN SELECT RAISE(ABORT, 'billing.paid_stays'); END",
        "CREATE TRIGGER invoices_paid_no_delete BEFORE DELETE ON invoices WHEN OLD.state = 'paid'"
        " BEGIN SELECT RAISE(ABORT, 'billing.paid_stays'); END",
    ]
    for table in ("refunds", "disputes"):
        for verb in ("INSERT", "UPDATE"):
            made.append(
                f"CREATE TRIGGER {table}_within_{verb.lower()} AFTER {verb} ON {table} WHEN EXISTS ({EXCEEDS})"
                " BEGIN SELECT RAISE(ABORT, 'billing.exceeds'); END"
            )
    return made


def postgresql() -> list[str]:
    made = []
    for name, when, table, question in (
        ("periods_no_overlap", "AFTER INSERT", "periods", f"EXISTS ({OVERLAP})"),
        ("invoices_paid_stay", "BEFORE UPDATE", "invoices", PAID),
        ("refunds_within", "AFTER INSERT OR UPDATE", "refunds", f"EXISTS ({EXCEEDS})"),
        ("disputes_within", "AFTER INSERT OR UPDATE", "disputes", f"EXISTS ({EXCEEDS})"),
    ):
        code = {"periods": "overlap", "invoices": "paid_stays"}.get(table, "exceeds")
        made.append(
            f"CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN IF {question} THEN"
            f" RAISE EXCEPTION 'billing.{code}' USING ERRCODE = 'check_violation'; END IF; RETURN NEW; END $$"
        )
        made.append(f"CREATE TRIGGER {name} {when} ON {table} FOR EACH ROW EXECUTE FUNCTION {name}()")
    made.append(
        "CREATE FUNCTION invoices_paid_no_delete() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
        " IF OLD.state = 'paid' THEN"
        " RAISE EXCEPTION 'billing.paid_stays' USING ERRCODE = 'check_violation'; END IF; RETURN OLD; END $$"
    )
    made.append(
        "CREATE TRIGGER invoices_paid_no_delete BEFORE DELETE ON invoices"
        " FOR EACH ROW EXECUTE FUNCTION invoices_paid_no_delete()"
    )
    return made


def upgrade() -> None:
    # The ledger's kinds are never taken out again (0001_ledger), so it may be there already.
    op.execute(
        "INSERT INTO ledger_kind (name, side, may_go_negative)"
        " SELECT 'promotions', 1, TRUE WHERE NOT EXISTS (SELECT 1 FROM ledger_kind WHERE name = 'promotions')"
    )
    op.create_table(
        "gateway_events",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("about", sa.Text(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("received_at", sa.BigInteger(), nullable=False),
        sa.Column("applied", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_gateway_events")),
    )
    op.create_index("ix_gateway_events_about_at", "gateway_events", ["about", "at"], unique=False)
    op.create_table(
        "awaited_disputes",
        sa.Column("reference", sa.Text(), nullable=False),
        sa.Column("charge", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("reference", name=op.f("pk_awaited_disputes")),
    )
    op.create_index(op.f("ix_awaited_disputes_charge"), "awaited_disputes", ["charge"], unique=False)
    op.create_table(
        "limit_notices",
        sa.Column("account", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("level", sa.Text(), nullable=False),
        sa.Column("period", sa.Date(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("level in ('near', 'reached')", name=op.f("ck_limit_notices_level")),
        sa.ForeignKeyConstraint(["account"], ["accounts.id"], name=op.f("fk_limit_notices_account")),
        sa.PrimaryKeyConstraint("account", "name", "level", "period", name=op.f("pk_limit_notices")),
    )
    op.create_table(
        "usage_days",
        sa.Column("account", sa.Text(), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("event", sa.Text(), nullable=False),
        sa.Column("participant_us", sa.BigInteger(), nullable=False),
        sa.Column("most", sa.Integer(), nullable=False),
        sa.Column("most_senders", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["event"], ["room_events.id"], name=op.f("fk_usage_days_event")),
        sa.PrimaryKeyConstraint("account", "day", "event", name=op.f("pk_usage_days")),
    )
    op.create_index("ix_usage_records_event_to_at", "usage_records", ["event", "to_at"], unique=False)
    op.create_table(
        "invoice_series",
        sa.Column("series", sa.Text(), nullable=False),
        sa.Column("last", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("series", name=op.f("pk_invoice_series")),
    )
    op.create_table(
        "price_changes",
        sa.Column("price", sa.Text(), nullable=False),
        sa.Column("what", sa.Text(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.CheckConstraint("what in ('notice', 'withdrawal')", name=op.f("ck_price_changes_what")),
        sa.PrimaryKeyConstraint("price", "what", name=op.f("pk_price_changes")),
    )
    op.create_table(
        "prices",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("item", sa.Text(), nullable=False),
        sa.Column("cycle", sa.Text(), nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("minor", sa.BigInteger(), nullable=False),
        sa.Column("published_at", sa.BigInteger(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.CheckConstraint("minor >= 0", name=op.f("ck_prices_minor")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_prices")),
    )
    op.create_table(
        "add_ons",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("account", sa.Text(), nullable=False),
        sa.Column("add_on", sa.Text(), nullable=False),
        sa.Column("quantity", sa.Integer(), nullable=False),
        sa.Column("price", sa.Text(), nullable=False),
        sa.Column("recurring", sa.Boolean(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("bought_at", sa.BigInteger(), nullable=False),
        sa.Column("paid_until", sa.Date(), nullable=True),
        sa.Column("cancelled_at", sa.BigInteger(), nullable=True),
        sa.Column("left", sa.BigInteger(), nullable=True),
        sa.CheckConstraint("state in ('ordered', 'active', 'over')", name=op.f("ck_add_ons_state")),
        sa.CheckConstraint("quantity > 0", name=op.f("ck_add_ons_quantity")),
        sa.CheckConstraint('"left" >= 0', name=op.f("ck_add_ons_left")),
        sa.ForeignKeyConstraint(["account"], ["accounts.id"], name=op.f("fk_add_ons_account")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_add_ons")),
    )
    op.create_index(op.f("ix_add_ons_account"), "add_ons", ["account"], unique=False)
    op.create_table(
        "cards",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("account", sa.Text(), nullable=False),
        sa.Column("setup", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("token", sa.Text(), nullable=False),
        sa.Column("brand", sa.Text(), nullable=False),
        sa.Column("last4", sa.Text(), nullable=False),
        sa.Column("year", sa.Integer(), nullable=False),
        sa.Column("month", sa.Integer(), nullable=False),
        sa.Column("given_at", sa.BigInteger(), nullable=False),
        sa.Column("removed_at", sa.BigInteger(), nullable=True),
        sa.CheckConstraint("state in ('awaited', 'saved', 'declined', 'removed')", name=op.f("ck_cards_state")),
        sa.ForeignKeyConstraint(["account"], ["accounts.id"], name=op.f("fk_cards_account")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_cards")),
        sa.UniqueConstraint("setup", name=op.f("uq_cards_setup")),
    )
    op.create_index(op.f("ix_cards_account"), "cards", ["account"], unique=False)
    op.create_index(
        "uq_cards_account_saved",
        "cards",
        ["account"],
        unique=True,
        sqlite_where=sa.text("state = 'saved'"),
        postgresql_where=sa.text("state = 'saved'"),
    )
    op.create_table(
        "credits",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("account", sa.Text(), nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.Column("left", sa.BigInteger(), nullable=False),
        sa.Column("promotional", sa.Boolean(), nullable=False),
        sa.Column("cause", sa.Text(), nullable=False),
        sa.Column("since", sa.BigInteger(), nullable=False),
        sa.CheckConstraint('"left" BETWEEN 0 AND amount AND amount > 0', name=op.f("ck_credits_left")),
        sa.ForeignKeyConstraint(["account"], ["accounts.id"], name=op.f("fk_credits_account")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_credits")),
    )
    op.create_index(op.f("ix_credits_account"), "credits", ["account"], unique=False)
    op.create_table(
        "invoices",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("account", sa.Text(), nullable=False),
        sa.Column("seq", sa.Integer(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("number", sa.Text(), nullable=True),
        sa.Column("document", sa.Text(), nullable=False),
        sa.Column("purpose", sa.JSON(), nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("gross", sa.BigInteger(), nullable=False),
        sa.Column("payable", sa.BigInteger(), nullable=False),
        sa.Column("corrects", sa.Text(), nullable=True),
        sa.Column("made_at", sa.BigInteger(), nullable=False),
        sa.Column("paid_at", sa.BigInteger(), nullable=True),
        sa.CheckConstraint("(corrects IS NOT NULL) = (kind = 'credit_note')", name=op.f("ck_invoices_corrects")),
        sa.CheckConstraint("(number IS NOT NULL) = (state = 'paid')", name=op.f("ck_invoices_numbered")),
        sa.CheckConstraint("kind in ('invoice', 'credit_note')", name=op.f("ck_invoices_kind")),
        sa.CheckConstraint("state in ('open', 'paid', 'void', 'uncollectible')", name=op.f("ck_invoices_state")),
        sa.ForeignKeyConstraint(["account"], ["accounts.id"], name=op.f("fk_invoices_account")),
        sa.ForeignKeyConstraint(["corrects"], ["invoices.id"], name=op.f("fk_invoices_corrects")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_invoices")),
        sa.UniqueConstraint("account", "seq", name=op.f("uq_invoices_account_seq")),
        sa.UniqueConstraint("number", name=op.f("uq_invoices_number")),
    )
    op.create_table(
        "payers",
        sa.Column("account", sa.Text(), nullable=False),
        sa.Column("payer", sa.Text(), nullable=False),
        sa.Column("country", sa.Text(), nullable=False),
        sa.Column("discount", sa.Text(), nullable=False),
        sa.Column("discount_until", sa.Date(), nullable=True),
        sa.ForeignKeyConstraint(["account"], ["accounts.id"], name=op.f("fk_payers_account")),
        sa.PrimaryKeyConstraint("account", name=op.f("pk_payers")),
    )
    op.create_table(
        "subscriptions",
        sa.Column("account", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("plan", sa.Text(), nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("price", sa.Text(), nullable=False),
        sa.Column("machine", sa.Text(), nullable=False),
        sa.CheckConstraint(
            "state in ('none', 'trial', 'active', 'frozen', 'expired', 'ended')", name=op.f("ck_subscriptions_state")
        ),
        sa.ForeignKeyConstraint(["account"], ["accounts.id"], name=op.f("fk_subscriptions_account")),
        sa.PrimaryKeyConstraint("account", name=op.f("pk_subscriptions")),
    )
    op.create_table(
        "deferrals",
        sa.Column("id", SERIAL, nullable=False),
        sa.Column("account", sa.Text(), nullable=False),
        sa.Column("invoice", sa.Text(), nullable=False),
        sa.Column("line", sa.Integer(), nullable=False),
        sa.Column("revenue", sa.Text(), nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("net", sa.BigInteger(), nullable=False),
        sa.Column("first", sa.Date(), nullable=False),
        sa.Column("days", sa.Integer(), nullable=False),
        sa.Column("earned_days", sa.Integer(), nullable=False),
        sa.Column("over", sa.Boolean(), nullable=False),
        sa.CheckConstraint("earned_days BETWEEN 0 AND days", name=op.f("ck_deferrals_earned")),
        sa.ForeignKeyConstraint(["account"], ["accounts.id"], name=op.f("fk_deferrals_account")),
        sa.ForeignKeyConstraint(["invoice"], ["invoices.id"], name=op.f("fk_deferrals_invoice")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_deferrals")),
    )
    op.create_index("ix_deferrals_account_over", "deferrals", ["account", "over"], unique=False)
    op.create_index(op.f("ix_deferrals_invoice"), "deferrals", ["invoice"], unique=False)
    op.create_table(
        "payments",
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("invoice", sa.Text(), nullable=False),
        sa.Column("account", sa.Text(), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("present", sa.Boolean(), nullable=False),
        sa.Column("payer", sa.Text(), nullable=False),
        sa.Column("token", sa.Text(), nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.Column("received", sa.BigInteger(), nullable=False),
        sa.Column("reference", sa.Text(), nullable=False),
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("link", sa.Text(), nullable=False),
        sa.Column("made_at", sa.BigInteger(), nullable=False),
        sa.Column("ended_at", sa.BigInteger(), nullable=True),
        sa.CheckConstraint(
            "state in ('processing', 'needs_action', 'succeeded', 'failed')", name=op.f("ck_payments_state")
        ),
        sa.ForeignKeyConstraint(["account"], ["accounts.id"], name=op.f("fk_payments_account")),
        sa.ForeignKeyConstraint(["invoice"], ["invoices.id"], name=op.f("fk_payments_invoice")),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_payments")),
        sa.UniqueConstraint("invoice", "attempt", name=op.f("uq_payments_invoice_attempt")),
    )
    op.create_index(op.f("ix_payments_invoice"), "payments", ["invoice"], unique=False)
    op.create_index(op.f("ix_payments_reference"), "payments", ["reference"], unique=False)
    op.create_table(
        "periods",
        sa.Column("id", SERIAL, nullable=False),
        sa.Column("account", sa.Text(), nullable=False),
        sa.Column("first", sa.Date(), nullable=False),
        sa.Column("end", sa.Date(), nullable=False),
        sa.Column("plan", sa.Text(), nullable=False),
        sa.Column("price", sa.Text(), nullable=False),
        sa.Column("invoice", sa.Text(), nullable=False),
        sa.Column("cut_on", sa.Date(), nullable=True),
        sa.CheckConstraint('"first" < "end"', name=op.f("ck_periods_days")),
        sa.ForeignKeyConstraint(["account"], ["accounts.id"], name=op.f("fk_periods_account")),
        sa.ForeignKeyConstraint(["invoice"], ["invoices.id"], name=op.f("fk_periods_invoice")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_periods")),
    )
    op.create_table(
        "disputes",
        sa.Column("reference", sa.Text(), nullable=False),
        sa.Column("payment", sa.Text(), nullable=False),
        sa.Column("account", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.Column("opened_at", sa.BigInteger(), nullable=False),
        sa.Column("ended_at", sa.BigInteger(), nullable=True),
        sa.CheckConstraint("state in ('inquiry', 'open', 'won', 'lost')", name=op.f("ck_disputes_state")),
        sa.ForeignKeyConstraint(["account"], ["accounts.id"], name=op.f("fk_disputes_account")),
        sa.ForeignKeyConstraint(["payment"], ["payments.key"], name=op.f("fk_disputes_payment")),
        sa.PrimaryKeyConstraint("reference", name=op.f("pk_disputes")),
    )
    op.create_index(op.f("ix_disputes_account"), "disputes", ["account"], unique=False)
    op.create_index(op.f("ix_disputes_payment"), "disputes", ["payment"], unique=False)
    op.create_index("ix_periods_account_first", "periods", ["account", "first"], unique=False)
    op.create_table(
        "refunds",
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("credit_note", sa.Text(), nullable=False),
        sa.Column("account", sa.Text(), nullable=False),
        sa.Column("payment", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.Column("reference", sa.Text(), nullable=False),
        sa.Column("made_at", sa.BigInteger(), nullable=False),
        sa.Column("ended_at", sa.BigInteger(), nullable=True),
        sa.CheckConstraint("state in ('processing', 'arrived', 'failed')", name=op.f("ck_refunds_state")),
        sa.ForeignKeyConstraint(["account"], ["accounts.id"], name=op.f("fk_refunds_account")),
        sa.ForeignKeyConstraint(["credit_note"], ["invoices.id"], name=op.f("fk_refunds_credit_note")),
        sa.ForeignKeyConstraint(["payment"], ["payments.key"], name=op.f("fk_refunds_payment")),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_refunds")),
        sa.UniqueConstraint("credit_note", name=op.f("uq_refunds_credit_note")),
    )
    op.create_index(op.f("ix_refunds_account"), "refunds", ["account"], unique=False)
    op.create_index(op.f("ix_refunds_payment"), "refunds", ["payment"], unique=False)
    for statement in sqlite() if op.get_bind().dialect.name == "sqlite" else postgresql():
        op.execute(statement)


def downgrade() -> None:
    """A table's triggers go with it. The ledger's new kind stays: its table is append-only, and lines may be of it."""
    op.drop_index("ix_usage_records_event_to_at", "usage_records")
    for table in TABLES:
        op.drop_table(table)
    if op.get_bind().dialect.name == "postgresql":
        for function in (
            *("periods_no_overlap", "invoices_paid_stay", "invoices_paid_no_delete"),
            *("refunds_within", "disputes_within"),
        ):
            op.execute(f"DROP FUNCTION {function}()")
