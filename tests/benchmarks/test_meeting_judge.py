"""The judge of the meeting is judged: a good meeting passes, and each fault fails its own line."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from benchmarks.meeting_judge import Result, Script, Step, judge, plan
from benchmarks.receiving import Shown


def person(number: int, other: int) -> Result:
    stretch = Shown(other, "camera", 0, 1_000_000, 2_900_000, 0, 46, 47)
    return Result(
        number,
        spoken=[1, 2, 3],
        heard={other: [1, 2, 3]},
        spoken_ms=60.0,
        steps=[Step("0", other, 990_000)],
        shown={"0": [stretch]},
        faults={"lost": 0},
        groups=[(0, 50, 7)],
    )


def meeting(**changes: object) -> list[Result]:
    """Two people; the second one's result is changed."""
    return [person(1, 2), replace(person(2, 1), **changes)]  # type: ignore[arg-type]


def decoding(**changes: object) -> list[Result]:
    """The second one is libwebrtc; his result is changed."""
    first = replace(person(1, 2), heard={}, heard_ms={2: 1195.0}, spoken_ms=1200.0)
    second = replace(person(2, 1), stamped=False, spoken=[], heard={}, heard_ms={1: 1190.0}, spoken_ms=1200.0)
    return [first, replace(second, **changes)]  # type: ignore[arg-type]


def lines_that_fail(results: list[Result]) -> list[str]:
    return [check.line for check in judge(results) if not check.holds]


def test_a_good_meeting_passes_every_line() -> None:
    assert lines_that_fail(meeting()) == []
    assert lines_that_fail(meeting(heard={1: [2, 3]})) == []  # 20 ms


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"heard": {1: [3]}}, "everybody was heard"),
        ({"spoken_ms": 0.0}, "everybody was heard"),
        ({"heard": {1: [1, 2, 3], 2: [1]}}, "own voice"),
        ({"shown": {"0": [Shown(3, "camera", 0, 1_000_000, 2_900_000, 0, 46, 47)]}}, "in order"),
        ({"shown": {"0": []}}, "in order"),
        ({"shown": {"0": [Shown(1, "camera", 0, 1_000_000, 1_900_000, 0, 46, 47)]}}, "at least a second"),
        ({"shown": {"0": [Shown(1, "camera", 0, 1_000_000, 2_900_000, 0, 47, 47)]}}, "missing frame"),
        ({"shown": {"0": [Shown(1, "camera", 2, 1_000_000, 2_900_000, 0, 46, 47)]}}, "smallest layer"),
        ({"faults": {"lost": 1}}, "no wrong content"),
    ],
)
def test_each_fault_fails_its_line(changes: dict[str, object], line: str) -> None:
    assert any(line in failed for failed in lines_that_fail(meeting(**changes)))


def test_who_cannot_stamp_is_judged_by_what_was_decoded() -> None:
    assert lines_that_fail(decoding()) == []


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"heard_ms": {1: 1179.0}}, "everybody was heard"),
        ({"heard_ms": {}}, "everybody was heard"),
        ({"heard_ms": {3: 1200.0}}, "everybody was heard"),
        ({"spoken_ms": 1230.0}, "everybody was heard"),  # and the other heard less
        ({"spoken_ms": 0.0}, "everybody was heard"),
        ({"heard_ms": {1: 1200.0, 2: 200.0}}, "own voice"),
        ({"heard_ms": {1: 1300.0}}, "longer"),
        ({"faults": {"unreadable pictures": 1}}, "no wrong content"),
    ],
)
def test_each_fault_of_what_was_decoded_fails_its_line(changes: dict[str, object], line: str) -> None:
    assert any(line in failed for failed in lines_that_fail(decoding(**changes)))


@pytest.mark.parametrize(("people", "slots"), [(40, 8), (9, 8), (8, 8), (2, 8)])
def test_the_pages_roll_over_all_others_in_a_ring_and_never_over_oneself(people: int, slots: int) -> None:
    pages = -(-(people - 1) // slots)
    for number in range(people):
        seen = [who for page in range(pages) for who in plan(number, page, people, slots)]
        assert set(seen) == set(range(people)) - {number}
        assert all(len(set(plan(number, page, people, slots))) == min(slots, people - 1) for page in range(9))


def test_a_result_survives_its_way_between_processes() -> None:
    for one in (person(1, 2), *decoding()):
        assert Result.heard_of(json.loads(json.dumps(one.told()))) == one


def test_a_script_has_a_page_for_every_two_seconds() -> None:
    script = Script(people=4, pages=3)
    assert script.pages_of(3) == [plan(3, page, 4, 8) for page in range(3)] == [[0, 1, 2], [2, 0, 1], [1, 2, 0]]
    assert script.turns_s(2) == [1.0, 3.0, 5.0, 7.0]
