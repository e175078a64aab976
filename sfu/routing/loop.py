"""[I/O] The kernel on its thread, and the event loop's side of its rings."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import NamedTuple

from sfu.routing.kernel.step import Kernel
from sfu.routing.tables import Limits


class Fact(NamedTuple):
    """One event of the kernel (tables.Event)."""

    kind: int
    row: int
    generation: int
    a: int
    b: int
    c: int
    socket: int
    address: bytes
    data: bytes


class KernelThread:
    """Starts the kernel on a thread that never holds the GIL, and calls `on_fact` for each of its events."""

    def __init__(self, limits: Limits, sockets: list[int], on_fact: Callable[[Fact], None]) -> None:
        self.kernel = Kernel(limits, sockets)
        self._on_fact = on_fact
        self._thread = threading.Thread(target=self.kernel.run, name="kernel", daemon=True)

    def start(self) -> None:
        asyncio.get_running_loop().add_reader(self.kernel.notification_fd(), self._read)
        self._thread.start()

    async def stop(self) -> None:
        """End the thread; it takes one step at most."""
        asyncio.get_running_loop().remove_reader(self.kernel.notification_fd())
        self.kernel.stop()
        await asyncio.to_thread(self._thread.join)

    def _read(self) -> None:
        facts = self.kernel.take_events(256)
        for fact in facts:
            self._on_fact(Fact(*fact))
        if len(facts) == 256:
            # More wait, and the eventfd is read empty: come back after the loop's other work.
            asyncio.get_running_loop().call_soon(self._read)
