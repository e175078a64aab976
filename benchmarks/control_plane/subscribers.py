"""[I/O] Subscribers by the thousand on the eve of their renewal, made in seconds.

One of them is a customer of the services: signed up, a card at the gateway's own fields, a plan ordered and paid, 29
days lived through by the jobs. The others are her rows once more under other names, with their foreign keys checked
and the ledger's triggers in force, so nothing that the database refuses gets in. What a renewal does not look at (her
audit, her events, jobs and mails that are over) is left out.
"""

from __future__ import annotations

import contextlib
import datetime
import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from control_plane.gateway.fake.shelf import FILE as GATEWAY_FILE
from control_plane.storage import migrate
from control_plane.storage.store import Store
from tests.control_plane.billing.till import MONTHLY, Customer, till

FILE = "control-plane.sqlite"
# A month of 31 days: no first of a month lies within the 30 days, so nothing but the boundary's own is due then.
START = datetime.datetime(2026, 12, 1, 9, 30, tzinfo=datetime.UTC)
BOUNDARY = datetime.datetime(2026, 12, 31, tzinfo=datetime.UTC)
EVE = BOUNDARY - datetime.timedelta(minutes=30)
NAME = "jane"
Renamed = Callable[[Any, int], Any]


@dataclass(frozen=True)
class Copied:
    """A table and which of its rows are hers; `counted`: the database draws its id."""

    table: str
    where: str
    counted: bool = False


# In an order that foreign keys allow.
_COPIED = (
    Copied("people", "id = :person"),
    Copied("accounts", "id = :account"),
    Copied("memberships", "account = :account"),
    Copied("payers", "account = :account"),
    Copied("cards", "account = :account"),
    Copied("subscriptions", "account = :account"),
    Copied("invoices", "account = :account"),
    Copied("payments", "account = :account"),
    Copied("periods", "account = :account", counted=True),
    Copied("deferrals", "account = :account", counted=True),
    Copied("job", "account = :account AND state = 'waiting' AND kind <> 'billing.trial_over'", counted=True),
    Copied("ledger_account", "owner = :account", counted=True),
    Copied("journal_tx", "id IN (SELECT tx_id FROM journal_line JOIN ledger_account a ON a.id = account_id "
           "WHERE a.owner = :account)", counted=True),
)  # fmt: skip


def make(folder: Path, count: int) -> None:
    """So many, in this folder: the control plane's database, and the gateway's own. The day is EVE."""
    store = Store(f"sqlite:///{folder / FILE}")
    migrate.up(store)
    with till(store, START, directory=folder) as at:
        customer = at.customer(NAME, country="DE")
        customer.orders(MONTHLY)
        at.until(EVE)
        renamed = _renaming(customer)
    store.close()
    with _opened(folder / FILE) as database:
        _copy(database, customer.id, renamed, count)
    with _opened(folder / GATEWAY_FILE) as database:
        _copy_at_gateway(database, customer.id, renamed, count)


def _renaming(customer: Customer) -> Renamed:
    """What a value of hers is for the n-th other: whatever names her becomes a name of his."""
    (invoice,) = customer.invoices
    (payment,) = customer.till.store.read(
        lambda connection: connection.exec_driver_sql("SELECT payer, token, reference FROM payments").all()
    )
    found = customer.till.store.read(
        lambda connection: connection.exec_driver_sql("SELECT setup, (SELECT id FROM people) FROM cards").one()
    )
    card = customer.till.store.read(lambda connection: connection.exec_driver_sql("SELECT id FROM cards").scalar_one())
    plain = (customer.id.removeprefix("acc_"), found[1].removeprefix("per_"), card.removeprefix("crd_"))
    counted = (payment.payer, payment.token, payment.reference, found[0], invoice.number)

    def renamed(value: Any, number: int) -> Any:
        if not isinstance(value, str):
            return value
        for word in plain:
            value = value.replace(word, f"{number:0{len(word)}}")
        for word in counted:
            # Hers is the first of each: 000001.
            value = value.replace(word, f"{word[:-6]}{number + 1:06}")
        return value.replace(f"{NAME}@", f"{NAME}{number}@")

    return renamed


def _copy(database: sqlite3.Connection, account: str, renamed: Renamed, count: int) -> None:
    (person,) = database.execute("SELECT person FROM memberships WHERE account = ?", (account,)).fetchone()
    hers = {"account": account, "person": person}
    for one in _COPIED:
        rows = database.execute(f"SELECT * FROM {one.table} WHERE {one.where}", hers)
        names = [column[0] for column in rows.description]
        kept = [name for name in names if not (one.counted and name == "id")]
        found = [{name: row[place] for place, name in enumerate(names) if name in kept} for row in rows]
        columns, places = (", ".join(made) for made in ([f'"{name}"' for name in kept], ["?"] * len(kept)))
        for row in found:
            made = ([renamed(row[name], number) for name in kept] for number in range(1, count))
            database.executemany(f"INSERT INTO {one.table} ({columns}) VALUES ({places})", made)
        if one.table == "journal_tx":
            _copy_lines(database, account, [row["idem_key"] for row in found], renamed, count)
    database.execute("UPDATE invoice_series SET last = ?", (count,))


def _copy_lines(database: sqlite3.Connection, account: str, keys: list[str], renamed: Renamed, count: int) -> None:
    """Each transaction has its lines and its seal, as when it was posted."""
    owned = dict(database.execute("SELECT owner || kind, id FROM ledger_account WHERE owner <> ''"))
    for key in keys:
        lines = database.execute(
            "SELECT number, account_id, amount, owner, kind FROM journal_line l JOIN journal_tx t ON t.id = tx_id "
            "JOIN ledger_account a ON a.id = account_id WHERE idem_key = ?",
            (key,),
        ).fetchall()
        of = dict(database.execute("SELECT idem_key, id FROM journal_tx"))
        for number in range(1, count):
            id_ = of[renamed(key, number)]
            for place, ledger, amount, owner, kind in lines:
                if owner == account:
                    ledger = owned[renamed(owner, number) + kind]
                database.execute("INSERT INTO journal_line VALUES (?, ?, ?, ?)", (id_, place, ledger, amount))
            database.execute("INSERT INTO journal_seal VALUES (?)", (id_,))


def _copy_at_gateway(database: sqlite3.Connection, account: str, renamed: Renamed, count: int) -> None:
    """He is known there, and so is his card."""
    rows = database.execute(
        "SELECT kind, id, parent, body FROM record WHERE kind IN ('Payer', 'Setup', 'SavedCard')"
    ).fetchall()
    place = database.execute("SELECT max(number) FROM record").fetchone()[0]
    for kind, id_, parent, body in rows:
        made = (
            (
                kind,
                renamed(id_, number),
                renamed(parent, number),
                place + number,
                renamed(body.decode(), number).encode(),
            )
            for number in range(1, count)
        )
        database.executemany("INSERT INTO record VALUES (?, ?, ?, ?, ?)", made)
    database.execute("UPDATE counted SET number = number + ? WHERE name = 'record'", (count * len(rows),))
    for prefix in ("payer", "setup", "card", "ch"):
        database.execute("UPDATE counted SET number = ? WHERE name = ?", (count, prefix))


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[sqlite3.Connection]:
    """One transaction."""
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as database:
        database.execute("PRAGMA foreign_keys = ON")
        database.execute("BEGIN")
        yield database
        database.execute("COMMIT")
