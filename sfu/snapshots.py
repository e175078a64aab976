"""[I/O] Asks the workers for their numbers, and does not wait long for one that is silent."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from sfu import channel, errors
from sfu.signalling.backend import WorkerSnapshot
from sfu.workers import Worker

# A worker that does not answer in this time is shown as silent (DESIGN 3, rule 1).
WITHIN_S = 0.2


class Snapshots:
    """`draw_request` gives numbers that no other request on the channel has."""

    def __init__(self, workers: Sequence[Worker], draw_request: Callable[[], int]) -> None:
        self._workers = workers
        self._draw_request = draw_request
        self._waiting: dict[int, asyncio.Future[channel.Counters]] = {}

    async def take(self) -> tuple[WorkerSnapshot, ...]:
        """One of each worker."""
        return tuple(await asyncio.gather(*(self._one(worker) for worker in self._workers)))

    def answered(self, event: channel.Counters) -> None:
        waiting = self._waiting.pop(event.request, None)
        if waiting is not None and not waiting.done():
            waiting.set_result(event)

    async def _one(self, worker: Worker) -> WorkerSnapshot:
        request = self._draw_request()
        waiting: asyncio.Future[channel.Counters] = asyncio.get_running_loop().create_future()
        self._waiting[request] = waiting
        try:
            worker.send(channel.Snapshot(request))
            counters = await asyncio.wait_for(waiting, WITHIN_S)
        except (errors.WorkerLost, TimeoutError):
            return WorkerSnapshot(worker.number, worker.restarts, None)
        finally:
            self._waiting.pop(request, None)
        return WorkerSnapshot(worker.number, worker.restarts, counters)
