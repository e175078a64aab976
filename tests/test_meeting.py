"""The judgement of switches and freezes, on runs whose verdict is known."""

from __future__ import annotations

import asyncio
from typing import Any

from tests.clients import Freezes
from tests.meeting import FREEZE_POLL_S, FreezeWatch, judge_switches


def frames(*runs: tuple[float, int | None, int, int]) -> list[dict[str, Any]]:
    """Runs of (start in ms, source, first number, count) at 25 fps."""
    return [
        {"at": start + 40 * index, "source": source, "number": None if source is None else (first + index) % 4096}
        for start, source, first, count in runs
        for index in range(count)
    ]


def test_a_clean_run_has_its_slowest_switch_and_no_fault() -> None:
    seen = frames((0, 1, 500, 5), (200, 2, 90, 40), (2000, 2, 140, 3), (2120, 3, 7, 40))
    assert judge_switches([(20, 2), (2000, 3)], seen) == (180.0, 0, 0)


def test_a_frame_of_the_old_source_after_the_new_one_is_a_stranger() -> None:
    seen = frames((0, 2, 0, 3), (120, 1, 503, 1), (160, 2, 4, 3))
    assert judge_switches([(0, 2)], seen) == (0.0, 1, 0)


def test_a_number_that_falls_is_seen_and_a_wrap_is_not_a_fall() -> None:
    assert judge_switches([(0, 2)], frames((0, 2, 4090, 12))) == (0.0, 0, 0)
    assert judge_switches([(0, 2)], frames((0, 2, 50, 5), (200, 2, 30, 5))) == (0.0, 0, 1)


def test_a_source_that_never_comes_is_endless() -> None:
    assert judge_switches([(0, 3)], frames((0, 1, 0, 50)))[0] == float("inf")


def test_unreadable_frames_are_nobody() -> None:
    assert judge_switches([(0, 2)], frames((0, None, 0, 2), (80, 2, 1, 2), (160, None, 0, 1))) == (80.0, 0, 0)


async def test_a_freeze_between_two_looks_and_one_after_the_last_are_both_seen() -> None:
    told = [Freezes(2, 5.0, 0, 0), Freezes(3, 5.4, 0, 0), Freezes(3, 5.4, 0, 0)]
    looked = asyncio.Event()

    async def poll() -> Freezes:
        if len(told) == 2:
            looked.set()
        return told.pop(0) if told else Freezes(5, 5.6, 0, 0)

    async with FreezeWatch(poll) as watch:
        await asyncio.wait_for(looked.wait(), 20 * FREEZE_POLL_S)
        told.clear()
    assert watch.count == 3
    assert abs(watch.longest_s - 0.4) < 1e-9
