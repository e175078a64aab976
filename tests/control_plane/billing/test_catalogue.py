"""The price list: which price is whose at which instant, and that no row of it ever changes (BIL-05, BIL-45)."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from dataclasses import FrozenInstanceError, replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from control_plane.accounts import setup
from control_plane.billing.catalogue import (
    CATALOGUE,
    FREE,
    NOTICE_DAYS,
    AddOn,
    Catalogue,
    Notice,
    Plan,
    Price,
    PriceCycle,
    Withdrawal,
)
from control_plane.billing.subscription import Terms
from control_plane.errors import Invalid
from control_plane.money import Money
from tests.control_plane.entries import entry

DOCUMENT = Path(__file__).resolve().parents[3] / "docs" / "billing.md"
LISTED_FROM = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
START = datetime.datetime(2026, 3, 1, 12, tzinfo=datetime.UTC)
DAY = datetime.timedelta(days=1)
FIRST = CATALOGUE.price("basic.month.EUR.1")


def version(number: int, minor: int, on_day: int, of: Price = FIRST) -> Price:
    amount = Money(minor, of.amount.currency)
    return replace(of, id=f"{of.id[:-1]}{number}", amount=amount, published_at=START + on_day * DAY)


def changed(*versions: Price, withdrawals: tuple[Withdrawal, ...] = ()) -> Catalogue:
    """Everybody is told of a version on the day it is published."""
    notices = [Notice(price.id, price.published_at) for price in versions]
    return CATALOGUE.published(versions, notices, withdrawals)


def pays(catalogue: Catalogue, on_day: int, has: Price = FIRST) -> int:
    return catalogue.at_renewal(has, START + on_day * DAY).amount.minor


def limits(plan: Plan) -> Sequence[str]:
    seats = [f"{plan.seats[kind]:,}" if kind in plan.seats else "none" for kind in ("meeting", "webinar", "large")]
    kept = [f"{octets / 10**9:,g} GB" for octets in (plan.storage_bytes, plan.recording_bytes)]
    return plan.title, str(plan.members), *seats, str(plan.presenters), *kept


def piece(add_on: AddOn) -> Sequence[str]:
    yes = {True: "yes", False: "no"}
    said = (f"{add_on.amount:,} `{add_on.adds}`", str(add_on.quantity_max), yes[add_on.recurring])
    if add_on.recurring:
        amounts = prices(add_on.name, "month", "year")
    else:
        amounts = [f"{prices(add_on.name, 'once')[0]} once", ""]
    return add_on.title, *said, yes[add_on.returnable], *amounts


def prices(item: str, *cycles: PriceCycle) -> list[str]:
    """From the first moment of the list on."""
    if item == FREE:
        return ["0" for _ in cycles]
    sums = [
        [CATALOGUE.for_newcomer(item, cycle, money, LISTED_FROM) for money in ("USD", "EUR", "PLN")] for cycle in cycles
    ]
    return [" / ".join(str(price.amount) for price in of_cycle) for of_cycle in sums]


def row(*cells: str) -> str:
    return "|" + "|".join(f" {cell} " if cell else " " for cell in cells) + "|"


def table(head: str) -> list[str]:
    """The lines under a table's head, until it ends."""
    lines = DOCUMENT.read_text().partition(f"\n{head}")[2].split("\n\n")[0].splitlines()
    return lines[2:]


def test_the_new_price_begins_with_the_first_renewal_thirty_days_after_the_notice() -> None:
    dearer = changed(version(2, 2_500, 0))
    with entry("BIL-05.1"):
        assert [pays(dearer, day) for day in (29, 30, 31)] == [1_900, 2_500, 2_500]
        second = datetime.timedelta(seconds=1)
        assert dearer.at_renewal(FIRST, START + 30 * DAY - second).amount.minor == 1_900
    newcomer = dearer.for_newcomer("basic", "month", "EUR", START)
    assert newcomer.amount.minor == 2_500, "who is new pays it at once"
    assert dearer.for_newcomer("basic", "month", "EUR", START - second) == FIRST
    assert pays(dearer, 1, newcomer) == 2_500, "and never less than what he agreed to"


def test_a_customer_whose_notice_bounced_has_the_old_price_until_he_was_told() -> None:
    dearer = changed(version(2, 2_500, 0))
    with entry("BIL-05.2"):
        assert dearer.at_renewal(FIRST, START + 300 * DAY, told={}) == FIRST
        told = {"basic.month.EUR.2": START + 10 * DAY}
        assert dearer.at_renewal(FIRST, START + 39 * DAY, told) == FIRST
        assert dearer.at_renewal(FIRST, START + 40 * DAY, told).amount.minor == 2_500


