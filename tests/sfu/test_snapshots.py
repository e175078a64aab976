"""The lag of the event loop, on a clock of the test."""

from __future__ import annotations

import asyncio
import itertools

from sfu.snapshots import LAG_EVERY_S, LoopLag
from tests.servers import eventually


async def test_a_block_of_the_loop_is_told_once() -> None:
    # Before and after each sleep: the second one seems to have taken 0.4 s too long.
    times = itertools.chain([0.0, LAG_EVERY_S, 1.0, 1.4 + LAG_EVERY_S], itertools.repeat(2.0))
    lag = LoopLag(lambda: next(times))
    task = asyncio.create_task(lag.measure())
    try:

        async def told() -> float | None:
            seen = lag.take_s()
            return seen if seen > 0.1 else None

        assert abs(await eventually(told, within_s=5, what="the block is seen") - 0.4) < 1e-9
        assert lag.take_s() == 0.0
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
