"""The database keeps the rules of the journal by itself: raw SQL, past all of our code, on both engines."""

from __future__ import annotations

import sqlite3

import pytest
import sqlalchemy as sa

from control_plane.storage.store import Store
from tests.control_plane.conftest import POSTGRESQL
from tests.control_plane.ledger.postings import TABLES, credit_of, held, post, raw, refused, rows, taken, topped_up

on_sqlite = pytest.mark.skipif(POSTGRESQL, reason="SQLite's own ways around")
on_postgresql = pytest.mark.skipif(not POSTGRESQL, reason="PostgreSQL's own ways around")

NEW_TX = (
    "INSERT INTO journal_tx (id, idem_key, effective_at, recorded_at, reason, ref) VALUES (77, 'raw', 0, 0, 'x', '')"
)
SEAL = "INSERT INTO journal_seal (tx_id) VALUES (77)"


def line(number: int, account: str, amount: str, tx: str = "77") -> str:
    """A line on the first account of this kind."""
    return (
        f"INSERT INTO journal_line (tx_id, number, account_id, amount) SELECT {tx}, {number}, min(id), {amount}"
        f" FROM ledger_account WHERE kind = '{account}'"
    )


@pytest.fixture
def posted(store: Store) -> Store:
    """A customer with 500 to his credit, and 200 used."""
    post(store, "top-up", topped_up(700))
    post(store, "used", taken(200))
    return store


def test_raw_sql_that_keeps_the_rules_is_taken(posted: Store) -> None:
    """The other tests here would prove nothing if everything were refused."""
    raw(posted, NEW_TX, line(1, "customer_credit", "500"), line(2, "bank", "-500"), SEAL)
    assert held(posted, credit_of("acc_a")) == 0


COLUMNS = {
    "ledger_kind": ["name", "side", "may_go_negative"],
    "ledger_account": ["id", "kind", "owner", "currency"],
    "journal_tx": ["id", "idem_key", "effective_at", "recorded_at", "reason", "ref"],
    "journal_line": ["tx_id", "number", "account_id", "amount"],
    "journal_seal": ["tx_id"],
}


@pytest.mark.parametrize(("table", "column"), [(table, column) for table in TABLES for column in COLUMNS[table]])
def test_no_column_of_any_table_is_ever_updated(posted: Store, table: str, column: str) -> None:
    assert len(rows(posted)[table][0]) == len(COLUMNS[table])
    refused(posted, f"ledger.append_only: {table}", f"UPDATE {table} SET {column} = {column}")


@pytest.mark.parametrize("table", TABLES)
def test_no_row_is_ever_deleted(posted: Store, table: str) -> None:
    refused(posted, f"ledger.append_only: {table}", f"DELETE FROM {table}")


def test_a_line_after_the_seal_is_refused_and_so_is_a_pair_of_them(posted: Store) -> None:
    tx = "(SELECT min(id) FROM journal_tx)"
    refused(posted, "ledger.late_line", line(3, "bank", "1", tx))
    refused(posted, "ledger.late_line", line(3, "bank", "1", tx), line(4, "customer_credit", "-1", tx))


def test_a_line_after_its_own_seal_is_refused(posted: Store) -> None:
    lines = (line(1, "bank", "5"), line(2, "customer_credit", "-5"))
    refused(posted, "ledger.late_line", NEW_TX, *lines, SEAL, line(3, "bank", "1"))


def test_without_a_seal_there_is_no_commit(posted: Store) -> None:
    refused(posted, "(?i)foreign key", NEW_TX, line(1, "bank", "5"), line(2, "customer_credit", "-5"))
    refused(posted, "(?i)foreign key", NEW_TX)


def test_what_is_not_balanced_gets_no_seal(posted: Store) -> None:
    refused(posted, "ledger.unbalanced", NEW_TX, line(1, "bank", "5"), line(2, "customer_credit", "-4"), SEAL)
    refused(posted, "ledger.unbalanced", NEW_TX, line(1, "bank", "5"), SEAL)


def test_two_currencies_do_not_balance_each_other(posted: Store) -> None:
    dollars = "INSERT INTO ledger_account (kind, owner, currency) VALUES ('fx_clearing', '', 'USD')"
    refused(posted, "ledger.unbalanced", dollars, NEW_TX, line(1, "bank", "5"), line(2, "fx_clearing", "-5"), SEAL)


def test_a_transaction_without_lines_gets_no_seal_and_there_is_no_seal_without_one(posted: Store) -> None:
    refused(posted, "ledger.empty", NEW_TX, SEAL)
    refused(posted, "ledger.empty", SEAL)


def test_a_seal_is_given_once(posted: Store) -> None:
    lines = (line(1, "bank", "5"), line(2, "customer_credit", "-5"))
    refused(posted, "ledger.sealed", NEW_TX, *lines, SEAL, SEAL)


def test_what_may_not_go_below_zero_does_not(posted: Store) -> None:
    taking = (NEW_TX, line(1, "customer_credit", "501"), line(2, "bank", "-501"), SEAL)
    refused(posted, "ledger.below_zero", *taking)
    refused(posted, "ledger.below_zero", NEW_TX, line(1, "deferred:subscription", "201"), line(2, "bank", "-201"), SEAL)