def test_a_price_raised_twice_inside_thirty_days_comes_step_by_step() -> None:
    twice = changed(version(2, 2_500, 0), version(3, 3_000, 10))
    with entry("BIL-05.3"):
        assert [pays(twice, day) for day in (29, 30, 39, 40)] == [1_900, 2_500, 2_500, 3_000]
    # A lower price needs no notice; one that is lower than the last but dearer than his does.
    back = changed(version(2, 2_500, 0), version(3, 2_200, 10))
    assert [pays(back, day) for day in (9, 10, 29, 30, 40)] == [1_900, 1_900, 1_900, 2_200, 2_200]
    assert pays(changed(version(2, 1_500, 0)), 0) == 1_500


def test_a_yearly_plan_and_a_frozen_one_have_the_price_in_force_on_their_day() -> None:
    yearly = CATALOGUE.price("basic.year.EUR.1")
    dearer = changed(version(2, 25_000, 0, yearly), version(3, 26_000, 350, yearly))
    with entry("BIL-05.4"):
        assert [pays(dearer, day, yearly) for day in (29, 30, 360, 380)] == [19_000, 25_000, 25_000, 26_000]
    with entry("BIL-29.3"):
        # Frozen from day 5 to day 95; the notice was on day 0.
        assert pays(changed(version(2, 2_500, 0)), 95) == 2_500
        assert pays(changed(version(2, 2_500, 70)), 95) == 1_900


def test_a_change_withdrawn_before_it_takes_effect_is_nobodys() -> None:
    gone = changed(version(2, 2_500, 0), withdrawals=(Withdrawal("basic.month.EUR.2", START + 20 * DAY),))
    with entry("BIL-05.6"):
        assert [pays(gone, day) for day in (19, 30, 300)] == [1_900] * 3
        assert gone.for_newcomer("basic", "month", "EUR", START + 19 * DAY).amount.minor == 2_500
        assert gone.for_newcomer("basic", "month", "EUR", START + 20 * DAY) == FIRST
    # Who bought it in between does not pay more than the others for ever.
    assert pays(gone, 30, gone.price("basic.month.EUR.2")) == 1_900


@given(
    st.lists(st.tuples(st.integers(1, 5_000), st.integers(0, 200)), max_size=6, unique_by=lambda step: step[1]),
    st.integers(0, 300),
)
def test_nobody_pays_more_than_a_newcomer_or_than_he_was_told_a_month_before(
    steps: list[tuple[int, int]], due: int
) -> None:
    rows = [version(number, minor, day) for number, (minor, day) in enumerate(sorted(steps, key=lambda s: s[1]), 2)]
    catalogue = changed(*rows)
    told = [row for row in rows if row.published_at + NOTICE_DAYS * DAY <= START + due * DAY]
    newcomer = catalogue.for_newcomer("basic", "month", "EUR", START + due * DAY)
    assert pays(catalogue, due) == min((told[-1] if told else FIRST).amount.minor, newcomer.amount.minor)


def test_rows_of_the_price_list_are_never_edited() -> None:
    with entry("BIL-45.1"):
        with pytest.raises(FrozenInstanceError):
            FIRST.amount = Money(1, "EUR")  # type: ignore[misc]
        with pytest.raises(ValueError, match="never edited"):
            CATALOGUE.published([replace(FIRST, amount=Money(1, "EUR"))])
        with pytest.raises(ValueError, match="one instant"):
            CATALOGUE.published([replace(FIRST, id="another")])
        assert changed(version(2, 2_500, 0)).price(FIRST.id) == FIRST


@pytest.mark.parametrize(
    "row",
    [
        replace(FIRST, id="x", item="nothing"),
        replace(FIRST, id="x", item=FREE),
        replace(FIRST, id="x", cycle="once"),
        replace(CATALOGUE.price("streamed_event.once.EUR.1"), id="x", cycle="month"),
    ],
)
def test_a_price_of_nothing_is_refused(row: Price) -> None:
    with pytest.raises(ValueError, match="x"):
        CATALOGUE.published([row])


def test_notices_and_withdrawals_are_of_rows_that_exist_and_no_price_is_below_zero() -> None:
    for rows in ({"notices": [Notice("x", START)]}, {"withdrawals": [Withdrawal("x", START)]}):
        with pytest.raises(ValueError, match="no price x"):
            CATALOGUE.published(**rows)
    with pytest.raises(ValueError, match="below zero"):
        replace(FIRST, amount=Money(-1, "EUR"))
    with pytest.raises(ValueError):
        replace(FIRST, published_at=START.replace(tzinfo=None))


