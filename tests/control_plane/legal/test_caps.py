"""The arithmetic of liability caps, over sums that billing will bring (LEG-11 itself is proved with Billing)."""

from __future__ import annotations

import datetime
from collections.abc import Mapping

import pytest

from control_plane.legal import caps

DATE = datetime.date


class Book:
    """Payments by day, and a price list that changed once."""

    def __init__(self, *payments: tuple[datetime.date, str, int]) -> None:
        self.payments = payments

    def paid_by(self, account: str, start: datetime.date, end: datetime.date) -> Mapping[str, int]:
        found: dict[str, int] = {}
        for day, currency, minor in self.payments:
            if start <= day < end:
                found[currency] = found.get(currency, 0) + minor
        return found

    paid_to = paid_by

    def cheapest_month(self, on: datetime.date) -> Mapping[str, int]:
        return {"EUR": 900 if on < DATE(2026, 1, 1) else 1100}


def test_the_cap_of_a_customer_is_what_he_paid_in_twelve_months_before_the_event() -> None:
    book = Book(
        (DATE(2025, 3, 9), "EUR", 5000), (DATE(2025, 3, 10), "EUR", 1000), (DATE(2026, 3, 9), "EUR", 2000),
        (DATE(2026, 3, 10), "EUR", 7000), (DATE(2025, 6, 1), "PLN", 300), (DATE(2025, 7, 1), "EUR", -400),
    )  # fmt: skip
    cap = caps.of_customer("acc_ann", DATE(2024, 1, 1), DATE(2026, 3, 10), book)
    assert (cap.amounts, cap.basis) == ({"EUR": 2600, "PLN": 300}, "paid")


@pytest.mark.parametrize(("opened", "minor"), [(DATE(2025, 12, 31), 10_800), (DATE(2026, 1, 1), 13_200)])
def test_who_never_paid_has_twelve_of_the_cheapest_months_of_the_day_he_came(opened: datetime.date, minor: int) -> None:
    refunded = Book((DATE(2026, 2, 1), "EUR", 900), (DATE(2026, 2, 2), "EUR", -900))
    cap = caps.of_customer("acc_ann", opened, DATE(2026, 6, 1), refunded)
    assert (cap.amounts, cap.basis) == ({"EUR": minor}, "free")


def test_the_cap_of_an_affiliate_is_what_he_was_paid_in_the_month_before_the_claim() -> None:
    book = Book((DATE(2026, 2, 27), "EUR", 1), (DATE(2026, 2, 28), "EUR", 20), (DATE(2026, 3, 31), "EUR", 300))
    cap = caps.of_affiliate("aff_bob", DATE(2026, 3, 31), book)
    assert (cap.amounts, cap.start) == ({"EUR": 20}, DATE(2026, 2, 28))


def test_a_month_before_has_its_last_day_clipped() -> None:
    assert caps.months_before(DATE(2024, 3, 31), 1) == DATE(2024, 2, 29)
    assert caps.months_before(DATE(2024, 2, 29), 12) == DATE(2023, 2, 28)
    assert caps.months_before(DATE(2026, 1, 31), 1) == DATE(2025, 12, 31)
