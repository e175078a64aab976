"""The price list as it stands: what the program came with, and what the operator published since (BIL-05, BIL-45)."""

from __future__ import annotations

import datetime
from collections.abc import Mapping

import sqlalchemy as sa

from control_plane.billing.catalogue import Catalogue, Notice, Price, PriceCycle, Withdrawal
from control_plane.billing.setup import Setup
from control_plane.billing.subscription import Terms
from control_plane.billing.tables import price_changes, prices
from control_plane.errors import Conflict, Invalid, NotFound
from control_plane.legal import notices
from control_plane.money import Money
from control_plane.running import audit, jobs
from control_plane.storage.prepared import Prepared


def catalogue(connection: sa.Connection, setup: Setup) -> Catalogue:
    """All that is and was sold."""
    rows = _PRICES.all(connection, {})
    if not rows:
        return setup.catalogue
    changes = _CHANGES.all(connection, {})
    return setup.catalogue.published(
        [Price(row.id, row.item, row.cycle, Money(row.minor, row.currency), row.published_at) for row in rows],
        [Notice(row.price, row.at) for row in changes if row.what == "notice"],
        [Withdrawal(row.price, row.at) for row in changes if row.what == "withdrawal"],
    )


_PRICES = Prepared(prices.select().order_by(prices.c.published_at, prices.c.id))
_CHANGES = Prepared(price_changes.select().order_by(price_changes.c.at, price_changes.c.price))


def publish(
    connection: sa.Connection,
    now: datetime.datetime,
    setup: Setup,
    *,
    item: str,
    cycle: PriceCycle,
    amount: Money,
    actor: str,
) -> Price:
    """Newcomers pay it from now on; everybody else 30 days after `notify`. Raises Invalid for the price of nothing."""
    known = catalogue(connection, setup)
    version = sum(1 for price in known.prices if price.key == (item, cycle, amount.currency)) + 1
    price = Price(f"{item}.{cycle}.{amount.currency}.{version}", item, cycle, amount, now)
    try:
        known.published([price])
    except ValueError as error:
        raise Invalid("price_malformed", str(error), field="price") from error
    values = {"id": price.id, "item": item, "cycle": cycle, "currency": amount.currency, "minor": amount.minor}
    connection.execute(prices.insert().values(values | {"published_at": now, "actor": actor}))
    audit.record(connection, now, actor=actor, account=None, code="price_published", ids={"price": price.id})
    return price


def notify(connection: sa.Connection, now: datetime.datetime, setup: Setup, price: str, actor: str) -> None:
    """Tell everybody who has an earlier version, after the commit; the 30 days of each run from then on. Again: nothing
    happens. Raises NotFound."""
    if _change(connection, now, setup, price, "notice", actor):
        jobs.put(
            connection,
            kind="billing.price_notice",
            key=f"billing.price_notice:{price}:1",
            due_at=now,
            account=None,
            payload={"price": price, "number": 1, "after": ""},
        )


def withdraw(connection: sa.Connection, now: datetime.datetime, setup: Setup, price: str, actor: str) -> None:
    """The change is taken back. Again: nothing happens. Raises NotFound."""
    _change(connection, now, setup, price, "withdrawal", actor)


def told(connection: sa.Connection, known: Catalogue, account: str) -> Mapping[str, datetime.datetime]:
    """When this customer was told of which price, as far as his mail did not come back; for `Catalogue.at_renewal`."""
    if not known.notices:  # nobody was told of anything: most renewals ask nothing
        return {}
    found = (row for row in notices.of_account(connection, account) if row.kind == notices.FEES)
    return {row.version: row.change.noticed_at for row in found if row.mailed_at and not row.bounced_at}


def of_terms(
    connection: sa.Connection,
    setup: Setup,
    account: str,
    terms: Terms,
    currency: str,
    has: str | None,
    due: datetime.datetime,
) -> Price:
    """What a period of these terms costs that is due at this instant, for who paid by the row `has` last.

    A plan that he has goes on for him at the price that is in force for him, on sale or not (BIL-29); any other is
    bought as by a newcomer. Raises Invalid for what is not sold.
    """
    known = catalogue(connection, setup)
    return price_of(known, told(connection, known, account), terms, currency, has, due)


def price_of(
    known: Catalogue,
    told: Mapping[str, datetime.datetime],
    terms: Terms,
    currency: str,
    has: str | None,
    due: datetime.datetime,
) -> Price:
    """The same out of a price list, and of what the customer was told, that were read before."""
    if has is not None:
        last = known.price(has)
        if last.key == (terms.plan, terms.cycle, currency):
            return known.at_renewal(last, due, told)
    return known.for_newcomer(terms.plan, terms.cycle, currency, due)


def _change(connection: sa.Connection, now: datetime.datetime, setup: Setup, price: str, what: str, actor: str) -> bool:
    """Whether it was not noted before."""
    known = catalogue(connection, setup)
    try:
        row = known.price(price)
    except KeyError:
        raise NotFound("price_unknown", "there is no such price") from None
    if row.id in {one.id for one in setup.catalogue.prices}:
        raise Conflict("price_shipped", "this price came with the program: publish another one")
    same = (price_changes.c.price == price) & (price_changes.c.what == what)
    if connection.execute(price_changes.select().where(same)).one_or_none() is not None:
        return False
    connection.execute(price_changes.insert().values(price=price, what=what, at=now, actor=actor))
    audit.record(connection, now, actor=actor, account=None, code=f"price_{what}", ids={"price": price})
    return True
