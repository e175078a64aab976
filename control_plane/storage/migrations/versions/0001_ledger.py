"""The ledger: its tables, its chart of accounts, and the triggers by which the database itself keeps its rules."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001_ledger"
down_revision = None
branch_labels = None
depends_on = None

SERIAL = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
TABLES = ("ledger_kind", "ledger_account", "journal_seal", "journal_tx", "journal_line")
# name, side on which it grows (1 debit, -1 credit), may go below zero
KINDS = (
    ("gateway_clearing", 1, True),
    ("bank", 1, True),
    ("dispute_pending", 1, True),
    ("receivable:customer", 1, True),
    ("receivable:affiliate", 1, True),
    ("customer_credit", -1, False),
    ("deferred:subscription", -1, False),
    ("vat", -1, True),
    ("affiliate:payable", -1, True),
    ("payout_in_transit", -1, True),
    ("fx_clearing", 1, True),
    ("revenue:plan", -1, True),
    ("revenue:addon", -1, True),
    ("forfeits", -1, True),
    ("breakage", -1, True),
    ("commission_cost", 1, True),
    ("gateway_fees", 1, True),
    ("dispute_losses", 1, True),
    ("fx_difference", 1, True),
)

# What makes a transaction refuse its seal, as questions that find something; {tx} is its id.
FAULTS = (
    ("sealed", "SELECT 1 FROM journal_seal WHERE tx_id = {tx}"),
    ("empty", "SELECT 1 WHERE NOT EXISTS (SELECT 1 FROM journal_line WHERE tx_id = {tx})"),
    (
        "unbalanced",
        "SELECT 1 FROM journal_line line JOIN ledger_account account ON account.id = line.account_id"
        " WHERE line.tx_id = {tx} GROUP BY account.currency HAVING sum(line.amount) <> 0",
    ),
    # The whole account is added up, not only these lines: nothing stored can have drifted.
    (
        "below_zero",
        "SELECT 1 FROM ledger_account account JOIN ledger_kind kind ON kind.name = account.kind"
        " WHERE NOT kind.may_go_negative"
        " AND account.id IN (SELECT account_id FROM journal_line WHERE tx_id = {tx})"
        " AND kind.side * (SELECT sum(amount) FROM journal_line WHERE account_id = account.id) < 0",
    ),
)
LATE = "SELECT 1 FROM journal_seal WHERE tx_id = {tx}"

# SQLite's INSERT OR REPLACE deletes without a word where a row stands in the way; so that is refused before. A line
# needs no such trigger, as the one that it would replace has its seal.
IN_THE_WAY = (
    ("ledger_kind", "name = NEW.name"),
    ("ledger_account", "id = NEW.id OR (kind = NEW.kind AND owner = NEW.owner AND currency = NEW.currency)"),
    ("journal_tx", "id = NEW.id OR idem_key = NEW.idem_key"),
)


def sqlite() -> list[str]:
    """The triggers in SQLite's words."""
    made = [
        f"CREATE TRIGGER {table}_no_{verb.lower()} BEFORE {verb} ON {table} BEGIN"
        f" SELECT RAISE(ABORT, 'ledger.append_only: {table}'); END"
        for table in TABLES
        for verb in ("UPDATE", "DELETE")
    ]
    made += [
        f"CREATE TRIGGER {table}_no_replace BEFORE INSERT ON {table} WHEN EXISTS (SELECT 1 FROM {table} WHERE {which})"
        f" BEGIN SELECT RAISE(ABORT, 'ledger.append_only: {table}'); END"
        for table, which in IN_THE_WAY
    ]
    checks = " ".join(
        f"SELECT RAISE(ABORT, 'ledger.{code}') WHERE EXISTS ({question.format(tx='NEW.tx_id')});"
        for code, question in FAULTS
    )
    made += [
        f"CREATE TRIGGER journal_seal_checks BEFORE INSERT ON journal_seal BEGIN {checks} END",
        "CREATE TRIGGER journal_line_not_late BEFORE INSERT ON journal_line"
        f" WHEN EXISTS ({LATE.format(tx='NEW.tx_id')}) BEGIN SELECT RAISE(ABORT, 'ledger.late_line'); END",
        # Without references nothing would ask for the seal. A connection that did not switch them on cannot post.
        "CREATE TRIGGER journal_tx_needs_references BEFORE INSERT ON journal_tx"
        " WHEN (SELECT foreign_keys FROM pragma_foreign_keys) = 0"
        " BEGIN SELECT RAISE(ABORT, 'ledger.references_are_off'); END",
    ]
    return made


