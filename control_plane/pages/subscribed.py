"""Where a subscription stands, in values that pages say in words: days, sums, and what can be done now. Reads only."""

from __future__ import annotations

import contextlib
import datetime
import functools
from collections.abc import Mapping
from dataclasses import dataclass

import sqlalchemy as sa
from babel import Locale

from control_plane.billing import add_ons, cards, invoices, orders, payments, prices, subscriptions, tax
from control_plane.billing.add_ons import Bought
from control_plane.billing.cards import OnFile
from control_plane.billing.catalogue import Catalogue
from control_plane.billing.charges import Draft
from control_plane.billing.credit import open_ as open_credit
from control_plane.billing.payments import Payment
from control_plane.billing.setup import Setup
from control_plane.billing.subscription import Subscription, Terms
from control_plane.errors import Invalid
from control_plane.money import Money
from control_plane.periods import day_of

# Whose plan goes on by itself or not: the states in which something can be cancelled on the page.
CANCELLABLE = ("trial", "active", "expired")
ORDERS = ("none", "trial", "expired")


@dataclass(frozen=True)
class Standing:
    """`renewal` is what the next period costs, None where none is charged; `unpaid` the newest payment, where it
    failed; `today` the billing day (UTC)."""

    one: Subscription
    currency: str
    today: datetime.date
    catalogue: Catalogue
    card: OnFile | None
    bought: tuple[Bought, ...]
    credit: tuple[Money, ...]
    country: str
    running: Payment | None
    unpaid: Payment | None
    renewal: Draft | None

    def title(self, terms: Terms) -> str:
        """The plan's name."""
        return self.catalogue.plans[terms.plan].title

    @property
    def orders(self) -> bool:
        """A plan can be ordered."""
        return self.one.state in ORDERS and self.running is None

    @property
    def buys(self) -> bool:
        """The plan can be changed, and add-ons be bought."""
        return self.one.state == "active" and self.running is None and self.one.period is not None

    @property
    def freezes_from(self) -> datetime.date | None:
        """The first day that a freeze could have (BIL-21); None where it cannot be asked for."""
        one = self.one
        if one.state != "active" or one.cancel_requested_at is not None or one.period is None:
            return None
        return (one.charging.period if one.charging else one.period).end


def standing(connection: sa.Connection, now: datetime.datetime, setup: Setup, account: str) -> Standing:
    """All of an account."""
    held = subscriptions.of(connection, account)
    sums: dict[str, Money] = {}
    for credit in open_credit(connection, account):
        sums[credit.left.currency] = sums.get(credit.left.currency, Money(0, credit.left.currency)) + credit.left
    newest = payments.newest(connection, account)
    return Standing(
        held.one,
        held.currency,
        day_of(now),
        prices.catalogue(connection, setup),
        cards.on_file(connection, account),
        tuple(add_ons.active(connection, account)),
        tuple(sums[name] for name in sorted(sums)),
        invoices.country_of(connection, account),
        payments.running(connection, account),
        newest if newest is not None and newest.state == "failed" else None,
        _renewal(connection, now, setup, account, held.one),
    )


def _renewal(
    connection: sa.Connection, now: datetime.datetime, setup: Setup, account: str, one: Subscription
) -> Draft | None:
    """What the next charge takes by itself or by hand: the period after this one, or after the freeze."""
    # An add-on that left the price list in this cycle: the page shows no sum rather than nothing at all.
    with contextlib.suppress(Invalid):
        if one.state == "frozen":
            return orders.quote_unfreeze(connection, now, setup, account)
        if one.state == "active" and one.cancel_requested_at is None:
            return orders.quote_renewal(connection, setup, account)
    return None


@functools.cache
def countries(language: str) -> tuple[tuple[str, str], ...]:
    """All that an invoice can be sent to, by their names in this language."""
    names: Mapping[str, str] = Locale.parse(language).territories
    found = [(code, name) for code, name in names.items() if _is_country(code)]
    return tuple(sorted(found, key=lambda one: one[1]))


def _is_country(code: str) -> bool:
    try:
        return tax.country(code) == code
    except Invalid:
        return False
