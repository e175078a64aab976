"""[I/O] Threads for hashing: as many as cores, behind a short queue. Nothing else of the process waits for them."""

from __future__ import annotations

import asyncio
import contextlib
import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from control_plane.errors import Unavailable

T = TypeVar("T")

# With two cores and 0.15 s a hash the last one in the queue waits 2.5 s; more would only wait to give up.
QUEUE_MAX = 32
RETRY_AFTER_S = 3.0
# Hashing takes what the others leave: whoever waits for a page waits for milliseconds, who signs in for a hash anyway.
NICE = 19


class HashingPool:
    """Runs hashing on `threads` threads; at most `queue` more may wait. Argon2 lets go of the GIL, and the threads give
    way to all others of the machine."""

    def __init__(self, threads: int | None = None, queue: int = QUEUE_MAX) -> None:
        self._threads = threads or os.cpu_count() or 1
        self._pool = ThreadPoolExecutor(self._threads, thread_name_prefix="hashing", initializer=_give_way)
        self._places = threading.BoundedSemaphore(self._threads + queue)
        self._counting = threading.Lock()
        self._taken = 0
        # Pieces of work since the start, for the tests and metrics.
        self.done = self.refused = 0

    @property
    def busy(self) -> int:
        """Threads at work."""
        return min(self._taken, self._threads)

    @property
    def waiting(self) -> int:
        """Pieces of work in the queue."""
        return max(0, self._taken - self._threads)

    async def run(self, work: Callable[[], T]) -> T:
        """The result of `work`. Raises Unavailable with `retry_after_s` where the queue is full."""
        if not self._places.acquire(blocking=False):
            self._count(refused=1)
            raise Unavailable("busy_hashing", "too many are signing in; try again", retry_after_s=RETRY_AFTER_S)
        self._count(taken=1)
        try:
            # Shielded by the executor: a caller who goes away leaves the work to end by itself.
            future = self._pool.submit(self._counted, work)
        except RuntimeError:  # closed
            self._leave()
            raise
        future.add_done_callback(lambda _: self._leave())
        return await asyncio.wrap_future(future)

    def close(self) -> None:
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _counted(self, work: Callable[[], T]) -> T:
        try:
            return work()
        finally:
            self._count(done=1)

    def _leave(self) -> None:
        self._count(taken=-1)
        self._places.release()

    def _count(self, *, taken: int = 0, done: int = 0, refused: int = 0) -> None:
        with self._counting:
            self._taken += taken
            self.done += done
            self.refused += refused


def _give_way() -> None:
    """The calling thread alone: on Linux each has a niceness of its own, whatever POSIX says."""
    with contextlib.suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICE)