def postgresql() -> list[str]:
    """The triggers in PostgreSQL's words. Their refusals are check violations, as SQLite's are constraint failures."""
    made = [
        "CREATE FUNCTION ledger_append_only() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
        " RAISE EXCEPTION 'ledger.append_only: %', TG_TABLE_NAME USING ERRCODE = 'check_violation'; END $$"
    ]
    made += [
        f"CREATE TRIGGER {table}_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON {table}"
        " FOR EACH STATEMENT EXECUTE FUNCTION ledger_append_only()"
        for table in TABLES
    ]
    checks = " ".join(
        f"IF EXISTS ({question.format(tx='NEW.tx_id')}) THEN"
        f" RAISE EXCEPTION 'ledger.{code}' USING ERRCODE = 'check_violation'; END IF;"
        for code, question in FAULTS
    )
    made += [
        # Two transactions that meet could each take what is there once. Only serializable ones see that, so no other
        # may post.
        "CREATE FUNCTION journal_seal_checks() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
        " IF current_setting('transaction_isolation') <> 'serializable' THEN"
        " RAISE EXCEPTION 'ledger.not_serializable' USING ERRCODE = 'check_violation'; END IF;"
        f" {checks} RETURN NEW; END $$",
        "CREATE TRIGGER journal_seal_checks BEFORE INSERT ON journal_seal"
        " FOR EACH ROW EXECUTE FUNCTION journal_seal_checks()",
        "CREATE FUNCTION journal_line_not_late() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
        f" IF EXISTS ({LATE.format(tx='NEW.tx_id')}) THEN"
        " RAISE EXCEPTION 'ledger.late_line' USING ERRCODE = 'check_violation'; END IF; RETURN NEW; END $$",
        "CREATE TRIGGER journal_line_not_late BEFORE INSERT ON journal_line"
        " FOR EACH ROW EXECUTE FUNCTION journal_line_not_late()",
    ]
    return made


def upgrade() -> None:
    kinds = op.create_table(
        "ledger_kind",
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("side", sa.SmallInteger, nullable=False),
        sa.Column("may_go_negative", sa.Boolean, nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_ledger_kind"),
        sa.CheckConstraint("side IN (1, -1)", name=op.f("ck_ledger_kind_side")),
    )
    op.create_table(
        "ledger_account",
        sa.Column("id", SERIAL, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("owner", sa.Text, nullable=False),
        sa.Column("currency", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_ledger_account"),
        sa.ForeignKeyConstraint(["kind"], ["ledger_kind.name"], name="fk_ledger_account_kind"),
        sa.UniqueConstraint("kind", "owner", "currency", name="uq_ledger_account_kind_owner_currency"),
        sa.CheckConstraint("length(currency) = 3", name=op.f("ck_ledger_account_currency")),
        sa.CheckConstraint("length(owner) BETWEEN 0 AND 200", name=op.f("ck_ledger_account_owner_length")),
    )
    op.create_table(
        "journal_seal",
        sa.Column("tx_id", SERIAL, autoincrement=False, nullable=False),
        sa.PrimaryKeyConstraint("tx_id", name="pk_journal_seal"),
    )
    op.create_table(
        "journal_tx",
        sa.Column("id", SERIAL, autoincrement=True, nullable=False),
        sa.Column("idem_key", sa.Text, nullable=False),
        sa.Column("effective_at", sa.BigInteger, nullable=False),
        sa.Column("recorded_at", sa.BigInteger, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("ref", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_journal_tx"),
        sa.ForeignKeyConstraint(
            ["id"], ["journal_seal.tx_id"], name="fk_journal_tx_id", deferrable=True, initially="DEFERRED"
        ),
        sa.UniqueConstraint("idem_key", name="uq_journal_tx_idem_key"),
        sa.CheckConstraint("length(idem_key) BETWEEN 1 AND 200", name=op.f("ck_journal_tx_idem_key_length")),
        sa.CheckConstraint("length(reason) BETWEEN 1 AND 200", name=op.f("ck_journal_tx_reason_length")),
        sa.CheckConstraint("length(ref) BETWEEN 0 AND 200", name=op.f("ck_journal_tx_ref_length")),
    )
    whole = sa.CheckConstraint("typeof(amount) = 'integer'", name=op.f("ck_journal_line_amount_whole"))
    op.create_table(
        "journal_line",
        sa.Column("tx_id", sa.BigInteger, nullable=False),
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("account_id", sa.BigInteger, nullable=False),
        sa.Column("amount", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("tx_id", "number", name="pk_journal_line"),
        sa.ForeignKeyConstraint(["tx_id"], ["journal_tx.id"], name="fk_journal_line_tx_id"),
        sa.ForeignKeyConstraint(["account_id"], ["ledger_account.id"], name="fk_journal_line_account_id"),
        sa.CheckConstraint("amount <> 0", name=op.f("ck_journal_line_amount_not_zero")),
        sa.CheckConstraint(
            "amount BETWEEN -1000000000000000 AND 1000000000000000", name=op.f("ck_journal_line_amount_size")
        ),
        *([whole] if op.get_bind().dialect.name == "sqlite" else []),
    )
    op.create_index("ix_journal_line_account_id_amount", "journal_line", ["account_id", "amount"])
    op.bulk_insert(kinds, [dict(zip(("name", "side", "may_go_negative"), kind, strict=True)) for kind in KINDS])
    for statement in sqlite() if op.get_bind().dialect.name == "sqlite" else postgresql():
        op.execute(sa.text(statement.replace(":", r"\:")))


def downgrade() -> None:
    """The journal is lost. A table's triggers go with it, and what refers to another goes before it."""
    for table in ("journal_line", "journal_tx", "journal_seal", "ledger_account", "ledger_kind"):
        op.drop_table(table)
    if op.get_bind().dialect.name == "postgresql":
        for function in ("ledger_append_only", "journal_seal_checks", "journal_line_not_late"):
            op.execute(f"DROP FUNCTION {function}()")
