"""When a change binds one customer: pure, over what he was told and what he did."""

from __future__ import annotations

import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from control_plane.legal.changes import Act, Change, binds, fees, in_force_from, is_use
from tests.control_plane.entries import entry
from tests.control_plane.legal.given import DAY, MOMENT, NOW


def told(used_after: float | None = None, ended_after: float | None = None) -> Change:
    """Told at NOW of a text in force by itself since then; days after which he used, ended."""
    return Change(
        NOW,
        NOW,
        used_at=None if used_after is None else NOW + used_after * DAY,
        ended_at=None if ended_after is None else NOW + ended_after * DAY,
    )


def test_use_on_day_1_brings_it_into_force_and_an_end_on_day_9_takes_it_back() -> None:
    with entry("LEG-04.1"):
        assert in_force_from(told(used_after=1)) == NOW + DAY
        assert in_force_from(told(used_after=1, ended_after=9)) is None
        assert in_force_from(told(used_after=1, ended_after=10)) is None, "the whole tenth day"
        late = Change(NOW, NOW, used_at=NOW + DAY, ended_at=NOW + 10 * DAY + MOMENT)
        assert in_force_from(late) == NOW + DAY


def test_without_any_use_it_is_in_force_the_moment_after_ten_days() -> None:
    with entry("LEG-04.2"):
        assert not binds(told(), NOW + 10 * DAY)
        assert binds(told(), NOW + 10 * DAY + MOMENT)
        assert in_force_from(told(ended_after=11)) == NOW + 10 * DAY + MOMENT, "too late to keep the old one"


@pytest.mark.parametrize("act", ["host", "join", "content", "api"])
def test_a_frozen_account_cannot_use_and_so_does_not_accept(act: Act) -> None:
    with entry("LEG-04.3"):
        assert is_use(act, "active") and is_use(act, "trial")
        assert not any(is_use(act, access) for access in ("frozen", "expired", "suspended", "ended", "none"))


@pytest.mark.parametrize("act", ["sign_in", "legal", "billing", "privacy", "support", "end"])
def test_reading_paying_asking_and_ending_accept_nothing(act: Act) -> None:
    assert not is_use(act, "active")


def test_prices_in_a_new_version_of_the_terms_wait_thirty_days_whatever_the_use() -> None:
    words = told(used_after=1)
    prices = fees(NOW, NOW)
    with entry("LEG-05.1"):
        assert binds(words, NOW + DAY)
        assert not binds(prices, NOW + 30 * DAY)
        assert binds(prices, NOW + 30 * DAY + MOMENT)
        used = Change(NOW, NOW, prices.days, prices.by_use, used_at=NOW + DAY)
        assert in_force_from(used) == NOW + 30 * DAY + MOMENT


def test_a_change_announced_in_advance_is_not_in_force_before_its_date() -> None:
    ahead = Change(NOW, NOW + 20 * DAY, used_at=NOW + DAY)
    assert in_force_from(ahead) == NOW + 20 * DAY


after = st.none() | st.timedeltas(datetime.timedelta(0), datetime.timedelta(days=60)).map(lambda delta: NOW + delta)


@given(after, after, st.booleans(), st.sampled_from([10, 30]))
def test_it_is_in_force_after_the_days_at_the_latest_or_never(
    used_at: datetime.datetime | None, ended_at: datetime.datetime | None, by_use: bool, days: int
) -> None:
    change = Change(NOW, NOW, days, by_use, used_at, ended_at)
    began = in_force_from(change)
    if began is None:
        assert ended_at is not None and ended_at - NOW <= days * DAY
    else:
        assert NOW <= began <= NOW + days * DAY + MOMENT
        assert by_use or began == NOW + days * DAY + MOMENT
        assert not binds(change, began - MOMENT) and binds(change, began)
