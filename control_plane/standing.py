"""[I/O] Test mode: a clock that stands until it is told to go on, and does on the way all that falls due. Never for
production; only `--dev` with `control.test_mode` makes one.

Where it was told to go is kept in a file before it goes, so that it does not go back through a restart either.
"""

from __future__ import annotations

import datetime
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

from control_plane import clockwork
from control_plane.clock import Clock, TestClock, aware
from control_plane.errors import Conflict, Invalid
from control_plane.running.work import Work

# A jump is a request that somebody waits for.
JUMP_MAX = datetime.timedelta(days=400)
FILE = "test-clock"


def clock_of(folder: Path, real: Clock) -> TestClock:
    """Where it stood, or at the real time if that is later. Raises OSError, and ValueError for a damaged file."""
    path = folder / FILE
    kept = aware(datetime.datetime.fromisoformat(path.read_text().strip())) if path.exists() else real.now()
    return TestClock(max(kept, real.now()))


class Standing:
    """Sets the clock forward, one caller at a time, with the runner paused meanwhile."""

    def __init__(
        self, clock: TestClock, work: Work, folder: Path, paused: Callable[[], AbstractContextManager[None]]
    ) -> None:
        self._clock, self._work, self._folder, self._paused = clock, work, folder, paused
        self._moving = threading.Lock()

    def now(self) -> datetime.datetime:
        return self._clock.now()

    def advance_to(self, instant: datetime.datetime) -> int:
        """Returns once nothing is left to do up to `instant`; how many steps that took. What failed on the way is
        tried again at its time, as always. Raises Invalid for the past and for more than JUMP_MAX, Conflict while the
        clock is moving."""
        if not self._moving.acquire(blocking=False):
            raise Conflict("clock_moving", "the clock is being set forward already")
        try:
            if not self.now() <= instant <= self.now() + JUMP_MAX:
                raise Invalid(
                    "clock_jump",
                    f"the clock stands at {self.now().isoformat()}; it goes forward, {JUMP_MAX.days} days at most",
                    field="to",
                )
            (self._folder / FILE).write_text(instant.isoformat(), encoding="utf-8")
            with self._paused():
                return clockwork.advance_to(self._clock, self._work, instant)
        finally:
            self._moving.release()
