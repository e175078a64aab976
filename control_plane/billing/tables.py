"""The tables of billing; only this package writes them. Documents and machines are kept as the text of their values.

Sums stand in minor units beside their currency. What the ledger says is not repeated here, but for what it cannot say:
which credit is how old, and how far the revenue of a line has come.
"""

from __future__ import annotations

import sqlalchemy as sa

from control_plane.storage.columns import Instant, Serial, metadata

subscriptions = sa.Table(
    "subscriptions",
    metadata,
    sa.Column("account", sa.ForeignKey("accounts.id"), primary_key=True),
    sa.Column("version", sa.Integer, nullable=False),  # counts the steps; part of every effect's key
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("plan", sa.Text, nullable=False),  # whose limits are in force; "" the free version's
    sa.Column("currency", sa.Text, nullable=False),  # "" before the first order
    sa.Column("price", sa.Text, nullable=False),  # the row of the price list by which the plan was paid last
    sa.Column("machine", sa.Text, nullable=False),  # control_plane.billing.subscription.Subscription as JSON
    sa.CheckConstraint("state in ('none', 'trial', 'active', 'frozen', 'expired', 'ended')", name="state"),
)

# Written once. `cut_on`: the day on which an agreement that was ended left it. At most one covers a day: a trigger
# refuses an overlap (migration 0007_billing).
periods = sa.Table(
    "periods",
    metadata,
    sa.Column("id", Serial, primary_key=True),
    sa.Column("account", sa.ForeignKey("accounts.id"), nullable=False),
    sa.Column("first", sa.Date, nullable=False),
    sa.Column("end", sa.Date, nullable=False),
    sa.Column("plan", sa.Text, nullable=False),
    sa.Column("price", sa.Text, nullable=False),
    sa.Column("invoice", sa.ForeignKey("invoices.id"), nullable=False),
    sa.Column("cut_on", sa.Date),
    sa.CheckConstraint('"first" < "end"', name="days"),
    sa.Index("ix_periods_account_first", "account", "first"),
)

add_ons = sa.Table(
    "add_ons",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("account", sa.ForeignKey("accounts.id"), nullable=False, index=True),
    sa.Column("add_on", sa.Text, nullable=False),
    sa.Column("quantity", sa.Integer, nullable=False),
    sa.Column("price", sa.Text, nullable=False),  # by which it was paid last
    sa.Column("recurring", sa.Boolean, nullable=False),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("bought_at", Instant, nullable=False),
    sa.Column("paid_until", sa.Date),  # the first day that is not paid for; none for what has no days
    sa.Column("cancelled_at", Instant),  # it works on until `paid_until` (BIL-11)
    sa.Column("left", sa.BigInteger),  # of what is used up, how much of it; none for what has days
    sa.CheckConstraint("quantity > 0", name="quantity"),
    sa.CheckConstraint("state in ('ordered', 'active', 'over')", name="state"),
    sa.CheckConstraint('"left" >= 0', name="left"),
)

# Who is billed, and how: asked for with the first order. `payer` is the gateway's name for him.
payers = sa.Table(
    "payers",
    metadata,
    sa.Column("account", sa.ForeignKey("accounts.id"), primary_key=True),
    sa.Column("payer", sa.Text, nullable=False),
    sa.Column("country", sa.Text, nullable=False),
    sa.Column("discount", sa.Text, nullable=False),  # a fraction of the price, such as "1/10"; "" for none (BIL-46)
    sa.Column("discount_until", sa.Date),
)

cards = sa.Table(
    "cards",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("account", sa.ForeignKey("accounts.id"), nullable=False, index=True),
    sa.Column("setup", sa.Text, nullable=False, unique=True),  # the gateway's reference of how it was given
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("token", sa.Text, nullable=False),
    sa.Column("brand", sa.Text, nullable=False),
    sa.Column("last4", sa.Text, nullable=False),
    sa.Column("year", sa.Integer, nullable=False),
    sa.Column("month", sa.Integer, nullable=False),
    sa.Column("given_at", Instant, nullable=False),
    sa.Column("removed_at", Instant),
    sa.CheckConstraint("state in ('awaited', 'saved', 'declined', 'removed')", name="state"),
)
sa.Index(
    "uq_cards_account_saved",
    cards.c.account,
    unique=True,
    sqlite_where=cards.c.state == "saved",
    postgresql_where=cards.c.state == "saved",
)

