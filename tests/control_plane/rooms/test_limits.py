"""How many a room holds: the smallest of what product, plan and host allow."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from control_plane.rooms.limits import KINDS, PLANS, PRODUCT, Kind, Limits, Plan, of


def test_the_figures_of_the_product_are_those_of_the_text_and_no_plan_gives_more() -> None:
    assert {kind: size.seats for kind, size in PRODUCT.items()} == {"meeting": 40, "webinar": 1_000, "large": 10_000}
    for kind in KINDS:
        assert max(of(kind, plan).seats for plan in PLANS) == PRODUCT[kind].seats


def test_a_plan_may_give_less_and_a_host_still_less_but_never_more() -> None:
    assert of("meeting", "basic").seats == 25
    assert of("meeting", "basic", 10) == Limits(10, 10)
    assert of("meeting", "basic", 9_999).seats == 25
    assert of("webinar", "professional") == Limits(1_000, 40)


def test_a_kind_that_is_not_in_the_plan_has_no_seat_and_an_old_plan_counts_as_the_free_one() -> None:
    assert of("large", "professional") == Limits(0, 0)
    assert of("meeting", "a plan of long ago") == of("meeting", "")


@given(st.sampled_from(KINDS), st.integers(0, 20_000), st.none() | st.integers(1, 20_000))
def test_senders_are_part_of_the_seats_and_no_wish_goes_over_the_product(
    kind: Kind, seats: int, wish: int | None
) -> None:
    plans = {"": Plan("", {}), "x": Plan("x", {kind: seats})}
    size = of(kind, "x", wish, plans)
    assert 0 <= size.senders <= size.seats <= min(PRODUCT[kind].seats, seats)
    assert wish is None or size.seats <= wish
