"""Which days an account has paid for: rows that are written once."""

from __future__ import annotations

import datetime

import sqlalchemy as sa

from control_plane.billing.subscription import CYCLE_DAYS, Terms
from control_plane.billing.tables import periods
from control_plane.periods import Period, Span
from control_plane.storage.prepared import Prepared


def add(connection: sa.Connection, account: str, period: Period, terms: Terms, price: str, invoice: str) -> None:
    """The database refuses one that shares a day with another of the account. The last day of one that was ended
    belongs to the new one, where that begins on it."""
    _ENDED.run(connection, {"of": account, "on": period.first})
    assert period.days == CYCLE_DAYS[terms.cycle]
    values = {"account": account, "first": period.first, "end": period.end, "plan": terms.plan, "price": price}
    _ADD.run(connection, values | {"invoice": invoice})


def cut(connection: sa.Connection, account: str, on: datetime.date) -> None:
    """The agreement ended in the middle: from this day on nothing is covered."""
    open_ = (periods.c.account == account) & (periods.c.end > on) & periods.c.cut_on.is_(None)
    connection.execute(periods.update().where(open_).values(cut_on=on))


def covered(connection: sa.Connection, account: str) -> list[Span]:
    """All days that were paid for, as far as they were not cut off."""
    rows = connection.execute(
        sa.select(periods.c.first, periods.c.end, periods.c.cut_on)
        .where(periods.c.account == account)
        .order_by(periods.c.first)
    )
    ends = [(row.first, min(row.end, row.cut_on or row.end)) for row in rows]
    return [Span(first, (end - first).days) for first, end in ends if end > first]


_ON = sa.bindparam("on", type_=sa.Date)
_ENDED = Prepared(
    periods.update().where(periods.c.account == sa.bindparam("of"), periods.c.cut_on > _ON).values(cut_on=_ON)
)
_ADD = Prepared(periods.insert())
