"""What is sold: plans with their limits, add-ons, and every price that ever was. Pure.

The one source of plan names and of what each gives; what an account may have now is told by
control_plane.billing.allowance. A price is a row that never changes (BIL-45); a new price is a new row, a notice of it
and its withdrawal are rows too. So what anybody had to pay at any instant can be told for ever, and each line of an
invoice names its row.

Prices are net (BIL-14) and for one whole cycle of one piece.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

from control_plane.clock import aware
from control_plane.errors import Invalid
from control_plane.money import Money
from control_plane.periods import days_after
from control_plane.translations import N_

EventKind = Literal["meeting", "webinar", "large"]
# "once": what is paid one time and does not come again by its nature (BIL-11).
PriceCycle = Literal["month", "year", "once"]
Adds = Literal["storage_bytes", "recording_bytes", "presenters", "streams", "streamed_events"]

# BIL-05.
NOTICE_DAYS = 30
GB = 10**9


@dataclass(frozen=True)
class Plan:
    """`seats` by kind of event; a kind that is not named is not in it. `members`: people beside the owner.

    `presenters`: who may send in a webinar or large event, hosts among them. A retired plan is sold to nobody and goes
    on for who has it.
    """

    name: str
    title: str
    members: int
    seats: Mapping[EventKind, int]
    presenters: int
    storage_bytes: int
    recording_bytes: int
    retired_at: datetime.datetime | None = None

    def on_sale(self, at: datetime.datetime) -> bool:
        return self.name != FREE and (self.retired_at is None or aware(at) < self.retired_at)


@dataclass(frozen=True)
class AddOn:
    """One piece gives `amount` more of `adds`. `title` is English, and translated where it is shown. `recurring`: it
    renews with the plan, unless bought for one time (BIL-11); else it is used up. `quantity_max`: so many an account
    may have at a time."""

    name: str
    title: str
    adds: Adds
    amount: int
    quantity_max: int
    recurring: bool = True
    retired_at: datetime.datetime | None = None

    def on_sale(self, at: datetime.datetime) -> bool:
        return self.retired_at is None or aware(at) < self.retired_at

    def check_quantity(self, quantity: int, has: int = 0) -> int:
        """Raises Invalid with field `quantity` for none, less than none, and more than the cap with what one `has`."""
        if type(quantity) is not int or quantity < 1:
            raise Invalid("quantity_malformed", "order one piece at least", field="quantity")
        if has + quantity > self.quantity_max:
            raise Invalid("quantity_max", f"at most {self.quantity_max} of {self.name} at a time", field="quantity")
        return quantity


@dataclass(frozen=True, slots=True)
class Price:
    """A row of the price list. New customers pay it from `published_at` on; for others see `Catalogue.at_renewal`."""

    id: str
    item: str
    cycle: PriceCycle
    amount: Money
    published_at: datetime.datetime

    def __post_init__(self) -> None:
        aware(self.published_at)
        if self.amount.minor < 0:
            raise ValueError(f"the price {self.id} is below zero")

    @property
    def key(self) -> tuple[str, PriceCycle, str]:
        """What it is the price of; all rows with the same key are versions of one price."""
        return self.item, self.cycle, self.amount.currency


@dataclass(frozen=True, slots=True)
class Notice:
    """When those who have an earlier price were told of this one."""

    price: str
    at: datetime.datetime


@dataclass(frozen=True, slots=True)
class Withdrawal:
    """From `at` on this price is nobody's: the change was taken back."""

    price: str
    at: datetime.datetime


# The free version, which the trial is too (ACC-05), has no plan (ACC-10); its limits stand under the empty name.
FREE = ""


