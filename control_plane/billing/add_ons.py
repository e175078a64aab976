"""What an account has beside its plan: rows that are ordered, active while paid for, and over (BIL-10 to BIL-13).

What is used up (streamed events, minutes: BIL-09) has no days. It counts down, is over when nothing is left of it, and
ends with the agreement at the latest; a freeze leaves it as it is.
"""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from control_plane.billing import allowance
from control_plane.billing.catalogue import Adds, Catalogue, Price
from control_plane.billing.invoices import Invoice
from control_plane.billing.prices import catalogue
from control_plane.billing.setup import Setup
from control_plane.billing.subscription import Cycle
from control_plane.billing.tables import add_ons
from control_plane.errors import Conflict, NotFound
from control_plane.periods import Period
from control_plane.running import events
from control_plane.running.canonical import JSON
from control_plane.storage.prepared import Prepared


@dataclass(frozen=True)
class Bought:
    """A row. `paid_until`: the first day that is not paid for; None for what has no days. `left`: how much of it is not
    used up yet; None for what has days."""

    id: str
    account: str
    add_on: str
    quantity: int
    price: str
    recurring: bool
    state: str
    paid_until: datetime.date | None
    cancelled_at: datetime.datetime | None
    left: int | None


def order(
    connection: sa.Connection,
    now: datetime.datetime,
    *,
    id_: str,
    account: str,
    price: Price,
    quantity: int,
    recurring: bool,
    left: int | None = None,
) -> None:
    """Put it down; it counts once it is paid. `left`: how much of what is used up it brings."""
    values = {"id": id_, "account": account, "add_on": price.item, "quantity": quantity, "price": price.id}
    values |= {"recurring": recurring, "state": "ordered", "bought_at": now, "left": left}
    connection.execute(add_ons.insert().values(values))


def paid(connection: sa.Connection, now: datetime.datetime, id_: str, until: datetime.date | None) -> None:
    """From now on it counts."""
    one = by_id(connection, id_)
    changed = add_ons.update().where(add_ons.c.id == id_, add_ons.c.state == "ordered")
    if connection.execute(changed.values(state="active", paid_until=until)).rowcount:
        told: dict[str, JSON] = {"add_on": one.add_on, "quantity": one.quantity}
        events.emit(connection, now, account=one.account, kind="add_on.active", payload=told)
        allowance.changed(connection, now, one.account, f"add_on:{id_}", "add_on")


def not_paid(connection: sa.Connection, id_: str) -> None:
    """Nothing came of the order."""
    connection.execute(add_ons.update().where(add_ons.c.id == id_, add_ons.c.state == "ordered").values(state="over"))


def cancel(connection: sa.Connection, now: datetime.datetime, account: str, id_: str) -> Bought:
    """It works to the end of the days that are paid, and is not charged again (BIL-11). Again: nothing happens. Raises
    NotFound."""
    one = by_id(connection, id_, account)
    if one.state != "active":
        raise NotFound("add_on_unknown", "this add-on is over")
    if one.cancelled_at is None:
        connection.execute(add_ons.update().where(add_ons.c.id == id_).values(cancelled_at=now))
        events.emit(connection, now, account=account, kind="add_on.cancelled", payload={"add_on": one.add_on})
    return by_id(connection, id_)


def going_on(connection: sa.Connection, account: str) -> list[Bought]:
    """Those that are charged with the next period."""
    return [_bought(row) for row in connection.execute(_GOING_ON, {"of": account})]


def active(connection: sa.Connection, account: str) -> list[Bought]:
    """All that were paid and are not over; in a freeze their days may be past."""
    wanted = add_ons.select().where(add_ons.c.account == account, add_ons.c.state == "active")
    return [_bought(row) for row in connection.execute(wanted.order_by(add_ons.c.bought_at, add_ons.c.id))]


def use(connection: sa.Connection, now: datetime.datetime, setup: Setup, account: str, adds: Adds, amount: int) -> int:
    """Use up so much of what the account bought of this, the oldest first; returns what is left of it. Raises Conflict
    "used_up" where there is not so much, and then nothing is used (the database refuses less than nothing as well);
    ValueError for none and less than none."""
    if amount < 1:
        raise ValueError("one at least is used")
    known = catalogue(connection, setup).add_ons
    mine = [one for one in active(connection, account) if one.left and known[one.add_on].adds == adds]
    whole = sum(one.left or 0 for one in mine)
    if amount > whole:
        raise Conflict("used_up", f"only {whole} are left of what was bought")
    rest = amount
    for one in mine:
        part = min(one.left or 0, rest)
        if not part:
            break
        rest -= part
        row = add_ons.update().where(add_ons.c.id == one.id)
        connection.execute(row.values(left=add_ons.c.left - part))
        if part == one.left:
            connection.execute(row.values(state="over"))
            events.emit(connection, now, account=account, kind="add_on.used_up", payload={"add_on": one.add_on})
    return whole - amount


def carry_on(connection: sa.Connection, now: datetime.datetime, account: str, period: Period, invoice: Invoice) -> None:
    """A period was paid: those on its invoice have its days, and what was bought for a time that is over is over."""
    items = list(invoice.purpose.get("add_ons", ()))
    lines = [line for line in invoice.draft.lines if line.kind == "add_on"]
    for id_, line in zip(items, lines, strict=True):
        values = {"paid_until": period.end, "price": line.price}
        connection.execute(add_ons.update().where(add_ons.c.id == id_).values(values))
    if _PAST.run(connection, {"of": account, "first": period.first}):
        allowance.changed(connection, now, account, f"add_ons:{account}:{period.first}", "add_on")


def end_all(connection: sa.Connection, account: str) -> None:
    """They end with the plan (BIL-11)."""
    connection.execute(add_ons.update().where(add_ons.c.account == account).values(state="over"))


def price_at(
    known: Catalogue,
    told: Mapping[str, datetime.datetime],
    one: Bought,
    cycle: Cycle,
    currency: str,
    due: datetime.datetime,
) -> Price:
    """What it costs in a period of this cycle that is due at this instant, for who was `told` of other prices
    (control_plane.billing.prices.told). Where the plan's cycle has changed, it is bought anew in the new one."""
    last = known.price(one.price)
    if last.key == (one.add_on, cycle, currency):
        return known.at_renewal(last, due, told)
    return known.for_newcomer(one.add_on, cycle, currency, due)


def by_id(connection: sa.Connection, id_: str, account: str | None = None) -> Bought:
    """Raises NotFound, also for one of another account."""
    row = connection.execute(add_ons.select().where(add_ons.c.id == id_)).one_or_none()
    if row is None or (account is not None and row.account != account):
        raise NotFound("add_on_unknown", "there is no such add-on")
    return _bought(row)


_ACTIVE = (add_ons.c.account == sa.bindparam("of")) & (add_ons.c.state == "active")
_GOING_ON = (
    add_ons.select()
    .where(_ACTIVE, add_ons.c.recurring, add_ons.c.cancelled_at.is_(None))
    .order_by(add_ons.c.bought_at, add_ons.c.id)
)
_PAST = Prepared(add_ons.update().where(_ACTIVE, add_ons.c.paid_until <= sa.bindparam("first")).values(state="over"))


def _bought(row: sa.Row[Any]) -> Bought:
    return Bought(
        row.id,
        row.account,
        row.add_on,
        row.quantity,
        row.price,
        row.recurring,
        row.state,
        row.paid_until,
        row.cancelled_at,
        row.left,
    )