invoices = sa.Table(
    "invoices",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("account", sa.ForeignKey("accounts.id"), nullable=False),
    sa.Column("seq", sa.Integer, nullable=False),  # counts the account's
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("number", sa.Text, unique=True),
    sa.Column("document", sa.Text, nullable=False),  # control_plane.billing.document.Document as JSON
    sa.Column("purpose", sa.JSON, nullable=False),
    sa.Column("currency", sa.Text, nullable=False),
    sa.Column("gross", sa.BigInteger, nullable=False),
    sa.Column("payable", sa.BigInteger, nullable=False),
    sa.Column("corrects", sa.ForeignKey("invoices.id")),
    sa.Column("made_at", Instant, nullable=False),
    sa.Column("paid_at", Instant),
    sa.UniqueConstraint("account", "seq"),
    sa.CheckConstraint("kind in ('invoice', 'credit_note')", name="kind"),
    sa.CheckConstraint("state in ('open', 'paid', 'void', 'uncollectible')", name="state"),
    sa.CheckConstraint("(number IS NOT NULL) = (state = 'paid')", name="numbered"),
    sa.CheckConstraint("(corrects IS NOT NULL) = (kind = 'credit_note')", name="corrects"),
)

# The last number of each series; drawn in the transaction that pays (BIL-15), so none is missing.
invoice_series = sa.Table(
    "invoice_series",
    metadata,
    sa.Column("series", sa.Text, primary_key=True),
    sa.Column("last", sa.Integer, nullable=False),
)

# One row an attempt. Its key is what the gateway knows it by; it is never sent under another one.
payments = sa.Table(
    "payments",
    metadata,
    sa.Column("key", sa.Text, primary_key=True),
    sa.Column("invoice", sa.ForeignKey("invoices.id"), nullable=False, index=True),
    sa.Column("account", sa.ForeignKey("accounts.id"), nullable=False),
    sa.Column("attempt", sa.Integer, nullable=False),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("present", sa.Boolean, nullable=False),
    sa.Column("payer", sa.Text, nullable=False),
    sa.Column("token", sa.Text, nullable=False),  # "" where nothing is left to charge, or no card is there
    sa.Column("currency", sa.Text, nullable=False),
    sa.Column("amount", sa.BigInteger, nullable=False),
    sa.Column("received", sa.BigInteger, nullable=False),
    sa.Column("reference", sa.Text, nullable=False, index=True),
    sa.Column("code", sa.Text, nullable=False),
    sa.Column("link", sa.Text, nullable=False),
    sa.Column("made_at", Instant, nullable=False),
    sa.Column("ended_at", Instant),
    sa.UniqueConstraint("invoice", "attempt"),
    sa.CheckConstraint("state in ('processing', 'needs_action', 'succeeded', 'failed')", name="state"),
)

# An overpayment (money, BIL-07) or a gift (`promotional`). `left` is what was not used yet.
credits = sa.Table(
    "credits",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("account", sa.ForeignKey("accounts.id"), nullable=False, index=True),
    sa.Column("currency", sa.Text, nullable=False),
    sa.Column("amount", sa.BigInteger, nullable=False),
    sa.Column("left", sa.BigInteger, nullable=False),
    sa.Column("promotional", sa.Boolean, nullable=False),
    sa.Column("cause", sa.Text, nullable=False),
    sa.Column("since", Instant, nullable=False),
    sa.CheckConstraint('"left" BETWEEN 0 AND amount AND amount > 0', name="left"),
)

# Prepaid service, line by line: `net` is earned over `days` days from `first` on; `earned_days` are posted.
deferrals = sa.Table(
    "deferrals",
    metadata,
    sa.Column("id", Serial, primary_key=True),
    sa.Column("account", sa.ForeignKey("accounts.id"), nullable=False),
    sa.Column("invoice", sa.ForeignKey("invoices.id"), nullable=False, index=True),
    sa.Column("line", sa.Integer, nullable=False),
    sa.Column("revenue", sa.Text, nullable=False),
    sa.Column("currency", sa.Text, nullable=False),
    sa.Column("net", sa.BigInteger, nullable=False),
    sa.Column("first", sa.Date, nullable=False),
    sa.Column("days", sa.Integer, nullable=False),
    sa.Column("earned_days", sa.Integer, nullable=False),
    sa.Column("over", sa.Boolean, nullable=False),
    sa.CheckConstraint("earned_days BETWEEN 0 AND days", name="earned"),
    sa.Index("ix_deferrals_account_over", "account", "over"),
)

