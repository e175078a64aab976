"""How far the operator is liable to a customer (BIL-44, LEG-11): the sums for control_plane.legal.caps, from the books.

What an account paid is the money that came in, with tax, on the day it came; what went back to a card on a day, or was
taken back by an issuer, is taken off on that day. What was credited to the customer was his own money all along.
"""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from control_plane.accounts.tables import accounts
from control_plane.billing.prices import catalogue
from control_plane.billing.setup import Setup
from control_plane.billing.tables import disputes, payments, refunds
from control_plane.errors import NotFound
from control_plane.legal import caps
from control_plane.legal.caps import Cap

_MIDNIGHT = datetime.time(tzinfo=datetime.UTC)


@dataclass(frozen=True)
class Books:
    """control_plane.legal.caps.Sums. Days are half-open, UTC."""

    connection: sa.Connection
    setup: Setup

    def paid_by(self, account: str, start: datetime.date, end: datetime.date) -> Mapping[str, int]:
        """What came in from the account, less what it got back, by currency; below zero where more went back."""
        came = (payments, payments.c.received, payments.c.ended_at, ("succeeded",))
        returned = (refunds, refunds.c.amount, refunds.c.made_at, ("processing", "arrived"))
        taken = (disputes, disputes.c.amount, disputes.c.opened_at, ("open", "lost"))
        found: dict[str, int] = {}
        for sign, (table, amount, at, states) in ((1, came), (-1, returned), (-1, taken)):
            for currency, minor in self._sums(table, amount, at, states, account, start, end):
                found[currency] = found.get(currency, 0) + sign * int(minor)
        return found

    def cheapest_month(self, on: datetime.date) -> Mapping[str, int]:
        """By the price list as that day began."""
        return catalogue(self.connection, self.setup).cheapest_month(datetime.datetime.combine(on, _MIDNIGHT))

    def paid_to(self, affiliate: str, start: datetime.date, end: datetime.date) -> Mapping[str, int]:
        """There are no affiliates yet."""
        return {}

    def _sums(
        self,
        table: sa.Table,
        amount: sa.Column[Any],
        at: sa.Column[Any],
        states: tuple[str, ...],
        account: str,
        start: datetime.date,
        end: datetime.date,
    ) -> list[Any]:
        first, after = (datetime.datetime.combine(day, _MIDNIGHT) for day in (start, end))
        wanted = (table.c.account == account) & table.c.state.in_(states) & (at >= first) & (at < after)
        asked = sa.select(table.c.currency, sa.func.sum(amount)).where(wanted).group_by(table.c.currency)
        return list(self.connection.execute(asked))


def cap(connection: sa.Connection, setup: Setup, account: str, on: datetime.date) -> Cap:
    """As of an event on this day; also of an account that is deleted. Raises NotFound."""
    row = connection.execute(sa.select(accounts.c.opened_at, accounts.c.created_at).where(accounts.c.id == account))
    found = row.one_or_none()
    if found is None:
        raise NotFound("account_unknown", "there is no such account")
    opened_at: datetime.datetime = found.opened_at or found.created_at
    return caps.of_customer(account, opened_at.date(), on, Books(connection, setup))