@dataclass(frozen=True)
class Catalogue:
    """Raises ValueError for rows that contradict each other. All methods are told the instant they are asked for."""

    plans: Mapping[str, Plan]
    add_ons: Mapping[str, AddOn]
    prices: tuple[Price, ...]
    notices: tuple[Notice, ...] = ()
    withdrawals: tuple[Withdrawal, ...] = ()
    _by_id: dict[str, Price] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        by_id = {price.id: price for price in self.prices}
        if len(by_id) != len(self.prices):
            raise ValueError("two prices have one id; a price is never edited, a new one is a new row")
        if len({(price.key, price.published_at) for price in self.prices}) != len(self.prices):
            raise ValueError("two versions of one price are published at one instant")
        for price in self.prices:
            add_on = self.add_ons.get(price.item)
            if add_on is None and (price.item == FREE or price.item not in self.plans):
                raise ValueError(f"{price.id} is the price of nothing")
            if (price.cycle == "once") != (add_on is not None and not add_on.recurring):
                raise ValueError(f"{price.id}: only what does not recur is paid once")
        for named in (*(notice.price for notice in self.notices), *(one.price for one in self.withdrawals)):
            if named not in by_id:
                raise ValueError(f"there is no price {named}")
        object.__setattr__(self, "_by_id", by_id)

    def price(self, id_: str) -> Price:
        """Any row that ever was. Raises KeyError."""
        return self._by_id[id_]

    def published(
        self, prices: Iterable[Price] = (), notices: Iterable[Notice] = (), withdrawals: Iterable[Withdrawal] = ()
    ) -> Catalogue:
        """With more rows. Raises ValueError, also for an id that is there already."""
        return replace(
            self,
            prices=(*self.prices, *prices),
            notices=(*self.notices, *notices),
            withdrawals=(*self.withdrawals, *withdrawals),
        )

    def plans_for_sale(self, at: datetime.datetime) -> list[Plan]:
        """In the order of the catalogue; the free version is not sold."""
        return [plan for plan in self.plans.values() if plan.on_sale(at)]

    def listed(self, item: str, cycle: PriceCycle, currency: str, at: datetime.datetime) -> Price | None:
        """The newest version that is published and not withdrawn; None where there is none, so it is not sold so."""
        key = (item, cycle, currency)
        rows = [row for row in self.prices if row.key == key and row.published_at <= aware(at)]
        return max((row for row in rows if not self.withdrawn(row, at)), key=lambda row: row.published_at, default=None)

    def for_newcomer(self, item: str, cycle: PriceCycle, currency: str, at: datetime.datetime) -> Price:
        """What somebody pays who buys this now, whoever he is and whatever he had (BIL-05: the new price at once).

        Raises Invalid with field `plan` or `add_on` for what is not on sale, `currency` for one it is not sold in.
        """
        noun = "add_on" if item in self.add_ons else "plan"
        one = self.add_ons.get(item) or self.plans.get(item)
        if one is None or not one.on_sale(at):
            raise Invalid(f"{noun}_unknown", f"this {noun.replace('_', '-')} is not on sale", field=noun)
        found = self.listed(item, cycle, currency, at)
        if found is None:
            raise Invalid(f"{noun}_currency", "this is not sold in that currency and cycle", field="currency")
        return found

    def at_renewal(
        self, has: Price, due: datetime.datetime, told: Mapping[str, datetime.datetime] | None = None
    ) -> Price:
        """The price of a renewal that is due at `due`, for who last paid `has` (BIL-05). The due instant decides, not
        when the renewal is carried out. Whether the item is still on sale does not matter.

        A later version counts once its notice is 30 days old; but nobody pays more than a newcomer pays at that
        instant, so a lower price needs no notice, and a change that was withdrawn is gone. `told`: when this customer
        was told, by price, where it was not with the others' notice (that of one whose mail bounced is not in it).
        """
        told = {notice.price: notice.at for notice in self.notices} if told is None else told
        later = [
            row
            for row in self.prices
            if row.key == has.key
            and has.published_at < row.published_at <= aware(due)
            and not self.withdrawn(row, due)
            and row.id in told
            and days_after(told[row.id], NOTICE_DAYS) <= due
        ]
        noticed = max(later, key=lambda row: row.published_at, default=has)
        newcomers = self.listed(*has.key, due)
        return newcomers if newcomers is not None and newcomers.amount <= noticed.amount else noticed

    def cheapest_month(self, at: datetime.datetime) -> dict[str, int]:
        """Net price in minor units of a month of the cheapest plan on sale, by currency (BIL-44)."""
        found: dict[str, int] = {}
        for currency in sorted({price.amount.currency for price in self.prices}):
            rows = [self.listed(plan.name, "month", currency, at) for plan in self.plans_for_sale(at)]
            amounts = [row.amount.minor for row in rows if row is not None]
            if amounts:
                found[currency] = min(amounts)
        return found

    def currencies(self, item: str) -> frozenset[str]:
        """Those in which it was ever sold."""
        return frozenset(price.amount.currency for price in self.prices if price.item == item)

    def withdrawn(self, price: Price, at: datetime.datetime) -> bool:
        """It was taken back by then."""
        return any(row.price == price.id and row.at <= at for row in self.withdrawals)


