"""Money: whole minor units of one currency, never mixed, never a float, rounded half up once per line (C4).

A price is shared out by `Money.share`, once on the whole line and not per day. What is worked off step by step (revenue
by day, deductions by refund) is the difference of two rounded running totals, `Money.step`: so all steps together are
exactly the whole. Rates are `fractions.Fraction`, which is exact.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction

from control_plane.errors import Invalid

# ISO 4217 as amended to 2026: how many digits the minor unit has. Every currency that is not in one of the other rows
# has two. No funds codes, no metals.
MINOR_DIGITS = {
    code: digits
    for digits, codes in {
        0: "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX VND VUV XAF XOF XPF",
        2: """AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BMD BND BOB BRL BSD BTN BWP BYN BZD CAD CDF CHF CNY COP
              CRC CUP CVE CZK DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GTQ GYD HKD HNL HTG HUF IDR ILS
              INR IRR JMD KES KGS KHR KPW KYD KZT LAK LBP LKR LRD LSL MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN
              MYR MZN NAD NGN NIO NOK NPR NZD PAB PEN PGK PHP PKR PLN QAR RON RSD RUB SAR SBD SCR SDG SEK SGD SHP SLE
              SOS SRD SSP STN SVC SYP SZL THB TJS TMT TOP TRY TTD TWD TZS UAH USD UYU UZS VED VES WST XCD XCG YER ZAR
              ZMW ZWG""",
        3: "BHD IQD JOD KWD LYD OMR TND",
    }.items()
    for code in codes.split()
}
# Longer amounts are slips or attacks; a line of the journal takes no larger ones either (ledger.tables.LINE_MAX).
MAJOR_CHARACTERS_MAX = 12

_AMOUNT = re.compile(r"(-?)(0|[1-9][0-9]*)(?:\.([0-9]+))?")


class MixedCurrencies(ValueError):
    """Two currencies in one sum or comparison: a fault of ours, as money is converted only by `Money.converted`."""


@dataclass(frozen=True, slots=True)
class Money:
    """So many whole minor units (cents, yen, fils) of one currency; below zero where something is given back.

    Raises TypeError for anything but an int (bool and float too), ValueError for a currency not in ISO 4217.
    """

    minor: int
    currency: str

    def __post_init__(self) -> None:
        _whole(self.minor)
        if self.currency not in MINOR_DIGITS:
            raise ValueError(f"no currency of ISO 4217: {self.currency!r}")

    def __add__(self, other: Money) -> Money:
        return Money(self.minor + self._beside(other), self.currency)

    def __sub__(self, other: Money) -> Money:
        return Money(self.minor - self._beside(other), self.currency)

    def __neg__(self) -> Money:
        return Money(-self.minor, self.currency)

    def __mul__(self, count: int) -> Money:
        """So many times as much. Raises TypeError unless it is a whole number; a part is a `share`."""
        return Money(self.minor * _whole(count), self.currency)

    def __lt__(self, other: Money) -> bool:
        return self.minor < self._beside(other)

    def __le__(self, other: Money) -> bool:
        return self.minor <= self._beside(other)

    def __gt__(self, other: Money) -> bool:
        return self.minor > self._beside(other)

    def __ge__(self, other: Money) -> bool:
        return self.minor >= self._beside(other)

    def __str__(self) -> str:
        return f"{self.text()} {self.currency}"

    def share(self, part: int, whole: int) -> Money:
        """`part` of `whole` of it, half up away from zero: 15 days of 30, 30 of 100 (C4, BIL-12, AFF-12).

        Raises ValueError unless `whole` is above zero, TypeError for what is not an int.
        """
        return Money(half_up(self.minor * _whole(part), whole), self.currency)

    def step(self, before: int, after: int, whole: int) -> Money:
        """What is due when `after` of `whole` is reached and what was due at `before` is posted already (C4, AFF-28).

        The steps of any way from 0 to `whole` add up to exactly this sum.
        """
        return self.share(after, whole) - self.share(before, whole)

    def split(self, weights: Sequence[int]) -> list[Money]:
        """Parts in proportion to whole weights, in their order, that add up to exactly this sum.

        Raises ValueError for a weight below zero and where none is above it.
        """
        if any(_whole(weight) < 0 for weight in weights) or not any(weights):
            raise ValueError("weights are not below zero, and one at least is above it")
        whole, reached, parts = sum(weights), 0, []
        for weight in weights:
            parts.append(self.step(reached, reached + weight, whole))
            reached += weight
        return parts

    def converted(self, rate: Fraction, currency: str) -> Money:
        """In another currency; one major unit of this one is `rate` major units of that one (AFF-16). Half up.

        Raises TypeError unless the rate is a Fraction, ValueError for an unknown currency or a rate not above zero.
        """
        if not isinstance(rate, Fraction):
            raise TypeError("a rate is a Fraction")
        if rate <= 0:
            raise ValueError("a rate is above zero")
        zero = Money(0, currency)
        up, down = 10**zero.digits, 10**self.digits
        return Money(half_up(self.minor * rate.numerator * up, rate.denominator * down), currency)

    @property
    def digits(self) -> int:
        """How many digits the minor unit has: 2 for EUR, 0 for JPY, 3 for KWD."""
        return MINOR_DIGITS[self.currency]

    def text(self) -> str:
        """The plain amount in major units, "-12.30" or "1230" where there is no minor unit; `parse` reads it."""
        return f"{self.decimal():f}"

    def decimal(self) -> Decimal:
        """The amount in major units, exact and with all digits of the minor unit, for those who format by language."""
        sign, digits = (1 if self.minor < 0 else 0), tuple(int(digit) for digit in str(abs(self.minor)))
        return Decimal((sign, digits, -self.digits))

    def _beside(self, other: Money) -> int:
        """The other's minor units. Raises MixedCurrencies, or TypeError for what is no money (the 0 of `sum` too)."""
        if not isinstance(other, Money):
            raise TypeError(f"{other!r} is no money")
        if other.currency != self.currency:
            raise MixedCurrencies(f"{self.currency} and {other.currency}")
        return other.minor


