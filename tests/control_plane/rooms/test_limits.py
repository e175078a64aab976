"""How many a room holds: the smallest of what product, account and host allow."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from control_plane.billing.allowance import Allowance, of_plan
from control_plane.billing.catalogue import ADD_ONS, CATALOGUE
from control_plane.rooms.limits import KINDS, PRODUCT, Kind, Limits, of


def plan(name: str, presenters: int = 0) -> Allowance:
    return of_plan(CATALOGUE, name, {"presenters": presenters})


def test_the_figures_of_the_product_are_those_of_the_text_and_no_plan_gives_more() -> None:
    assert {kind: size.seats for kind, size in PRODUCT.items()} == {"meeting": 40, "webinar": 1_000, "large": 10_000}
    for kind in KINDS:
        assert max(of(kind, plan(name)).seats for name in CATALOGUE.plans) == PRODUCT[kind].seats
    # All that can be bought comes to what the product can do.
    assert of("webinar", plan("business", ADD_ONS["presenter"].quantity_max)).senders == PRODUCT["webinar"].senders


def test_a_plan_may_give_less_and_a_host_still_less_but_never_more() -> None:
    assert of("meeting", plan("basic")).seats == 25
    assert of("meeting", plan("basic"), 10) == Limits(10, 10)
    assert of("meeting", plan("basic"), 9_999).seats == 25
    assert of("webinar", plan("professional")) == Limits(1_000, 10)


def test_an_extra_presenter_counts_where_only_presenters_send() -> None:
    assert of("webinar", plan("professional", 2)) == Limits(1_000, 12)
    assert of("meeting", plan("professional", 2)) == of("meeting", plan("professional")) == Limits(40, 40)
    assert of("webinar", plan("business", 99)).senders == 40
    assert of("webinar", plan("professional", 2), 5) == Limits(5, 5)


def test_a_kind_that_is_not_in_the_plan_has_no_seat_and_an_old_plan_counts_as_the_free_one() -> None:
    assert of("large", plan("professional", 3)) == Limits(0, 0)
    assert of("meeting", plan("a plan of long ago")) == of("meeting", plan(""))


@given(st.sampled_from(KINDS), st.integers(0, 20_000), st.integers(0, 60), st.none() | st.integers(1, 20_000))
def test_senders_are_part_of_the_seats_and_no_wish_goes_over_the_product(
    kind: Kind, seats: int, presenters: int, wish: int | None
) -> None:
    size = of(kind, Allowance("x", {kind: seats}, presenters, 0, 0, 0), wish)
    assert 0 <= size.senders <= size.seats <= min(PRODUCT[kind].seats, seats)
    assert wish is None or size.seats <= wish
    assert kind == "meeting" or size.senders <= presenters
