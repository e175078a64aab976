"""Whoever is being answered goes before what runs by itself: they share one interpreter, and somebody waits.

A piece of work that runs by itself is short and asks before each. It waits for requests, and never longer than
`within_s`: however many ask, the work of a night goes on.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator

# Many times what an answer takes. Who has one always on its way leaves ten pieces of work a second to each lane.
WITHIN_S = 0.1


class Precedence:
    """`with precedence.answering():` around each answer, `precedence.give()` before each piece of work. May be used
    from any thread."""

    def __init__(self, within_s: float = WITHIN_S) -> None:
        self._within_s = within_s
        self._over = threading.Condition()
        self._answering = 0

    @contextlib.contextmanager
    def answering(self) -> Iterator[None]:
        with self._over:
            self._answering += 1
        try:
            yield
        finally:
            with self._over:
                self._answering -= 1
                if not self._answering:
                    self._over.notify_all()

    @property
    def claimed(self) -> bool:
        """Whether something is being answered."""
        return self._answering > 0

    def give(self) -> None:
        """Until nothing is being answered, or `within_s` has passed."""
        if self.claimed:
            with self._over:
                self._over.wait_for(lambda: not self._answering, self._within_s)
