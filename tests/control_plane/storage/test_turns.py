"""Turns: one at a time, in the order of asking, and nobody waits for ever."""

from __future__ import annotations

import threading

import pytest

from control_plane.storage.turns import NotMyTurn, Turns
from tests.control_plane.running.test_runner import until

LONG_S = 30.0


def test_who_asked_first_is_first_and_nobody_is_beside_another() -> None:
    turns, inside, order = Turns(), [0], list[int]()
    threads: list[threading.Thread] = []

    def come(number: int) -> None:
        with turns.taken(LONG_S):
            inside[0] += 1
            assert inside[0] == 1
            order.append(number)
            inside[0] -= 1

    with turns.taken(LONG_S):
        for number in range(5):
            threads.append(threading.Thread(target=come, args=(number,)))
            threads[-1].start()
            until(lambda number=number: len(turns._waiting) == number + 1)  # type: ignore[misc]
        assert order == []
    for thread in threads:
        thread.join(LONG_S)
    assert order == [0, 1, 2, 3, 4]


def test_who_waited_too_long_is_told_and_the_turn_goes_to_the_next() -> None:
    turns = Turns()
    with turns.taken(LONG_S):
        with pytest.raises(NotMyTurn), turns.taken(0.01):
            raise AssertionError("it was not its turn")
        assert not turns._waiting
    with turns.taken(0.01):
        pass


def test_a_turn_ends_with_what_goes_wrong_in_it() -> None:
    turns = Turns()
    with pytest.raises(RuntimeError), turns.taken(LONG_S):
        raise RuntimeError("in the middle")
    with turns.taken(0.01):
        pass
