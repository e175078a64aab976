"""Short ways to post and to ask, and raw SQL as somebody would write it who goes past the code."""

from __future__ import annotations

import datetime
from collections.abc import Sequence

import pytest
import sqlalchemy as sa

from control_plane.ledger import journal
from control_plane.ledger.chart import Account, Line, credit, debit
from control_plane.money import Money
from control_plane.storage.store import Store

NOW = datetime.datetime(2026, 11, 22, 12, 0, tzinfo=datetime.UTC)
BANK = Account("bank", "EUR")


def euro(minor: int) -> Money:
    return Money(minor, "EUR")


def credit_of(owner: str) -> Account:
    return Account("customer_credit", "EUR", owner)


def topped_up(minor: int, owner: str = "acc_a") -> list[Line]:
    """Money came to the bank, and is the customer's credit."""
    return [debit("bank", euro(minor)), credit("customer_credit", euro(minor), owner)]


def taken(minor: int, owner: str = "acc_a") -> list[Line]:
    """Credit is used for prepaid service."""
    return [debit("customer_credit", euro(minor), owner), credit("deferred:subscription", euro(minor), owner)]


def post(
    store: Store,
    key: str,
    lines: Sequence[Line],
    *,
    now: datetime.datetime = NOW,
    at: datetime.datetime = NOW,
    reason: str = "test",
    ref: str = "inv_1",
) -> int:
    return store.write(
        lambda connection: journal.post(
            connection, now, idem_key=key, effective_at=at, reason=reason, ref=ref, lines=lines
        )
    )


def held(store: Store, account: Account, until: datetime.datetime | None = None) -> int:
    return store.read(lambda connection: journal.balance(connection, account, until)).minor


def journal_of(store: Store) -> list[journal.Transaction]:
    return store.read(lambda connection: list(journal.transactions(connection)))


def balances(store: Store) -> dict[Account, int]:
    return store.read(journal.balances)


def raw(store: Store, *statements: str) -> None:
    """One transaction of plain SQL. Raises what the driver raises."""

    def run(connection: sa.Connection) -> None:
        for statement in statements:
            connection.exec_driver_sql(statement)

    store.write(run)


def refused(store: Store, why: str, *statements: str) -> None:
    """The database itself refuses this, in these words, and stays as it was."""
    before = rows(store)
    with pytest.raises(sa.exc.IntegrityError, match=why):
        raw(store, *statements)
    assert rows(store) == before


TABLES = ("ledger_kind", "ledger_account", "journal_tx", "journal_line", "journal_seal")


def rows(store: Store) -> dict[str, list[tuple[object, ...]]]:
    """Everything that is in the ledger."""

    def all_rows(connection: sa.Connection) -> dict[str, list[tuple[object, ...]]]:
        found = {table: connection.exec_driver_sql(f"SELECT * FROM {table}").all() for table in TABLES}
        return {table: sorted(tuple(row) for row in those) for table, those in found.items()}

    return store.read(all_rows)