# The names and sizes between free and the product's largest are ours: the text gives only the largest.
PLANS: Mapping[str, Plan] = {
    plan.name: plan
    for plan in (
        Plan(FREE, "Free", 1, {"meeting": 5, "webinar": 20}, 2, 1 * GB, 2 * GB),
        Plan("basic", "Basic", 3, {"meeting": 25, "webinar": 100}, 4, 10 * GB, 20 * GB),
        Plan("professional", "Professional", 25, {"meeting": 40, "webinar": 1_000}, 10, 50 * GB, 200 * GB),
        Plan("business", "Business", 250, {"meeting": 40, "webinar": 1_000, "large": 10_000}, 25, 250 * GB, 1_000 * GB),
    )
}

# BIL-10 names four. A streamed event is bought by itself: it is used up, so it cannot recur (BIL-11).
ADD_ONS: Mapping[str, AddOn] = {
    add_on.name: add_on
    for add_on in (
        AddOn("storage", N_("Extra file storage, 10 GB"), "storage_bytes", 10 * GB, 50),
        AddOn("recording_storage", N_("Extra recording storage, 50 GB"), "recording_bytes", 50 * GB, 40),
        AddOn("presenter", N_("Extra presenter"), "presenters", 1, 15),
        AddOn("streaming", N_("Streaming to other platforms"), "streams", 1, 3),
        AddOn("streamed_event", N_("One streamed event"), "streamed_events", 1, 20, recurring=False),
    )
}

_FIRST = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
_CURRENCIES = ("USD", "EUR", "PLN")
# Minor units in the order of _CURRENCIES. A year costs ten months.
_LIST: tuple[tuple[str, PriceCycle, tuple[int, int, int]], ...] = (
    ("basic", "month", (1_900, 1_900, 7_900)),
    ("basic", "year", (19_000, 19_000, 79_000)),
    ("professional", "month", (4_900, 4_900, 19_900)),
    ("professional", "year", (49_000, 49_000, 199_000)),
    ("business", "month", (14_900, 14_900, 59_900)),
    ("business", "year", (149_000, 149_000, 599_000)),
    ("storage", "month", (500, 500, 2_000)),
    ("storage", "year", (5_000, 5_000, 20_000)),
    ("recording_storage", "month", (1_000, 1_000, 4_000)),
    ("recording_storage", "year", (10_000, 10_000, 40_000)),
    ("presenter", "month", (700, 700, 2_900)),
    ("presenter", "year", (7_000, 7_000, 29_000)),
    ("streaming", "month", (1_500, 1_500, 5_900)),
    ("streaming", "year", (15_000, 15_000, 59_000)),
    ("streamed_event", "once", (900, 900, 3_900)),
)

CATALOGUE = Catalogue(
    PLANS,
    ADD_ONS,
    tuple(
        Price(f"{item}.{cycle}.{currency}.1", item, cycle, Money(minor, currency), _FIRST)
        for item, cycle, amounts in _LIST
        for currency, minor in zip(_CURRENCIES, amounts, strict=True)
    ),
)
