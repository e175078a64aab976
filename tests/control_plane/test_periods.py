"""Days, spans and periods: BIL-04 with its vectors, C1 to C3, and a naive model that counts day by day."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from control_plane.money import Money
from control_plane.periods import (
    MONTH_DAYS,
    YEAR_DAYS,
    Period,
    Span,
    day_of,
    days_after,
    months_after,
    overlap,
)
from tests.control_plane.entries import entry

DAY = datetime.timedelta(days=1)
days = st.dates(datetime.date(1999, 1, 1), datetime.date(2101, 1, 1))
spans = st.builds(Span, days, st.integers(1, 400))
periods = st.builds(Period, days, st.sampled_from([MONTH_DAYS, YEAR_DAYS]))


def date(text: str) -> datetime.date:
    return datetime.date.fromisoformat(text)


def instant(text: str) -> datetime.datetime:
    return datetime.datetime.fromisoformat(text)


def firsts(period: Period, count: int) -> list[str]:
    """The first days of the periods that follow."""
    found = []
    for _ in range(count):
        period = period.next()
        found.append(period.first.isoformat())
    return found


# BIL-04


def test_a_period_that_begins_on_the_31st_has_thirty_days_like_any() -> None:
    with entry("BIL-04.1"):
        found = firsts(Period.month(date("2026-01-31")), 4)
        assert found == ["2026-03-02", "2026-04-01", "2026-05-01", "2026-05-31"]


def test_february_makes_no_period_shorter_and_a_leap_day_none_longer() -> None:
    with entry("BIL-04.2"):
        assert firsts(Period.month(date("2027-02-15")), 1) == ["2027-03-17"]
    with entry("BIL-04.3"):
        assert firsts(Period.month(date("2028-02-15")), 1) == ["2028-03-16"]
        leap_day = Period.month(date("2028-02-29"))
        assert (leap_day.end, len(listed(leap_day))) == (date("2028-03-30"), 30)


def test_twelve_months_are_360_days_and_no_calendar_year() -> None:
    with entry("BIL-04.4"):
        start = date("2026-01-31")
        twelfth = firsts(Period.month(start), 12)[-1]
        assert date(twelfth) - start == 360 * DAY
        assert date(twelfth) == Period.year(start).end != date("2027-01-31")


def test_a_year_renews_five_or_six_days_earlier_each_year() -> None:
    with entry("BIL-04.5"):
        assert firsts(Period.year(date("2026-01-31")), 2) == ["2027-01-26", "2028-01-21"]
        # The third runs through a leap day.
        assert firsts(Period.year(date("2028-01-21")), 1) == ["2029-01-15"]


@pytest.mark.parametrize("length", [1, 28, 29, 31, 359, 361, 365, 366])
def test_no_other_length_is_a_period(length: int) -> None:
    with pytest.raises(ValueError, match="30 or 360"):
        Period(date("2026-01-31"), length)


# Against a model that counts


def listed(span: Span) -> list[datetime.date]:
    return [span.first + number * DAY for number in range(span.days)]


@given(spans, st.integers(-10, 410))
def test_days_are_counted_as_by_hand(span: Span, away: int) -> None:
    day, own = span.first + away * DAY, listed(span)
    assert (day in span) == (day in own)
    assert (span.last, span.end) == (own[-1], own[-1] + DAY)
    # A begun day is a used day, when buying and when refunding alike (C1).
    assert span.used(day) == len([one for one in own if one <= day])
    assert span.unused(day) == len([one for one in own if one > day])
    if day in span:
        assert span.left(day) == len([one for one in own if one >= day])
    else:
        with pytest.raises(ValueError, match="is not in"):
            span.left(day)


@given(spans, spans, st.integers(-401, 401))
def test_two_spans_overlap_if_a_day_is_in_both(span: Span, other: Span, away: int) -> None:
    near = Span(span.first + away * DAY, other.days)
    shared = bool(set(listed(span)) & set(listed(near)))
    assert (span.overlaps(near), near.overlaps(span), overlap([span, near]) is not None) == (shared,) * 3


@given(periods, st.lists(st.sampled_from([None, MONTH_DAYS, YEAR_DAYS]), max_size=8))
def test_periods_that_follow_each_other_leave_no_gap_and_do_not_overlap(
    start: Period, lengths: list[int | None]
) -> None:
    chain = [start]
    for length in lengths:
        chain.append(chain[-1].next(length))
        assert chain[-1].days == (length or chain[-2].days)
        assert chain[-1].first == chain[-2].end == chain[-2].last + DAY
        assert isinstance(chain[-1], Period)
    assert overlap(chain) is None
    assert overlap([*reversed(chain), start]) == (start, start)


@given(periods, st.integers(0, 4000))
def test_the_period_that_a_later_day_is_in_is_found_by_going_there(start: Period, away: int) -> None:
    day, walked = start.first + away * DAY, start
    while day not in walked:
        walked = walked.next()
    assert start.covering(day) == walked


@given(periods, st.integers(0, 359), st.integers(0, 10**9))
def test_what_is_charged_and_what_was_missed_are_the_whole_price(period: Period, away: int, minor: int) -> None:
    price, day = Money(minor, "EUR"), period.first + (away % period.days) * DAY
    charged = price.share(period.left(day), period.days)
    assert abs(charged.minor - minor * Fraction(period.left(day), period.days)) <= Fraction(1, 2)
    assert (
        price.step(0, period.used(day), period.days) + price.step(period.used(day), period.days, period.days) == price
    )


# Stories


def test_with_fifteen_paid_days_left_the_next_span_starts_on_the_sixteenth() -> None:
    period, today = Period.month(date("2026-11-07")), date("2026-11-22")
    assert (period.left(today), period.last, period.end) == (15, date("2026-12-06"), date("2026-12-07"))
    assert Span(period.end, 90).end == date("2027-03-07")


def test_up_to_n_days_has_the_whole_of_the_last_one_and_the_effect_comes_after_it() -> None:
    closed, expired = Span(date("2026-12-07"), 30), Span(date("2026-12-07"), 90)
    assert (closed.last, closed.end, Span(closed.end, 120).end) == (
        date("2027-01-05"),
        date("2027-01-06"),
        date("2027-05-06"),
    )
    assert (expired.last, expired.end, Span(expired.end, 120).end) == (
        date("2027-03-06"),
        date("2027-03-07"),
        date("2027-07-05"),
    )


def test_the_first_and_the_last_day_of_a_period() -> None:
    period = Period.month(date("2026-11-07"))
    first, last, after = period.first, period.last, period.end
    assert [period.left(first), period.left(last)] == [30, 1]
    assert [period.used(first - DAY), period.used(first), period.used(last), period.used(after)] == [0, 1, 30, 30]
    assert [period.unused(first - DAY), period.unused(first), period.unused(last)] == [30, 29, 0]
    for outside in (first - DAY, after):
        assert outside not in period
        with pytest.raises(ValueError, match="2026-11-07/2026-12-07"):
            period.left(outside)


def test_a_day_before_a_chain_is_in_none_of_its_periods() -> None:
    period = Period.month(date("2026-11-07"))
    with pytest.raises(ValueError, match="before"):
        period.covering(date("2026-11-06"))
    assert period.covering(date("2026-11-07")) == period


def test_of_several_that_overlap_the_earliest_two_are_told() -> None:
    first, second, third = (Span(date(f"2026-01-{day}"), 10) for day in ("01", "05", "12"))
    assert overlap([third, second, first]) == (first, second)
    assert overlap([]) is None


# C1: UTC


def test_a_billing_day_is_the_one_in_utc_whatever_the_clock_on_the_wall_says() -> None:
    assert day_of(instant("2026-12-31T23:30:00-05:00")) == date("2027-01-01")
    assert day_of(instant("2027-01-01T00:30:00+01:00")) == date("2026-12-31")
    assert day_of(instant("2026-12-31T23:59:59.999999+00:00")) == date("2026-12-31")
    with pytest.raises(ValueError, match="zone"):
        day_of(instant("2026-12-31T23:30:00"))


# C2: hours, calendar months


def test_days_after_an_event_are_times_24_hours_also_when_summer_time_begins() -> None:
    noticed = instant("2026-03-28T12:00:00+01:00")
    assert days_after(noticed, 2) == instant("2026-03-30T11:00:00+00:00")
    assert days_after(noticed, 0) == noticed
    assert days_after(noticed, 2).tzinfo == datetime.UTC
    with pytest.raises(ValueError, match="zone"):
        days_after(instant("2026-03-28T12:00:00"), 2)


@pytest.mark.parametrize(
    ("day", "months", "result"),
    [
        ("2026-11-30", 3, "2027-02-28"),
        ("2027-11-30", 3, "2028-02-29"),
        ("2026-01-31", 1, "2026-02-28"),
        ("2026-12-15", 1, "2027-01-15"),
        ("2026-12-31", 12, "2027-12-31"),
        ("2028-02-29", 12, "2029-02-28"),
        ("2026-05-05", 0, "2026-05-05"),
        ("2026-01-01", 11, "2026-12-01"),
        ("2026-03-31", 37, "2029-04-30"),
    ],
)
def test_calendar_months_are_clipped_to_the_last_day(day: str, months: int, result: str) -> None:
    assert months_after(date(day), months) == date(result)


def test_months_do_not_go_back() -> None:
    with pytest.raises(ValueError, match="forward"):
        months_after(date("2026-05-05"), -1)


# What is refused


@pytest.mark.parametrize("day", [instant("2026-01-01T00:00:00+00:00"), instant("2026-01-01T00:00:00"), "2026-01-01"])
def test_an_instant_is_no_day(day: Any) -> None:
    span = Period.month(date("2026-01-01"))
    attempts: list[Callable[[], Any]] = [
        lambda: Span(day, 3),
        lambda: Period.month(day),
        lambda: Period.year(day),
        lambda: day in span,
        lambda: span.used(day),
        lambda: span.left(day),
        lambda: span.covering(day),
        lambda: months_after(day, 1),
    ]
    for attempt in attempts:
        with pytest.raises(TypeError, match="a day is needed"):
            attempt()


@pytest.mark.parametrize(("length", "error"), [(0, ValueError), (-1, ValueError), (1.0, TypeError), (True, TypeError)])
def test_a_span_has_whole_days_and_one_at_least(length: Any, error: type[Exception]) -> None:
    with pytest.raises(error):
        Span(date("2026-01-01"), length)
    with pytest.raises((TypeError, ValueError)):
        Period.month(date("2026-01-01")).next(length)


def test_a_span_cannot_be_changed_and_may_be_a_key() -> None:
    for span in (Span(date("2026-01-01"), 1), Period.month(date("2026-01-01"))):
        with pytest.raises(AttributeError):
            span.days = 2  # type: ignore[misc]
        assert span in {span}


def test_a_span_of_one_day_is_that_day() -> None:
    one = Span(date("2026-01-01"), 1)
    assert (one.first, one.last, one.left(one.first)) == (one.first, one.first, 1)
    assert str(one) == "2026-01-01/2026-01-02"
