"""Free rows: a life ends with the kernel's word and not before, and no row is in two lives at once."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sfu.errors import Overloaded
from sfu.routing.commands import Row
from sfu.routing.rows import FreeRows, RoomRows


def test_low_rows_are_taken_first() -> None:
    rows = FreeRows("peers", 3)
    assert [rows.take().row for _ in range(3)] == [0, 1, 2]
    assert (rows.free, rows.used) == (0, 3)


def test_a_full_table_is_overload_and_says_which_and_when_to_try_again() -> None:
    rows = FreeRows("slots", 1)
    rows.take()
    with pytest.raises(Overloaded, match="slots") as caught:
        rows.take()
    assert caught.value.retry_after_s
    assert rows.used == 1


def test_a_row_that_is_taken_again_is_in_another_life() -> None:
    rows = FreeRows("peers", 1)
    first = rows.take()
    assert rows.retire(first)
    second = rows.take()
    assert (second.row, second.generation) == (first.row, first.generation + 1)


def test_a_late_word_about_an_earlier_life_frees_nothing() -> None:
    rows = FreeRows("peers", 1)
    first = rows.take()
    rows.retire(first)
    rows.take()
    assert not rows.retire(first)
    assert (rows.free, rows.used) == (0, 1)


def test_a_life_ends_once() -> None:
    rows = FreeRows("peers", 2)
    first = rows.take()
    assert rows.retire(first)
    assert not rows.retire(first)
    assert (rows.free, rows.used) == (2, 0)
    assert rows.take().row != rows.take().row


def test_a_word_about_a_row_that_was_never_taken_frees_nothing() -> None:
    rows = FreeRows("peers", 1)
    assert not rows.retire(Row(0, 0))
    assert not rows.retire(Row(7, 1))
    assert rows.free == 1


@settings(max_examples=150, deadline=None)
@given(st.lists(st.one_of(st.just(-1), st.integers(0, 30)), max_size=80))
def test_no_row_is_in_two_lives_at_once(steps: list[int]) -> None:
    """-1 takes a row; a number retires one of all that were ever taken, alive or not."""
    rows = FreeRows("tracks", 4)
    taken: list[Row] = []
    alive: set[Row] = set()
    for step in steps:
        if step >= 0:
            if taken:
                row = taken[step % len(taken)]
                assert rows.retire(row) is (row in alive)
                alive.discard(row)
        elif len(alive) == 4:
            with pytest.raises(Overloaded):
                rows.take()
        else:
            row = rows.take()
            assert row not in taken
            assert row.generation != 0
            taken.append(row)
            alive.add(row)
            assert len({life.row for life in alive}) == len(alive)
        assert (rows.used, rows.free) == (len(alive), 4 - len(alive))


def test_peers_of_one_room_share_its_row_and_the_last_one_frees_it() -> None:
    rooms = RoomRows(1)
    rooms.enter(40)
    rooms.enter(40)
    assert rooms.number(rooms.row(40)) == 40
    rooms.leave(40)
    with pytest.raises(Overloaded, match="rooms"):
        rooms.check(41)
    rooms.check(40)
    rooms.leave(40)
    assert rooms.number(0) is None
    rooms.check(41)
    rooms.enter(41)
    assert rooms.number(rooms.row(41)) == 41
