"""What customers have to their credit: overpayments, oldest first (BIL-07), and gifts."""

from __future__ import annotations

import datetime
from collections.abc import Iterable

import sqlalchemy as sa

from control_plane.billing.charges import Credit, Used
from control_plane.billing.tables import credits
from control_plane.ledger import journal
from control_plane.ledger.chart import credit as ledger_credit
from control_plane.ledger.chart import debit
from control_plane.money import Money


def add(
    connection: sa.Connection,
    now: datetime.datetime,
    *,
    account: str,
    id_: str,
    amount: Money,
    cause: str,
    promotional: bool = False,
) -> None:
    """Keep it under an id of its own. What is money has its posting in the same transaction, by the caller."""
    values = {"id": id_, "account": account, "currency": amount.currency, "amount": amount.minor, "left": amount.minor}
    connection.execute(credits.insert().values(values | {"promotional": promotional, "cause": cause, "since": now}))


def open_(connection: sa.Connection, account: str) -> list[Credit]:
    """What is left, the oldest first."""
    rows = connection.execute(_OPEN, {"of": account})
    return [Credit(row.id, row.since, Money(row.left, row.currency), row.promotional) for row in rows]


def use(connection: sa.Connection, used: Iterable[Used]) -> None:
    """Set it aside for an invoice that is made out, so that no other one counts on it. The database refuses more than
    is left."""
    for one in used:
        _move(connection, one, -one.amount.minor)


def give_back(connection: sa.Connection, used: Iterable[Used]) -> None:
    """The invoice is void: it can be used again."""
    for one in used:
        _move(connection, one, one.amount.minor)


def lapse(connection: sa.Connection, now: datetime.datetime, account: str) -> None:
    """The account is deleted for good: what is left of money is posted to an income of its own, gifts are gone."""
    for one in open_(connection, account):
        if not one.promotional:
            journal.post(
                connection,
                now,
                idem_key=f"lapsed:{one.id}",
                effective_at=now,
                reason="credit_lapsed",
                ref=one.id,
                lines=(debit("customer_credit", one.left, account), ledger_credit("breakage", one.left)),
            )
        connection.execute(credits.update().where(credits.c.id == one.id).values(left=0))


_OPEN = (
    credits.select()
    .where(credits.c.account == sa.bindparam("of"), credits.c.left > 0)
    .order_by(credits.c.since, credits.c.id)
)


def _move(connection: sa.Connection, one: Used, minor: int) -> None:
    connection.execute(credits.update().where(credits.c.id == one.credit).values(left=credits.c.left + minor))
