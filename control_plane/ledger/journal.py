"""The journal: post a transaction, read balances, replay. The only writer of the ledger's tables.

What must hold is held by the database itself (migration 0001_ledger): nothing is changed or deleted, every transaction
is balanced in each currency, no line comes late, what may not go below zero does not. `post` writes and translates the
database's refusals; it checks nothing a second time.

Balances are not stored: they are the sums of the lines, out of an index. A stored one would have to be right at every
moment, and each payment of all customers would wait for the one row of the gateway's account.
"""

from __future__ import annotations

import datetime
import functools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import IntegrityError

from control_plane.clock import aware
from control_plane.errors import Conflict
from control_plane.ledger import tables
from control_plane.ledger.chart import Account, Line
from control_plane.money import Money
from control_plane.storage.prepared import Prepared
from control_plane.storage.store import savepoint

# How many transactions of the journal are read at once in a replay.
PAGE = 500


class Unbalanced(ValueError):
    """The lines of a transaction do not add up to zero in each currency, or there are none: a fault of ours."""


@dataclass(frozen=True, slots=True)
class Transaction:
    """A transaction as it was posted. `effective_at` is the business time, `recorded_at` when it came to be written."""

    id: int
    idem_key: str
    effective_at: datetime.datetime
    recorded_at: datetime.datetime
    reason: str
    ref: str
    lines: tuple[Line, ...]


def post(
    connection: sa.Connection,
    now: datetime.datetime,
    *,
    idem_key: str,
    effective_at: datetime.datetime,
    reason: str,
    ref: str,
    lines: Sequence[Line],
) -> int:
    """Write a transaction, once and for good; returns its id. The same again changes nothing and returns the same id.

    The order of the lines and `now` do not make a difference between two. A correction is a transaction of its own.
    Raises Conflict "key_used" when the key stands for something else, Conflict "below_zero" when an account that may
    not would go below zero (nothing is written then, and the transaction of the database goes on), Unbalanced;
    ValueError for an instant without a zone.
    """
    content = (aware(effective_at), reason, ref, sorted(lines))
    head = {"idem_key": idem_key, "effective_at": effective_at, "recorded_at": now, "reason": reason, "ref": ref}
    try:
        # A savepoint, so that a refusal leaves nothing even where the caller goes on.
        with savepoint(connection):
            return _write(connection, head, lines)
    except (IntegrityError, _KeyTaken) as error:
        known = _by_key(connection, idem_key)
        if known is not None:
            if (known.effective_at, known.reason, known.ref, sorted(known.lines)) != content:
                raise Conflict("key_used", f"the key {idem_key!r} stands for another transaction") from None
            return known.id
        told = str(getattr(error, "orig", ""))
        if "ledger.below_zero" in told:
            raise Conflict("below_zero", "there is not as much on the account as would be taken from it") from error
        if "ledger.unbalanced" in told or "ledger.empty" in told:
            raise Unbalanced(f"{idem_key}: {[(str(line.account.kind), line.amount) for line in lines]}") from error
        raise


def balance(connection: sa.Connection, account: Account, until: datetime.datetime | None = None) -> Money:
    """What the account holds, counted on its own side (`chart.Account.held`); 0 for one that nothing was posted to.

    `until` leaves out what is effective at or after that instant.
    """
    return account.held(_sums(connection, until, account).get(account, 0))


def balances(connection: sa.Connection, until: datetime.datetime | None = None) -> dict[Account, int]:
    """The sum of lines of every account that has any (debits above zero); per currency they add up to zero."""
    return _sums(connection, until)


def transactions(connection: sa.Connection, after: int = 0) -> Iterator[Transaction]:
    """The whole journal in the order of its ids, from the one after this id on."""
    while page := _page(connection, tables.transactions.c.id > after):
        yield from page
        after = page[-1].id


def replay(posted: Iterable[Transaction]) -> dict[Account, int]:
    """The balances that these transactions make, added up line by line. Of the whole journal: exactly `balances`."""
    sums: dict[Account, int] = {}
    for transaction in posted:
        for line in transaction.lines:
            sums[line.account] = sums.get(line.account, 0) + line.amount
    return sums


def _write(connection: sa.Connection, head: dict[str, object], lines: Sequence[Line]) -> int:
    tx_id = _insert(connection.dialect.name, tables.transactions).value(connection, head)
    if tx_id is None:
        raise _KeyTaken
    rows = [
        {"tx": tx_id, "place": number, "minor": line.amount, **_key(line.account)}
        for number, line in enumerate(lines, 1)
    ]
    # Of accounts that are there, as nearly always. PostgreSQL's driver does not count the rows of several at once.
    if rows and _LINES.run_each(connection, rows) != len(rows):
        there = {row.number for row in _PLACES.all(connection, {"tx": tx_id})}
        missing = [row for row in rows if row["place"] not in there]
        for row in missing:
            _open(connection, lines[row["place"] - 1].account)
        if missing:
            _LINES.run_each(connection, missing)
    _SEAL.run(connection, {"tx_id": tx_id})
    return int(tx_id)


