"""What a customer pays and gets back, line by line: periods, add-ons, upgrades, discounts, tax, credit. Pure.

A line is rounded once, from exact fractions, with its days and its discount together (C4, BIL-12). Tax is rounded once
for each rate, on the sum of its lines. So net and tax and gross always add up, and so do all credit notes of an
invoice: given back in parts or at once, the whole is exactly what was paid.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Literal

from control_plane.billing.catalogue import Price
from control_plane.billing.subscription import CYCLE_DAYS
from control_plane.billing.tax import Treatment
from control_plane.errors import Conflict, Invalid
from control_plane.money import Money, half_up, total
from control_plane.periods import Period, Span

LineKind = Literal["plan", "add_on", "upgrade"]
_NO_DISCOUNT = Fraction(0)


@dataclass(frozen=True, slots=True)
class Discount:
    """A part off every price, on days before `until` (BIL-46). A period is paid with the discount of its first day, the
    whole of it. Raises ValueError unless the part is above 0 and at most 1."""

    part: Fraction
    until: datetime.date | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.part, Fraction):
            raise TypeError("a discount is a Fraction")
        if not 0 < self.part <= 1:
            raise ValueError("a discount is above 0 and at most the whole")

    def on(self, day: datetime.date) -> Fraction:
        return self.part if self.until is None or day < self.until else _NO_DISCOUNT


@dataclass(frozen=True, slots=True)
class Line:
    """One line of an invoice or of a credit note; on the latter `net` is below zero.

    `unit`: the price of one piece for `basis` days, of an upgrade the difference of two. `span`: the days paid for,
    None for what has no days. `price`: the row of the price list that it was paid by (BIL-45); of an upgrade the row of
    the new plan, `was` the one of the old. `of`: on a credit note, which line of its invoice this gives back.
    """

    kind: LineKind
    item: str
    price: str
    quantity: int
    unit: Money
    span: Span | None
    basis: int
    discount: Fraction
    net: Money
    tax: Treatment
    was: str = ""
    of: int | None = None

    @property
    def full(self) -> Money:
        """Before the discount."""
        if self.of is not None or not self.discount:
            return self.net
        return (self.unit * self.quantity).share(self.span.days if self.span else self.basis, self.basis)


@dataclass(frozen=True, slots=True)
class TaxSum:
    """All lines with one treatment: their net sum and the tax on it."""

    treatment: Treatment
    net: Money
    amount: Money


@dataclass(frozen=True, slots=True)
class Credit:
    """What is left of something overpaid, or given (`promotional`, which is no money and is never paid out: BIL-43)."""

    id: str
    since: datetime.datetime
    left: Money
    promotional: bool = False


@dataclass(frozen=True, slots=True)
class Used:
    """So much of a credit is used up."""

    credit: str
    amount: Money
    promotional: bool


@dataclass(frozen=True, slots=True)
class Draft:
    """Lines with their totals; never changed once made. `payable` is what the card is charged, which may be nothing.

    Raises ValueError for none, for totals that are not those of the lines, and for more credit than is due.
    """

    lines: tuple[Line, ...]
    taxes: tuple[TaxSum, ...]
    used: tuple[Used, ...] = ()

    def __post_init__(self) -> None:
        if not self.lines:
            raise ValueError("there is nothing to pay for")
        if total((tax.net for tax in self.taxes), self.currency) != self.net:
            raise ValueError("the sums by rate are not the sum of the lines")
        if self.used and self.payable.minor < 0:
            raise ValueError("more credit is used than is due")

    @property
    def currency(self) -> str:
        return self.lines[0].net.currency

    @property
    def net(self) -> Money:
        return total((line.net for line in self.lines), self.currency)

    @property
    def tax(self) -> Money:
        return total((tax.amount for tax in self.taxes), self.currency)

    @property
    def gross(self) -> Money:
        return self.net + self.tax

    @property
    def from_credit(self) -> Money:
        return total((used.amount for used in self.used), self.currency)

    @property
    def payable(self) -> Money:
        return self.gross - self.from_credit


@dataclass(frozen=True, slots=True)
class Returned:
    """Where a refund goes: to the card, to overpayment that had been used (money as well), or, of promotional credit,
    nowhere."""

    card: Money
    credit: Money
    lapsed: Money


def full_period(
    kind: Literal["plan", "add_on"],
    price: Price,
    period: Period,
    tax: Treatment,
    *,
    quantity: int = 1,
    discount: Discount | None = None,
) -> Line:
    """A plan, or an add-on from its second period on (BIL-13), for a whole period. Raises ValueError for a price of
    another cycle."""
    span = Span(period.first, period.days)
    return _line(kind, price, price.amount, span, period.days, period.first, tax, quantity, discount)


def first_add_on(
    price: Price,
    period: Period,
    day: datetime.date,
    tax: Treatment,
    *,
    quantity: int = 1,
    discount: Discount | None = None,
) -> Line:
    """The first charge of an add-on, for the days left in the plan's period, this one among them (BIL-12); what is paid
    once has no days and is paid in full. Raises ValueError for a day outside of the period: at its end the next one has
    begun, and the charge is that one's."""
    if price.cycle == "once":
        period.left(day)
        return _line("add_on", price, price.amount, None, 1, day, tax, quantity, discount)
    span = Span(day, period.left(day))
    return _line("add_on", price, price.amount, span, period.days, day, tax, quantity, discount)


