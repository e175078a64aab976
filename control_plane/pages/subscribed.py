"""Where a subscription stands, in values that pages say in words: days, sums, and what can be done now. Reads only."""

from __future__ import annotations

import contextlib
import datetime
import functools
from collections.abc import Mapping
from dataclasses import dataclass

import sqlalchemy as sa
from babel import Locale

from control_plane import metering
from control_plane.accounts import lifecycle
from control_plane.billing import add_ons, cards, invoices, payments, prices, subscriptions, tax
from control_plane.billing.add_ons import Bought
from control_plane.billing.cards import OnFile
from control_plane.billing.catalogue import Adds, Catalogue
from control_plane.billing.charges import Draft
from control_plane.billing.credit import open_ as open_credit
from control_plane.billing.payments import Payment
from control_plane.billing.setup import Setup
from control_plane.billing.subscription import Subscription, Terms
from control_plane.billing.subscriptions import Coming
from control_plane.errors import Invalid
from control_plane.metering import NEAR_PERCENT, Level, Use
from control_plane.money import Money
from control_plane.periods import day_of

# The states in which the customer cancels by himself (BIL-33), and in which he orders a plan.
CANCELLABLE = ("trial", "active", "expired")
# A failed payment that is older is no news; the state says what came of it.
UNPAID_TOLD = datetime.timedelta(days=14)
ORDERS = ("none", "trial", "expired")


@dataclass(frozen=True)
class Left:
    """Of what was bought to be used up, all pieces that are not used up together: `left` of `most`."""

    adds: Adds
    left: int
    most: int

    @property
    def percent(self) -> int:
        """How much of it is used, rounded down."""
        return 100 * (self.most - self.left) // self.most

    @property
    def level(self) -> Level:
        return "near" if self.percent >= NEAR_PERCENT else ""


@dataclass(frozen=True)
class Standing:
    """`coming` is what the next period costs, None where none comes; `unpaid` the newest payment, where it failed;
    `today` the billing day (UTC); `use`: how much of its limits it uses; `suspended`: the account is."""

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
    coming: Coming | None
    use: Use
    suspended: bool

    def title(self, terms: Terms) -> str:
        """The plan's name."""
        return self.catalogue.plans[terms.plan].title

    @property
    def renewal(self) -> Draft | None:
        """What the coming period costs."""
        return self.coming.draft if self.coming else None

    @property
    def left(self) -> tuple[Left, ...]:
        """What is left of what is used up (BIL-09), in the order in which it was bought."""
        found: dict[Adds, Left] = {}
        for one in self.bought:
            if one.left is not None:
                kind = self.catalogue.add_ons[one.add_on]
                has = found.get(kind.adds, Left(kind.adds, 0, 0))
                found[kind.adds] = Left(kind.adds, has.left + one.left, has.most + kind.amount * one.quantity)
        return tuple(found.values())

    @property
    def left_until(self) -> datetime.date | None:
        """The first day on which the agreement, and what is left with it, is no more; None where none is known."""
        if self.one.state == "expired":
            return self.one.window_ends_on
        return self.one.period.end if self.one.cancel_requested_at and self.one.period else None

    @property
    def orders(self) -> bool:
        """A plan can be ordered."""
        return self.one.state in ORDERS and self.running is None

    @property
    def buys(self) -> bool:
        """The plan can be changed, and add-ons be bought."""
        return self.one.state == "active" and self.running is None and self.one.period is not None

    @property
    def unfreezes(self) -> bool:
        """The freeze can be ended by hand."""
        return self.one.state == "frozen" and not self.suspended

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
        newest if newest is not None and newest.state == "failed" and now - newest.made_at < UNPAID_TOLD else None,
        _coming(connection, setup, account),
        metering.of_account(connection, now, setup, account),
        lifecycle.state(connection, account).status == "suspended",
    )


def _coming(connection: sa.Connection, setup: Setup, account: str) -> Coming | None:
    # An add-on that left the price list in this cycle: the page shows no sum rather than nothing at all.
    with contextlib.suppress(Invalid):
        return subscriptions.coming(connection, setup, account)
    return None


def currency_options(catalogue: Catalogue) -> list[tuple[str, str]]:
    """Those in which anything is sold."""
    return [(one, one) for one in sorted({price.amount.currency for price in catalogue.prices})]


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
