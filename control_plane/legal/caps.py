"""How far the operator is liable to one customer or affiliate, as of a date (LEG-11, BIL-44, AFF-36).

The arithmetic only: what was paid is known to billing, which fills `Sums`.
"""

from __future__ import annotations

import calendar
import datetime
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

CUSTOMER_MONTHS = 12
AFFILIATE_MONTHS = 1


class Sums(Protocol):
    """What billing knows. Amounts are whole minor units by currency; days are half-open, UTC (C1)."""

    def paid_by(self, account: str, start: datetime.date, end: datetime.date) -> Mapping[str, int]:
        """What the account paid, less what it got back."""
        ...

    def cheapest_month(self, on: datetime.date) -> Mapping[str, int]:
        """Net price of a month of the cheapest paid plan on that day."""
        ...

    def paid_to(self, affiliate: str, start: datetime.date, end: datetime.date) -> Mapping[str, int]:
        """What the affiliate was paid."""
        ...


@dataclass(frozen=True)
class Cap:
    """The limit by currency, and how it came about."""

    amounts: Mapping[str, int]
    basis: str  # "paid", "free" or "affiliate"
    start: datetime.date
    end: datetime.date


def of_customer(account: str, opened_on: datetime.date, event_on: datetime.date, sums: Sums) -> Cap:
    """What was paid in the 12 months before the day of the event; for who never paid in them, 12 times the cheapest
    month on the day the account was opened."""
    start = months_before(event_on, CUSTOMER_MONTHS)
    paid = {currency: minor for currency, minor in sums.paid_by(account, start, event_on).items() if minor > 0}
    if paid:
        return Cap(paid, "paid", start, event_on)
    month = sums.cheapest_month(opened_on)
    return Cap({currency: CUSTOMER_MONTHS * minor for currency, minor in month.items()}, "free", start, event_on)


def of_affiliate(affiliate: str, claimed_on: datetime.date, sums: Sums) -> Cap:
    """What was paid to him in the month before the claim."""
    start = months_before(claimed_on, AFFILIATE_MONTHS)
    return Cap(dict(sums.paid_to(affiliate, start, claimed_on)), "affiliate", start, claimed_on)


def months_before(day: datetime.date, months: int) -> datetime.date:
    """Calendar months; the last day of the month where that day does not exist (C2)."""
    year, month = divmod(day.year * 12 + day.month - 1 - months, 12)
    return datetime.date(year, month + 1, min(day.day, calendar.monthrange(year, month + 1)[1]))
