"""When to try again: growing delays, without chance, so that a test clock sees the same each time. Pure."""

from __future__ import annotations

import datetime
from dataclasses import dataclass


@dataclass(frozen=True)
class Delays:
    """The waits after the 1st, 2nd, ... failure in seconds; the last one stays."""

    seconds: tuple[int, ...]

    def after(self, failures: int) -> datetime.timedelta:
        """How long to wait after so many failures in a row (1 or more)."""
        return datetime.timedelta(seconds=self.seconds[min(failures, len(self.seconds)) - 1])


MINUTE, HOUR = 60, 3600