def total(parts: Iterable[Money], currency: str) -> Money:
    """Their sum; zero of this currency for none. Raises MixedCurrencies."""
    result = Money(0, currency)
    for part in parts:
        result += part
    return result


def parse(text: str, currency: str, *, field: str = "amount") -> Money:
    """What a person or a program wrote in major units: "12.3", "-0.05". Nothing is rounded.

    Raises Invalid with `field` and code "amount_unreadable" for anything but plain ASCII digits with at most one point
    (no comma, exponent, plus, space, zero in front), "amount_too_fine" for more digits than the currency has,
    "amount_too_large"; "currency_unknown" with the field "currency".
    """
    if currency not in MINOR_DIGITS:
        raise Invalid("currency_unknown", "this is no currency of ISO 4217", field="currency")
    digits = MINOR_DIGITS[currency]
    # The length first, so that no long text is read.
    if len(text) > 2 * MAJOR_CHARACTERS_MAX:
        raise Invalid("amount_too_large", "this amount is too long", field=field)
    match = _AMOUNT.fullmatch(text)
    if match is None:
        raise Invalid("amount_unreadable", "write an amount like 12.30", field=field)
    sign, major, fine = match[1], match[2], match[3] or ""
    if len(fine) > digits:
        raise Invalid("amount_too_fine", f"{currency} has {digits} digits after the point", field=field)
    if len(major) > MAJOR_CHARACTERS_MAX:
        raise Invalid("amount_too_large", f"at most {MAJOR_CHARACTERS_MAX} digits before the point", field=field)
    minor = int(major + fine.ljust(digits, "0"))
    return Money(-minor if sign else minor, currency)


def half_up(numerator: int, denominator: int) -> int:
    """The quotient as a whole number; a half goes away from zero: 5/2 is 3, -5/2 is -3 (C4).

    Raises ValueError unless the denominator is above zero, TypeError for what is not an int.
    """
    if _whole(denominator) <= 0:
        raise ValueError("the denominator is above zero")
    magnitude = (2 * abs(_whole(numerator)) + denominator) // (2 * denominator)
    return -magnitude if numerator < 0 else magnitude


def _whole(number: int) -> int:
    """Refuses everything that only looks like a whole number: a bool is one for Python, a float compares as one."""
    if type(number) is not int:
        raise TypeError(f"a whole number is needed, not {type(number).__name__}")
    return number
