"""Which layer a slot shall carry, and why it is not a larger one."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sfu.routing.allocation import Choice, LayerState, choose_layer, choose_temporal

QUARTER, HALF, FULL = LayerState(0, 180, True), LayerState(1, 360, True), LayerState(2, 720, True)
ALL = (QUARTER, HALF, FULL)


def silent(layer: LayerState) -> LayerState:
    return LayerState(layer.layer, layer.height, False)


@pytest.mark.parametrize(("max_height", "layer"), [(0, 2), (4320, 2), (720, 2), (719, 1), (360, 1), (359, 0), (180, 0)])
def test_the_largest_layer_that_is_not_above_the_wish_is_chosen(max_height: int, layer: int) -> None:
    assert choose_layer(ALL, max_height) == Choice(layer)


def test_the_order_in_which_layers_were_announced_does_not_matter() -> None:
    assert choose_layer((FULL, QUARTER, HALF), 400) == Choice(1)


def test_a_layer_that_sends_nothing_is_passed_over() -> None:
    assert choose_layer((QUARTER, HALF, silent(FULL)), 0) == Choice(1)
    assert choose_layer((silent(QUARTER), silent(HALF), FULL), 0) == Choice(2)


def test_where_all_layers_are_too_large_the_smallest_is_chosen_with_the_reason() -> None:
    assert choose_layer(ALL, 90) == Choice(0, "no_such_layer")
    assert choose_layer((silent(QUARTER), HALF, FULL), 180) == Choice(1, "no_such_layer")


def test_where_nothing_comes_yet_the_first_layer_is_waited_for() -> None:
    assert choose_layer(tuple(silent(layer) for layer in ALL), 0) == Choice(0, "waiting_for_source")


def test_a_track_without_layers_can_show_nothing() -> None:
    assert choose_layer((), 720) == Choice(None, "waiting_for_source")


def test_a_layer_of_unknown_height_is_chosen_only_where_nothing_better_is_there() -> None:
    unknown = LayerState(3, 0, True)
    assert choose_layer((unknown, QUARTER), 0) == Choice(0)
    assert choose_layer((unknown, FULL), 360) == Choice(3)


layers = st.lists(st.tuples(st.integers(0, 2160), st.booleans()), max_size=4).map(
    lambda rows: [LayerState(at, height, active) for at, (height, active) in enumerate(rows)]
)


@settings(max_examples=200, deadline=None)
@given(layers, st.integers(0, 2160))
def test_the_choice_is_never_silent_while_another_sends_nor_above_the_wish_without_saying_so(
    states: list[LayerState], max_height: int
) -> None:
    choice = choose_layer(states, max_height)
    sending = [state for state in states if state.active]
    if not sending:
        assert choice.reason == "waiting_for_source"
        assert (choice.layer is None) is (not states)
        return
    assert choice.layer is not None
    chosen = states[choice.layer]
    assert chosen.active
    fitting = [state.height for state in sending if max_height == 0 or state.height <= max_height]
    assert chosen.height == (max(fitting) if fitting else min(state.height for state in sending))
    assert bool(choice.reason) is not bool(fitting)


@pytest.mark.parametrize(("max_fps", "temporal"), [(0, 3), (60, 3), (30, 3), (29, 1), (15, 1), (14, 0), (1, 0)])
def test_a_wished_frame_rate_below_the_source_drops_temporal_layers(max_fps: int, temporal: int) -> None:
    assert choose_temporal(max_fps) == temporal
