"""[I/O] Asks the workers for their numbers, and does not wait long for one that is silent."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

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
        self._waiting: dict[int, asyncio.Future[Any]] = {}

    async def take(self) -> tuple[WorkerSnapshot, ...]:
        """One of each worker."""
        return tuple(await asyncio.gather(*(self._one(worker) for worker in self._workers)))

    async def inspect(self, room: int, after: int) -> tuple[channel.Inspection | None, ...]:
        """A page of each worker's peers; None for one that is silent. `room` 0 is every room."""
        asked = [channel.Inspect(self._draw_request(), room, after) for _ in self._workers]
        return tuple(await asyncio.gather(*map(self._ask, self._workers, asked)))

    def answered(self, event: channel.Counters | channel.Inspection) -> None:
        waiting = self._waiting.pop(event.request, None)
        if waiting is not None and not waiting.done():
            waiting.set_result(event)

    async def _one(self, worker: Worker) -> WorkerSnapshot:
        counters = await self._ask(worker, channel.Snapshot(self._draw_request()))
        return WorkerSnapshot(worker.number, worker.restarts, counters)

    async def _ask(self, worker: Worker, command: channel.Snapshot | channel.Inspect) -> Any:
        """The worker's answer, None when it did not come in time."""
        waiting = self._waiting[command.request] = asyncio.get_running_loop().create_future()
        try:
            worker.send(command)
            return await asyncio.wait_for(waiting, WITHIN_S)
        except (errors.WorkerLost, TimeoutError):
            return None
        finally:
            self._waiting.pop(command.request, None)