def upgrade(
    paid: Price, wanted: Price, period: Period, day: datetime.date, tax: Treatment, *, discount: Discount | None = None
) -> Line:
    """The difference for the days left in the period, this one among them (BIL-48). `paid` is the price that this
    period was paid by. Raises Conflict "no_upgrade" where the wanted plan costs no more, or has another cycle.
    """
    if wanted.cycle != paid.cycle or wanted.amount <= paid.amount:
        raise Conflict("no_upgrade", "this plan costs no more in the same cycle; it begins with the next period")
    span = Span(day, period.left(day))
    return _line("upgrade", wanted, wanted.amount - paid.amount, span, period.days, day, tax, 1, discount, paid.id)


def draft(lines: Sequence[Line], credits: Iterable[Credit] = ()) -> Draft:
    """Lines with their taxes, paid from credit as far as it goes. Raises ValueError for no lines, MixedCurrencies."""
    bare = Draft(tuple(lines), _taxes(lines))
    return Draft(bare.lines, bare.taxes, use_credit(bare.gross, credits))


def use_credit(due: Money, credits: Iterable[Credit]) -> tuple[Used, ...]:
    """Which credits pay how much of what is due: the oldest first, in its own currency only (BIL-07)."""
    used, rest = [], due
    for credit in sorted(credits, key=lambda credit: (credit.since, credit.id)):
        if credit.left.currency == due.currency and credit.left.minor > 0 and rest.minor > 0:
            amount = min(credit.left, rest)
            used.append(Used(credit.id, amount, credit.promotional))
            rest -= amount
    return tuple(used)


def unused(paid: Draft, day: datetime.date, before: Sequence[Draft] = ()) -> Draft | None:
    """The credit note of an agreement that the operator ends without a cause on this day (BIL-43): of each line, what
    was paid for it times the unused part of its own days; the day itself is used. `before`: credit notes that this
    invoice has. None where nothing is left to give back. What has no days is not given back."""
    amounts = {}
    for number, (line, left) in enumerate(zip(paid.lines, _left(paid, before), strict=True)):
        if line.span is not None:
            amounts[number] = min(line.net.share(line.span.unused(day), line.span.days), left)
    amounts = {number: amount for number, amount in amounts.items() if amount.minor > 0}
    return give_back(paid, amounts, before) if amounts else None


def give_back(paid: Draft, amounts: Mapping[int, Money], before: Sequence[Draft] = ()) -> Draft:
    """The credit note that gives these net sums back, by the number of the line; the tax on them goes with them.

    Raises Invalid "refund_malformed" for no line, one that is not there, and a sum of nothing; Conflict "refund_max"
    for more than is left of a line.
    """
    left = _left(paid, before)
    lines = []
    for number, amount in sorted(amounts.items()):
        if not 0 <= number < len(paid.lines) or amount.minor <= 0:
            raise Invalid("refund_malformed", "a refund is a sum above zero of a line of the invoice", field="amount")
        if amount > left[number]:
            raise Conflict("refund_max", f"at most {left[number]} can be given back of line {number + 1}")
        lines.append(replace(paid.lines[number], net=-amount, of=number))
    if not lines:
        raise Invalid("refund_malformed", "a refund has a line at least", field="amount")
    return Draft(tuple(lines), _taxes(lines, [line for note in before for line in note.lines]))


def returned(note: Draft, paid: Draft, before: Sequence[Draft] = ()) -> Returned:
    """Where the sum of a credit note goes: to the card as far as it paid, then to overpayment; what promotional credit
    had paid is given back last, and to nobody."""
    money = total((used.amount for used in paid.used if not used.promotional), paid.currency)
    start = -total((one.gross for one in before), paid.currency)
    end = start - note.gross
    zero = Money(0, paid.currency)

    def between(low: Money, high: Money) -> Money:
        return max(min(end, high) - max(start, low), zero)

    return Returned(
        between(zero, paid.payable),
        between(paid.payable, paid.payable + money),
        between(paid.payable + money, paid.gross),
    )


def _line(
    kind: LineKind,
    price: Price,
    unit: Money,
    span: Span | None,
    basis: int,
    day: datetime.date,
    tax: Treatment,
    quantity: int,
    discount: Discount | None,
    was: str = "",
) -> Line:
    if (CYCLE_DAYS[price.cycle] if price.cycle != "once" else 1) != basis:
        raise ValueError(f"{price.id} is no price for {basis} days")
    if type(quantity) is not int or quantity < 1:
        raise ValueError("a line is for one piece at least")
    off = discount.on(day) if discount is not None else _NO_DISCOUNT
    days = span.days if span is not None else basis
    keep = 1 - off
    net = half_up(unit.minor * quantity * days * keep.numerator, basis * keep.denominator)
    return Line(kind, price.item, price.id, quantity, unit, span, basis, off, Money(net, unit.currency), tax, was)


def _taxes(lines: Sequence[Line], before: Sequence[Line] = ()) -> tuple[TaxSum, ...]:
    """By treatment, in the order of the lines. `before`: lines of earlier credit notes, so that the tax of this one is
    the difference of two rounded sums (C4)."""
    sums = []
    for treatment in dict.fromkeys(line.tax for line in lines):
        net = total((line.net for line in lines if line.tax == treatment), lines[0].net.currency)
        earlier = total((line.net for line in before if line.tax == treatment), net.currency)
        sums.append(TaxSum(treatment, net, treatment.on(earlier + net) - treatment.on(earlier)))
    return tuple(sums)


def _left(paid: Draft, before: Sequence[Draft]) -> list[Money]:
    """What of each line was not given back yet."""
    left = [line.net for line in paid.lines]
    for note in before:
        for line in note.lines:
            if line.of is not None:
                left[line.of] += line.net
    return left