def test_a_retired_plan_is_sold_to_nobody_and_goes_on_for_who_has_it() -> None:
    plans = {**CATALOGUE.plans, "basic": replace(CATALOGUE.plans["basic"], retired_at=START)}
    retired = replace(CATALOGUE, plans=plans)
    assert [plan.name for plan in retired.plans_for_sale(START)] == ["professional", "business"]
    assert [plan.name for plan in retired.plans_for_sale(START - DAY)] == ["basic", "professional", "business"]
    with pytest.raises(Invalid) as refused:
        retired.for_newcomer("basic", "month", "EUR", START)
    assert (refused.value.code, refused.value.field) == ("plan_unknown", "plan")
    with entry("BIL-29.2"):
        assert retired.at_renewal(FIRST, START + 90 * DAY) == FIRST
        assert Terms("basic", "month").plan in retired.plans


@pytest.mark.parametrize(
    ("item", "currency", "code"),
    [
        (FREE, "EUR", "plan_unknown"),
        ("golden", "EUR", "plan_unknown"),
        ("basic", "JPY", "plan_currency"),
        ("storage", "JPY", "add_on_currency"),
    ],
)
def test_what_cannot_be_bought(item: str, currency: str, code: str) -> None:
    with pytest.raises(Invalid) as refused:
        CATALOGUE.for_newcomer(item, "month", currency, START)
    assert refused.value.code == code


def test_nothing_is_for_sale_before_its_first_price() -> None:
    with pytest.raises(Invalid):
        CATALOGUE.for_newcomer("basic", "month", "EUR", datetime.datetime(2025, 1, 1, tzinfo=datetime.UTC))


def test_quantities_of_an_add_on() -> None:
    storage = CATALOGUE.add_ons["storage"]
    assert storage.check_quantity(50) == 50 and storage.check_quantity(1, has=49) == 1
    with entry("BIL-10.3"):
        for quantity in (0, -1, True, 1.0):
            with pytest.raises(Invalid) as refused:
                storage.check_quantity(quantity)  # type: ignore[arg-type]
            assert (refused.value.code, refused.value.field) == ("quantity_malformed", "quantity")
    with entry("BIL-10.4"):
        for quantity, has in ((51, 0), (1, 50), (10**12, 0)):
            with pytest.raises(Invalid) as refused:
                storage.check_quantity(quantity, has)
            assert (refused.value.code, refused.value.field) == ("quantity_max", "quantity")


def test_a_retired_add_on_is_not_sold() -> None:
    old = AddOn("old", "Old", "presenters", 1, 1, retired_at=START)
    catalogue = replace(CATALOGUE, add_ons={**CATALOGUE.add_ons, "old": old})
    with pytest.raises(Invalid, match="add_on_unknown"):
        catalogue.for_newcomer("old", "month", "EUR", START)


def test_the_cheapest_month_is_that_of_the_day_the_list_is_asked_for() -> None:
    dearer = changed(version(2, 2_500, 0))
    with entry("BIL-44.2"):
        assert dearer.cheapest_month(START - DAY) == {"EUR": 1_900, "PLN": 7_900, "USD": 1_900}
        assert dearer.cheapest_month(START)["EUR"] == 2_500
        assert dearer.cheapest_month(datetime.datetime(2025, 1, 1, tzinfo=datetime.UTC)) == {}


def test_what_is_sold_is_what_the_document_says() -> None:
    plans = [row(*limits(plan), *prices(plan.name, "month", "year")) for plan in CATALOGUE.plans.values()]
    assert table("| plan | people |") == plans
    assert table("| add-on | a piece gives |") == [row(*piece(add_on)) for add_on in CATALOGUE.add_ons.values()]
    just_before = LISTED_FROM - datetime.timedelta(microseconds=1)
    assert not any(CATALOGUE.listed(*price.key, just_before) for price in CATALOGUE.prices)


def test_accounts_read_their_plans_from_here() -> None:
    assert set(setup.PLANS) == set(CATALOGUE.plans)
    assert setup.PLANS["basic"].currencies == {"USD", "EUR", "PLN"} and not setup.PLANS[FREE].currencies


def test_every_plan_and_add_on_has_a_price_in_every_currency_and_cycle_it_is_sold_by() -> None:
    at = START
    for plan in CATALOGUE.plans_for_sale(at):
        for currency in CATALOGUE.currencies(plan.name):
            month = CATALOGUE.for_newcomer(plan.name, "month", currency, at).amount
            assert month < CATALOGUE.for_newcomer(plan.name, "year", currency, at).amount < month * 12
    for add_on in CATALOGUE.add_ons.values():
        for currency in ("USD", "EUR", "PLN"):
            for cycle in ("month", "year") if add_on.recurring else ("once",):
                assert CATALOGUE.for_newcomer(add_on.name, cycle, currency, at).amount.minor > 0
