"""Letters on their way: in their order, some at one time, none begun late, and what fails is told with its letter."""

from __future__ import annotations

import threading
import time

import pytest

from control_plane.running.carrying import carry
from control_plane.running.outbox import Letter
from tests.control_plane.running.made_up import NOON


def letters(count: int) -> list[Letter]:
    return [Letter(number, f"k{number}", "gateway", None, {}, NOON, 1) for number in range(count)]


def nobody() -> None:
    """Nobody else is to go first."""


def test_one_after_another_they_go_in_the_callers_own_thread() -> None:
    seen: list[tuple[str, threading.Thread]] = []

    def by(letter: Letter) -> int:
        seen.append((letter.key, threading.current_thread()))
        return letter.id * 10

    carried = carry(letters(3), by, 1, nobody)
    assert seen == [(f"k{number}", threading.current_thread()) for number in range(3)]
    assert [(one.letter.id, one.answer, one.fault) for one in carried] == [(0, 0, None), (1, 10, None), (2, 20, None)]


def test_several_are_on_their_way_at_one_time_and_come_back_in_order() -> None:
    four, most, lock = threading.Barrier(4, timeout=30), [0, 0], threading.Lock()

    def by(letter: Letter) -> int:
        with lock:
            most[0] += 1
            most[1] = max(most)
        four.wait()
        with lock:
            most[0] -= 1
        return letter.id

    assert [one.answer for one in carry(letters(8), by, 4, nobody)] == list(range(8))
    assert most == [0, 4]


def test_what_fails_is_told_with_its_letter_and_the_others_go_on() -> None:
    def by(letter: Letter) -> None:
        if letter.id == 1:
            raise ConnectionError("away")

    for at_once in (1, 3):
        carried = carry(letters(3), by, at_once, nobody)
        assert [type(one.fault) for one in carried] == [type(None), ConnectionError, type(None)]


def test_none_is_begun_late_but_the_first(monkeypatch: pytest.MonkeyPatch) -> None:
    spent = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: spent[0])

    def by(letter: Letter) -> None:
        spent[0] += 0.3

    assert [one.letter.id for one in carry(letters(5), by, 1, nobody)] == [0, 1]

    def slow(letter: Letter) -> None:
        spent[0] += 40

    assert [one.letter.id for one in carry(letters(5), slow, 1, nobody)] == [0]


def test_who_goes_first_is_asked_before_each_of_them() -> None:
    asked: list[str] = []
    for at_once in (1, 4):
        asked.clear()
        carry(letters(5), lambda letter: None, at_once, lambda: asked.append("asked"))
        assert len(asked) == 5


def test_what_ends_the_process_is_no_fault_of_a_letter() -> None:
    class Ends(BaseException):
        """As a process that dies."""

    def by(letter: Letter) -> None:
        raise Ends

    for at_once in (1, 2):
        with pytest.raises(Ends):
            carry(letters(2), by, at_once, nobody)
    assert carry([], by, 2, nobody) == []
