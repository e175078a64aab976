"""The tables of the ledger. Its rules are triggers, which stand in the migration 0001_ledger, one set an engine.

No row of these is ever changed or deleted. There is no balance among them: it is the sum of an account's lines.
"""

from __future__ import annotations

import sqlalchemy as sa

from control_plane.storage.columns import Instant, Serial, metadata

# A line holds no more than this either way: ten digits before the point and more than enough. Sums of nine thousand
# such lines still fit into 64 bits, where SQLite would otherwise refuse to add up.
LINE_MAX = 10**15
TEXT_CHARACTERS_MAX = 200


def _text(name: str, least: int = 0) -> sa.CheckConstraint:
    return sa.CheckConstraint(f"length({name}) BETWEEN {least} AND {TEXT_CHARACTERS_MAX}", name=f"{name}_length")


# The chart of accounts (ledger.chart), for the database to judge by. `side`: 1 grows by debits, -1 by credits.
kinds = sa.Table(
    "ledger_kind",
    metadata,
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("side", sa.SmallInteger, nullable=False),
    sa.Column("may_go_negative", sa.Boolean, nullable=False),
    sa.CheckConstraint("side IN (1, -1)", name="side"),
)

accounts = sa.Table(
    "ledger_account",
    metadata,
    sa.Column("id", Serial, primary_key=True),
    sa.Column("kind", sa.Text, sa.ForeignKey("ledger_kind.name"), nullable=False),
    sa.Column("owner", sa.Text, nullable=False),
    sa.Column("currency", sa.Text, nullable=False),
    sa.UniqueConstraint("kind", "owner", "currency"),
    sa.CheckConstraint("length(currency) = 3", name="currency"),
    _text("owner"),
)

# A transaction of the journal has its seal at commit (the reference is deferred), and gets one only if it is in order.
transactions = sa.Table(
    "journal_tx",
    metadata,
    sa.Column(
        "id",
        Serial,
        sa.ForeignKey("journal_seal.tx_id", deferrable=True, initially="DEFERRED"),
        primary_key=True,
        autoincrement=True,
    ),
    sa.Column("idem_key", sa.Text, nullable=False, unique=True),
    sa.Column("effective_at", Instant, nullable=False),  # business time
    sa.Column("recorded_at", Instant, nullable=False),
    sa.Column("reason", sa.Text, nullable=False),  # a stable word: "invoice_paid"
    sa.Column("ref", sa.Text, nullable=False),  # the id of what it is about, or ""
    _text("idem_key", 1),
    _text("reason", 1),
    _text("ref"),
)

lines = sa.Table(
    "journal_line",
    metadata,
    sa.Column("tx_id", sa.BigInteger, sa.ForeignKey("journal_tx.id"), primary_key=True, autoincrement=False),
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),  # from 1, within its transaction
    sa.Column("account_id", sa.BigInteger, sa.ForeignKey("ledger_account.id"), nullable=False),
    sa.Column("amount", sa.BigInteger, nullable=False),  # minor units; a debit above zero, a credit below
    sa.CheckConstraint("amount <> 0", name="amount_not_zero"),
    sa.CheckConstraint(f"amount BETWEEN -{LINE_MAX} AND {LINE_MAX}", name="amount_size"),
    # SQLite keeps what it is given; PostgreSQL knows its types.
    sa.CheckConstraint("typeof(amount) = 'integer'", name="amount_whole").ddl_if(dialect="sqlite"),
    # A balance is read out of this index alone.
    sa.Index("ix_journal_line_account_id_amount", "account_id", "amount"),
)

seals = sa.Table(
    "journal_seal",
    metadata,
    sa.Column("tx_id", Serial, primary_key=True, autoincrement=False),
)
