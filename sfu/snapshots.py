"""[I/O] Asks the workers for their numbers, and does not wait long for one that is silent; measures the node's lag."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import Any

from sfu import channel, errors
from sfu.signalling.backend import WorkerSnapshot
from sfu.workers import Worker

# A worker that does not answer in this time is shown as silent (DESIGN 3, rule 1).
WITHIN_S = 0.2
# How often the lag of the loop is measured. Rarer: short blocks go unseen.
LAG_EVERY_S = 0.1
# Of a server that is too busy. Shorter: those who were refused add to its work.
RETRY_AFTER_S = 5.0


class Snapshots:
    """`draw_request` gives numbers that no other request on the channel has."""

    def __init__(self, workers: Sequence[Worker], draw_request: Callable[[], int], busy_max: float = 1.0) -> None:
        """`busy_max`: the share of a core above which nobody new is let in."""
        self._workers = workers
        self._draw_request = draw_request
        self._busy_max = busy_max
        self._waiting: dict[int, asyncio.Future[Any]] = {}
        self.busy_share = 0.0  # of a core, the busiest kernel when it was asked last

    def admit(self) -> None:
        """Raises Overloaded while there is no strength for one more."""
        if self.busy_share > self._busy_max:
            raise errors.Overloaded("this server has no strength left for one more", retry_after_s=RETRY_AFTER_S)

    async def take(self) -> tuple[WorkerSnapshot, ...]:
        """One of each worker."""
        taken = tuple(await asyncio.gather(*(self._one(worker) for worker in self._workers)))
        shares = [one.counters.kernel_busy_share for one in taken if one.counters]
        self.busy_share = max(shares, default=self.busy_share)
        return taken

    async def inspect(self, room: int, after: int) -> tuple[channel.Inspection | None, ...]:
        """A page of each worker's peers; None for one that is silent. `room` 0 is every room."""
        asked = [channel.Inspect(self._draw_request(), room, after) for _ in self._workers]
        return tuple(await asyncio.gather(*map(self._ask, self._workers, asked)))

    async def meter(self) -> None:
        """Ask for the bytes of every peer; the node hears them as they come, and all have come that come in time."""
        await asyncio.gather(*(self._ask(worker, channel.Meter(self._draw_request())) for worker in self._workers))

    def answered(self, event: channel.Counters | channel.Inspection | channel.Metered) -> None:
        waiting = self._waiting.pop(event.request, None)
        if waiting is not None and not waiting.done():
            waiting.set_result(event)

    async def _one(self, worker: Worker) -> WorkerSnapshot:
        counters = await self._ask(worker, channel.Snapshot(self._draw_request()))
        return WorkerSnapshot(worker.number, worker.restarts, counters)

    async def _ask(self, worker: Worker, command: channel.Snapshot | channel.Inspect | channel.Meter) -> Any:
        """The worker's answer, None when it did not come in time."""
        waiting = self._waiting[command.request] = asyncio.get_running_loop().create_future()
        try:
            worker.send(command)
            return await asyncio.wait_for(waiting, WITHIN_S)
        except (errors.WorkerLost, TimeoutError):
            return None
        finally:
            self._waiting.pop(command.request, None)


class LoopLag:
    """How late the event loop gets to what is due."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._largest_s = 0.0

    async def measure(self) -> None:
        """Until cancelled."""
        while True:
            before = self._clock()
            await asyncio.sleep(LAG_EVERY_S)
            self._largest_s = max(self._largest_s, self._clock() - before - LAG_EVERY_S)

    def take_s(self) -> float:
        """The largest since the last call."""
        lag_s, self._largest_s = self._largest_s, 0.0
        return lag_s
