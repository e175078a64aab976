"""The one place that reads the time. All instants are aware and in UTC; a lint forbids reading a clock elsewhere.

Business code never asks a clock: it is given `now`, and a job is given its `due_at` (control_plane.running).
"""

from __future__ import annotations

import datetime
from typing import Protocol


class Clock(Protocol):
    """Tells the present instant."""

    def now(self) -> datetime.datetime: ...


class SystemClock:
    """The machine's clock."""

    def now(self) -> datetime.datetime:
        return datetime.datetime.now(datetime.UTC)


class TestClock:
    """A clock that stands until it is told to go on, and never goes back."""

    __test__ = False  # pytest would collect it by its name

    def __init__(self, start: datetime.datetime) -> None:
        self._now = aware(start)

    def now(self) -> datetime.datetime:
        return self._now

    def advance_to(self, instant: datetime.datetime) -> None:
        """Raises ValueError for an instant in the past or without a time zone."""
        if aware(instant) < self._now:
            raise ValueError(f"the clock stands at {self._now.isoformat()} and does not go back")
        self._now = instant.astimezone(datetime.UTC)


def aware(instant: datetime.datetime) -> datetime.datetime:
    """The instant in UTC. Raises ValueError when it has no time zone."""
    if instant.tzinfo is None:
        raise ValueError("an instant needs a time zone")
    return instant.astimezone(datetime.UTC)
