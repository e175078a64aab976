"""Threads of one process take turns, the one that has waited longest first.

SQLite lets one write at a time, and who finds it busy sleeps and looks again, up to a tenth of a second later: whoever
commits one transaction after another would keep everybody else out, and between two that wait nobody works.
"""

from __future__ import annotations

import contextlib
import threading
from collections import deque
from collections.abc import Iterator


class NotMyTurn(Exception):
    """Others took too long."""


class Turns:
    """`with turns.taken(within_s):`, never one inside the other."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._busy = False
        self._waiting: deque[threading.Lock] = deque()

    @contextlib.contextmanager
    def taken(self, within_s: float) -> Iterator[None]:
        """Raises NotMyTurn when it does not come within this time."""
        self._wait(within_s)
        try:
            yield
        finally:
            with self._lock:
                if self._waiting:
                    self._waiting.popleft().release()
                else:
                    self._busy = False

    def _wait(self, within_s: float) -> None:
        with self._lock:
            if not self._busy:
                self._busy = True
                return
            mine = threading.Lock()
            mine.acquire()
            self._waiting.append(mine)
        if mine.acquire(timeout=within_s):
            return
        with self._lock:
            if mine in self._waiting:
                self._waiting.remove(mine)
                raise NotMyTurn(f"not within {within_s} s")
        # It was given at this very moment.