class _KeyTaken(Exception):
    """PostgreSQL did nothing: there is a transaction under this key."""


def _open(connection: sa.Connection, account: Account) -> None:
    """An account that is not there yet."""
    if _ACCOUNT_ID.value(connection, _key(account)) is None:
        made = _insert(connection.dialect.name, tables.accounts).value(connection, _key(account))
        assert made is not None, "an account that was not there a moment ago"


def _key(account: Account) -> dict[str, str]:
    return {"kind": account.kind, "owner": account.owner, "currency": account.currency}


@functools.cache
def _insert(dialect: str, table: sa.Table) -> Prepared:
    """Gives its id.

    SQLite has one writer at a time. On PostgreSQL another may have written it meanwhile, where this transaction cannot
    see it: to do nothing then is what PostgreSQL answers with a serialization failure, so that the store tries again.
    """
    made = insert(table).on_conflict_do_nothing() if dialect == "postgresql" else table.insert()
    return Prepared(made.returning(table.c.id))


def _sums(
    connection: sa.Connection, until: datetime.datetime | None, only: Account | None = None
) -> dict[Account, int]:
    accounts, lines = tables.accounts.c, tables.lines.c
    question = (
        sa.select(accounts.kind, accounts.currency, accounts.owner, sa.func.sum(lines.amount))
        .join_from(tables.accounts, tables.lines)
        .group_by(accounts.kind, accounts.currency, accounts.owner)
    )
    if only is not None:
        question = question.filter_by(kind=only.kind, currency=only.currency, owner=only.owner)
    if until is not None:
        question = question.join(tables.transactions).where(tables.transactions.c.effective_at < until)
    # PostgreSQL adds up to a NUMERIC, which comes as Decimal: whole all the same.
    return {Account(*row[:3]): int(row[3]) for row in connection.execute(question)}


def _by_key(connection: sa.Connection, idem_key: str) -> Transaction | None:
    found = _transactions(connection, _BY_KEY.all(connection, {"key": idem_key}))
    return found[0] if found else None


def _page(connection: sa.Connection, which: sa.ColumnElement[bool]) -> list[Transaction]:
    """At most a page of the transactions of which this is true, in the order of their ids."""
    head = tables.transactions.c
    return _transactions(
        connection, connection.execute(sa.select(tables.transactions).where(which).order_by(head.id).limit(PAGE)).all()
    )


def _transactions(connection: sa.Connection, heads: Sequence[sa.Row[Any]]) -> list[Transaction]:
    """With their lines."""
    if not heads:
        return []
    lines: dict[int, list[Line]] = {row.id: [] for row in heads}
    question = (
        sa.select(tables.lines, tables.accounts)
        .join_from(tables.lines, tables.accounts)
        .where(tables.lines.c.tx_id.in_(lines))
        .order_by(tables.lines.c.tx_id, tables.lines.c.number)
    )
    for row in connection.execute(question):
        lines[row.tx_id].append(Line(Account(row.kind, row.currency, row.owner), row.amount))
    return [
        Transaction(row.id, row.idem_key, row.effective_at, row.recorded_at, row.reason, row.ref, tuple(lines[row.id]))
        for row in heads
    ]


# Written once: for SQLAlchemy that costs more than asking them.
_BY_KEY = Prepared(sa.select(tables.transactions).where(tables.transactions.c.idem_key == sa.bindparam("key")))
_ACCOUNT = [tables.accounts.c[name] == sa.bindparam(name) for name in ("kind", "owner", "currency")]
_ACCOUNT_ID = Prepared(sa.select(tables.accounts.c.id).where(*_ACCOUNT))
_TX = sa.bindparam("tx", type_=sa.BigInteger)
_LINE = (_TX, sa.bindparam("place", type_=sa.Integer), tables.accounts.c.id, sa.bindparam("minor", type_=sa.BigInteger))
_LINES = Prepared(
    tables.lines.insert().from_select(["tx_id", "number", "account_id", "amount"], sa.select(*_LINE).where(*_ACCOUNT))
)
_PLACES = Prepared(sa.select(tables.lines.c.number).where(tables.lines.c.tx_id == _TX))
_SEAL = Prepared(tables.seals.insert())
