"""[I/O] How long something took, for figures and logs alone: never stored, and never the time of day."""

from __future__ import annotations

import time
from collections.abc import Callable


def stopwatch() -> Callable[[], float]:
    """Starts now; each call tells the seconds since then."""
    began = time.perf_counter()
    return lambda: time.perf_counter() - began
