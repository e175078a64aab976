"""Which tax is on a sale: a port, and a table of the EU's standard rates behind it. Prices are net (BIL-14). Pure.

The table is right for electronic services of a seller that has no other establishment:
- where seller and customer are in one country of the EU, its rate, with or without a number;
- a business in another country of the EU that has given a valid number: none, it accounts for it (reverse charge);
- anybody else in the EU: the rate of the customer's country;
- outside the EU: none.
Who sells under other rules (duties of other states, islands and towns with a regime of their own, a threshold below
which the seller's rate counts) puts another `Taxes` in its place. What was found is frozen on the invoice.
"""

from __future__ import annotations

import datetime
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from typing import Literal, Protocol

from babel import Locale
from stdnum.eu import vat
from stdnum.exceptions import ValidationError

from control_plane.accounts import addresses
from control_plane.errors import Invalid
from control_plane.money import Money, half_up

TreatmentKind = Literal["taxed", "reverse_charge", "none"]
# ISO 3166 has GR, tax numbers and the forms of the EU have EL.
_PREFIX = {"GR": "EL"}


@dataclass(frozen=True, slots=True)
class Treatment:
    """The tax of a line. `country`: whose it is ("" for none); `rate` is above 0 only where it is taxed."""

    kind: TreatmentKind
    country: str
    rate: Fraction

    def __post_init__(self) -> None:
        if not isinstance(self.rate, Fraction):
            raise TypeError("a rate is a Fraction")
        if not 0 <= self.rate < 1 or (self.rate and self.kind != "taxed"):
            raise ValueError("a rate is at least 0 and below 1, and 0 where nothing is taxed")

    def on(self, net: Money) -> Money:
        """The tax on a sum, rounded half up: once for each rate, so the sum is that of all lines with it (C4)."""
        return Money(half_up(net.minor * self.rate.numerator, self.rate.denominator), net.currency)


NO_TAX = Treatment("none", "", Fraction(0))


class Taxes(Protocol):
    """The port. Countries in ISO 3166 (two letters); `tax_number` as `tax_number` below gave it, "" for none."""

    def treatment(self, seller: str, customer: str, tax_number: str, on: datetime.date) -> Treatment:
        """Raises ValueError for a day of which it knows no rate."""
        ...


@dataclass(frozen=True, slots=True)
class Rate:
    """The standard rate of a country from a day on, in percent."""

    country: str
    since: datetime.date
    percent: Fraction


class TaxTable:
    """The port by rows. Raises ValueError for two rows of one country on one day."""

    def __init__(self, rates: tuple[Rate, ...]) -> None:
        self._rates = sorted(rates, key=lambda rate: (rate.country, rate.since))
        if any((a.country, a.since) == (b.country, b.since) for a, b in pairwise(self._rates)):
            raise ValueError("two rates of one country begin on one day")
        self._countries = frozenset(rate.country for rate in rates)

    def treatment(self, seller: str, customer: str, tax_number: str, on: datetime.date) -> Treatment:
        if customer not in self._countries:
            return NO_TAX
        if tax_number and seller != customer and _is_of(tax_number, customer):
            return Treatment("reverse_charge", customer, Fraction(0))
        return Treatment("taxed", customer, self._percent(customer, on) * Fraction(1, 100))

    def _percent(self, country: str, on: datetime.date) -> Fraction:
        found = [rate.percent for rate in self._rates if rate.country == country and rate.since <= on]
        if not found:
            raise ValueError(f"no rate of {country} is known for {on}")
        return found[-1]


def country(code: str) -> str:
    """A country's two letters (ISO 3166). Raises Invalid with field `country`."""
    known = code.strip()
    known = known.upper() if known.isascii() and known.isalpha() and len(known) == 2 else ""
    # The list has groups of countries too, and codes to try things out.
    if known not in Locale("en").territories or known in ("EU", "UN", "EZ", "QO", "XA", "XB", "ZZ"):
        raise Invalid("country_unknown", "choose a country from the list", field="country")
    return known


def tax_number(customer: str, typed: str) -> str:
    """Letters and digits, upper case, in the EU with the country's prefix; "" for none. Raises Invalid with field
    `tax_number` for what cannot be a number of that country of the EU (its form and check digits: whether it was given
    out is not asked)."""
    number = addresses.tax_number(typed)
    if not number or customer not in EU:
        return number
    prefix = _PREFIX.get(customer, customer)
    bare = number.removeprefix(prefix)
    try:
        return vat.validate(prefix + bare)
    except ValidationError as error:
        raise Invalid(
            "tax_number_malformed",
            f"this is no tax number of {customer}; it looks like {prefix}...",
            field="tax_number",
        ) from error


def _is_of(number: str, customer: str) -> bool:
    """Whether it proves a business there: only a number that holds, with the prefix, spares the tax."""
    return number.startswith(_PREFIX.get(customer, customer)) and vat.is_valid(number)


def _rows(country: str, *steps: tuple[str, str]) -> tuple[Rate, ...]:
    return tuple(Rate(country, datetime.date.fromisoformat(since), Fraction(percent)) for since, percent in steps)


_2024 = "2024-01-01"
# Standard rates of the EU's members since 2024; a change is a new step. No reduced rates: none is for such a service.
EU_RATES: tuple[Rate, ...] = (
    *_rows("AT", (_2024, "20")),
    *_rows("BE", (_2024, "21")),
    *_rows("BG", (_2024, "20")),
    *_rows("CY", (_2024, "19")),
    *_rows("CZ", (_2024, "21")),
    *_rows("DE", (_2024, "19")),
    *_rows("DK", (_2024, "25")),
    *_rows("EE", (_2024, "22"), ("2025-07-01", "24")),
    *_rows("ES", (_2024, "21")),
    *_rows("FI", (_2024, "24"), ("2024-09-01", "25.5")),
    *_rows("FR", (_2024, "20")),
    *_rows("GR", (_2024, "24")),
    *_rows("HR", (_2024, "25")),
    *_rows("HU", (_2024, "27")),
    *_rows("IE", (_2024, "23")),
    *_rows("IT", (_2024, "22")),
    *_rows("LT", (_2024, "21")),
    *_rows("LU", (_2024, "17")),
    *_rows("LV", (_2024, "21")),
    *_rows("MT", (_2024, "18")),
    *_rows("NL", (_2024, "21")),
    *_rows("PL", (_2024, "23")),
    *_rows("PT", (_2024, "23")),
    *_rows("RO", (_2024, "19"), ("2025-08-01", "21")),
    *_rows("SE", (_2024, "25")),
    *_rows("SI", (_2024, "22")),
    *_rows("SK", (_2024, "20"), ("2025-01-01", "23")),
)
EU = frozenset(rate.country for rate in EU_RATES)
EU_TABLE: Taxes = TaxTable(EU_RATES)