def test_two_transactions_in_one_do_not_go_below_zero_together(posted: Store) -> None:
    first = (NEW_TX, line(1, "customer_credit", "300"), line(2, "bank", "-300"), SEAL)
    second = [statement.replace("77", "78").replace("'raw'", "'raw-2'") for statement in first]
    refused(posted, "ledger.below_zero", *first, *second)


@pytest.mark.parametrize("amount", ["0", "1000000000000001", "-1000000000000001", "NULL"])
def test_a_line_is_not_zero_and_not_beyond_measure(posted: Store, amount: str) -> None:
    refused(posted, "amount", NEW_TX, line(1, "bank", amount))


@pytest.mark.parametrize("amount", ["1.5", "'five'", "1e300", "x'05'"])
@on_sqlite
def test_a_line_is_a_whole_number(posted: Store, amount: str) -> None:
    refused(posted, "amount", NEW_TX, line(1, "bank", amount))


@on_postgresql
def test_a_line_of_postgresql_is_a_whole_number_by_its_type(posted: Store) -> None:
    for amount in ("'1.5'::text", "'five'::text"):
        with pytest.raises(sa.exc.ProgrammingError, match="amount"):
            raw(posted, NEW_TX, line(1, "bank", amount))


def test_a_key_is_used_once(posted: Store) -> None:
    refused(posted, "idem_key|append_only", NEW_TX.replace("'raw'", "'top-up'"))


@pytest.mark.parametrize("key", ["", "x" * 201])
def test_a_key_has_a_length(posted: Store, key: str) -> None:
    refused(posted, "idem_key_length", NEW_TX.replace("'raw'", f"'{key}'"))


def test_an_account_is_there_once_and_of_a_kind_that_the_chart_knows(posted: Store) -> None:
    opening = "INSERT INTO ledger_account (kind, owner, currency) VALUES ('{}', '', '{}')"
    refused(posted, "uq_ledger_account|append_only", opening.format("bank", "EUR"))
    refused(posted, "(?i)foreign key", opening.format("savings", "EUR"))
    refused(posted, "currency", opening.format("bank", "EURO"))


def test_a_line_belongs_to_an_account_and_to_a_transaction(posted: Store) -> None:
    insert = "INSERT INTO journal_line (tx_id, number, account_id, amount) VALUES"
    refused(posted, "(?i)foreign key", NEW_TX, f"{insert} (77, 1, 999, 5)")
    refused(posted, "(?i)foreign key", f"{insert} (77, 1, 1, 5)")


# Ways around that one of the engines has


@on_sqlite
@pytest.mark.parametrize(
    "replacement",
    [
        "INTO ledger_kind VALUES ('customer_credit', -1, 1)",
        "INTO ledger_account SELECT id, 'bank', 'x', currency FROM ledger_account WHERE kind = 'customer_credit'",
        "INTO ledger_account SELECT 99, kind, owner, currency FROM ledger_account WHERE kind = 'customer_credit'",
        "INTO journal_tx SELECT id, 'other', effective_at, recorded_at, reason, ref FROM journal_tx",
        "INTO journal_tx SELECT 99, idem_key, effective_at, recorded_at, reason, ref FROM journal_tx LIMIT 1",
        "INTO journal_line SELECT tx_id, number, account_id, amount + 1 FROM journal_line",
        "INTO journal_seal SELECT tx_id FROM journal_seal",
    ],
)
def test_replacing_is_no_way_around(posted: Store, replacement: str) -> None:
    """Also where the connection is another one, whose deletions by replacement are not told to triggers."""
    before = rows(posted)
    path = str(posted.engine.url.database)
    with sqlite3.connect(path, isolation_level=None) as connection:
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute("PRAGMA recursive_triggers = OFF")
        for verb in ("INSERT OR REPLACE", "REPLACE"):
            with pytest.raises(sqlite3.IntegrityError, match="ledger"):
                connection.execute(f"{verb} {replacement}")
    connection.close()
    assert rows(posted) == before


@on_sqlite
def test_a_connection_without_references_cannot_post(posted: Store) -> None:
    with sqlite3.connect(str(posted.engine.url.database), isolation_level=None) as connection:
        assert connection.execute("PRAGMA foreign_keys").fetchone() == (0,)
        with pytest.raises(sqlite3.IntegrityError, match="references_are_off"):
            connection.execute(NEW_TX)
    connection.close()


@on_postgresql
@pytest.mark.parametrize("table", TABLES)
def test_truncating_is_no_way_around(posted: Store, table: str) -> None:
    refused(posted, "ledger.append_only", f"TRUNCATE {table} CASCADE")


@on_postgresql
@pytest.mark.parametrize("level", ["READ COMMITTED", "REPEATABLE READ"])
def test_only_serializable_transactions_post(posted: Store, level: str) -> None:
    before = rows(posted)
    with posted.engine.connect().execution_options(isolation_level=level) as connection:
        for statement in (NEW_TX, line(1, "bank", "5"), line(2, "customer_credit", "-5")):
            connection.exec_driver_sql(statement)
        with pytest.raises(sa.exc.IntegrityError, match="not_serializable"):
            connection.exec_driver_sql(SEAL)
    assert rows(posted) == before