# Prices that the operator published since the program came out; never edited (BIL-45), nor are notices, withdrawals.
prices = sa.Table(
    "prices",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("item", sa.Text, nullable=False),
    sa.Column("cycle", sa.Text, nullable=False),
    sa.Column("currency", sa.Text, nullable=False),
    sa.Column("minor", sa.BigInteger, nullable=False),
    sa.Column("published_at", Instant, nullable=False),
    sa.Column("actor", sa.Text, nullable=False),
    sa.CheckConstraint("minor >= 0", name="minor"),
)
price_changes = sa.Table(
    "price_changes",
    metadata,
    sa.Column("price", sa.Text, primary_key=True),
    sa.Column("what", sa.Text, primary_key=True),
    sa.Column("at", Instant, nullable=False),
    sa.Column("actor", sa.Text, nullable=False),
    sa.CheckConstraint("what in ('notice', 'withdrawal')", name="what"),
)

# The customer was told that he came near one of his limits, or reached it, in the period that began on this day.
limit_notices = sa.Table(
    "limit_notices",
    metadata,
    sa.Column("account", sa.ForeignKey("accounts.id"), primary_key=True),
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("level", sa.Text, primary_key=True),
    sa.Column("period", sa.Date, primary_key=True),
    sa.Column("at", Instant, nullable=False),
    sa.CheckConstraint("level in ('near', 'reached')", name="level"),
)

# Money on its way back to a card.
refunds = sa.Table(
    "refunds",
    metadata,
    sa.Column("key", sa.Text, primary_key=True),
    sa.Column("credit_note", sa.ForeignKey("invoices.id"), nullable=False, unique=True),
    sa.Column("account", sa.ForeignKey("accounts.id"), nullable=False, index=True),
    sa.Column("payment", sa.ForeignKey("payments.key"), nullable=False, index=True),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("currency", sa.Text, nullable=False),
    sa.Column("amount", sa.BigInteger, nullable=False),
    sa.Column("reference", sa.Text, nullable=False),
    sa.Column("made_at", Instant, nullable=False),
    sa.Column("ended_at", Instant),
    sa.CheckConstraint("state in ('processing', 'arrived', 'failed')", name="state"),
)

# What a customer's issuer took back. Refunds and disputes of one payment never exceed it together (model 3.3).
disputes = sa.Table(
    "disputes",
    metadata,
    sa.Column("reference", sa.Text, primary_key=True),
    sa.Column("payment", sa.ForeignKey("payments.key"), nullable=False, index=True),
    sa.Column("account", sa.ForeignKey("accounts.id"), nullable=False, index=True),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("currency", sa.Text, nullable=False),
    sa.Column("amount", sa.BigInteger, nullable=False),
    sa.Column("opened_at", Instant, nullable=False),
    sa.Column("ended_at", Instant),
    sa.CheckConstraint("state in ('inquiry', 'open', 'won', 'lost')", name="state"),
)

# Told before the gateway's name for the payment, `charge`, was known here; gone once it is.
awaited_disputes = sa.Table(
    "awaited_disputes",
    metadata,
    sa.Column("reference", sa.Text, primary_key=True),
    sa.Column("charge", sa.Text, nullable=False, index=True),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("currency", sa.Text, nullable=False),
    sa.Column("amount", sa.BigInteger, nullable=False),
    sa.Column("at", Instant, nullable=False),
)

# What the gateway said by itself: each is applied in the transaction that keeps its id. `about`: the object, so that
# what is older than the last one applied to it is ignored.
gateway_events = sa.Table(
    "gateway_events",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("about", sa.Text, nullable=False),
    sa.Column("at", Instant, nullable=False),
    sa.Column("received_at", Instant, nullable=False),
    sa.Column("applied", sa.Boolean, nullable=False),
    sa.Index("ix_gateway_events_about_at", "about", "at"),
)
