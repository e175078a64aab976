"""How long a freeze lasts, with the vectors of the rules (BIL-21 to BIL-23)."""

from __future__ import annotations

import datetime
from dataclasses import FrozenInstanceError

import pytest
from hypothesis import given
from hypothesis import strategies as st

from control_plane.billing.freeze import FREEZE_DAYS_MAX, CardMonth, check_days, frozen_span, with_card
from control_plane.errors import Conflict, Invalid
from control_plane.periods import Period, Span
from tests.control_plane.entries import entry

days = st.dates(datetime.date(2020, 1, 1), datetime.date(2090, 1, 1))
cards = st.none() | st.builds(CardMonth, st.integers(2020, 2090), st.integers(1, 12))


def date(text: str) -> datetime.date:
    return datetime.date.fromisoformat(text)


def test_with_15_paid_days_left_it_starts_on_the_16th_day() -> None:
    period = Period.month(date("2026-11-07"))
    with entry("BIL-22.1"):
        assert period.left(date("2026-11-22")) == 15, "today is day 1"
        assert frozen_span(period.end, 90, None) == Span(date("2026-12-07"), 90)
        assert frozen_span(period.end, 90, None).end == date("2027-03-07")


@pytest.mark.parametrize(
    ("card", "ends", "lasts"),
    [
        (CardMonth(2026, 12), "2026-12-31", 24),
        (CardMonth(2027, 1), "2027-01-31", 55),
        (CardMonth(2027, 2), "2027-02-28", 83),
        (CardMonth(2027, 4), "2027-03-07", 90),
    ],
)
def test_it_ends_on_the_last_good_day_of_the_card(card: CardMonth, ends: str, lasts: int) -> None:
    with entry("BIL-23.2"):
        frozen = frozen_span(date("2026-12-07"), 90, card)
        assert (frozen.end, frozen.days) == (date(ends), lasts)


def test_a_card_that_ends_before_it_would_start_is_refused() -> None:
    with entry("BIL-23.1"), pytest.raises(Conflict, match="11/2026") as refused:
        frozen_span(date("2026-12-07"), 90, CardMonth(2026, 11))
    assert refused.value.code == "card_ends"
    # The start on the card's very last day leaves no day at all.
    with pytest.raises(Conflict):
        frozen_span(date("2026-11-30"), 90, CardMonth(2026, 11))


def test_a_new_card_counts_anew_but_never_beyond_what_was_asked() -> None:
    frozen = frozen_span(date("2026-12-07"), 90, CardMonth(2026, 12))
    with entry("BIL-23.3"):
        assert with_card(frozen, 90, CardMonth(2027, 1), date("2026-12-10")).end == date("2027-01-31")
        assert with_card(frozen, 90, CardMonth(2030, 1), date("2026-12-10")).end == date("2027-03-07")
        # X3: one on day 50 that is good for ten days more.
        assert with_card(frozen, 90, CardMonth(2026, 12), date("2026-12-10")) == frozen
        assert with_card(frozen, 90, CardMonth(2026, 11), date("2026-12-10")).end == date("2026-12-10")
    with entry("BIL-23.4"):
        assert with_card(frozen, 90, None, date("2026-12-10")).end == date("2027-03-07")


@pytest.mark.parametrize("wanted", [0, -1, 91, True, 3.0])
def test_days_that_nobody_can_ask_for(wanted: int) -> None:
    with pytest.raises(Invalid) as refused:
        check_days(wanted)
    assert (refused.value.field, refused.value.code) == ("days", "freeze_days")
    with pytest.raises(Invalid):
        frozen_span(date("2026-12-07"), wanted, None)
    assert check_days(1) == 1 and check_days(90) == 90


def test_the_month_on_a_card_is_a_month_and_good_to_its_last_day() -> None:
    card = CardMonth(2028, 2)
    assert (card.last, str(card)) == (date("2028-02-29"), "02/2028")
    assert CardMonth(2027, 12) < card < CardMonth(2028, 3), "the one that ends first comes first"
    for year, month in ((2028, 0), (2028, 13), (0, 1)):
        with pytest.raises(ValueError):
            CardMonth(year, month)
    with pytest.raises(FrozenInstanceError):
        card.month = 3  # type: ignore[misc]


def test_a_freeze_of_one_day_on_the_last_good_one_and_one_that_a_card_cuts_to_it() -> None:
    assert frozen_span(date("2026-11-29"), 90, CardMonth(2026, 11)) == Span(date("2026-11-29"), 1)
    frozen = frozen_span(date("2026-12-07"), 5, None)
    assert frozen == Span(date("2026-12-07"), 5)
    # On its first day: one day at least, whatever card comes.
    assert with_card(frozen, 5, CardMonth(2026, 11), date("2026-12-07")) == Span(date("2026-12-07"), 1)
    assert with_card(frozen, 5, CardMonth(2026, 12), date("2026-12-09")) == frozen


@given(days, st.integers(1, FREEZE_DAYS_MAX), cards, cards, st.integers(0, FREEZE_DAYS_MAX))
def test_whatever_cards_come_it_is_never_longer_than_asked_and_never_past_the_card(
    start: datetime.date, wanted: int, card: CardMonth | None, other: CardMonth | None, after: int
) -> None:
    try:
        frozen = frozen_span(start, wanted, card)
    except Conflict:
        assert card is not None and card.last <= start
        return
    assert frozen.first == start and 1 <= frozen.days <= wanted
    assert card is None or frozen.end <= card.last
    today = start + datetime.timedelta(days=min(after, frozen.days))
    again = with_card(frozen, wanted, other, today)
    assert again.first == start and 1 <= again.days <= wanted
    assert other is None or again.end <= max(other.last, today, start + datetime.timedelta(days=1))
