"""Whoever tries ids that let nobody in is told to wait (PROD-17). Pure but for a lock: routes run in many threads."""

from __future__ import annotations

import datetime
import threading
from collections import OrderedDict

from control_plane.errors import TooMany

# In vain at once, and then one more every so often, by network address. With a hundred thousand events planned, one
# address hits one of the nine hundred million ids once in fifteen hours; people of one office may mistype twenty times.
BURST, EVERY_S = 20, 6.0
ADDRESSES_MAX = 50_000


class Guesses:
    """What each address has left. Those who get in are not counted: whole companies share one address."""

    def __init__(self, burst: int = BURST, every_s: float = EVERY_S, addresses_max: int = ADDRESSES_MAX) -> None:
        self._burst, self._every_s, self._addresses_max = burst, every_s, addresses_max
        self._left: OrderedDict[str, tuple[float, datetime.datetime]] = OrderedDict()
        self._lock = threading.Lock()

    def check(self, address: str, now: datetime.datetime) -> None:
        """Raises TooMany with `retry_after_s` when this address may not try now, rightly or wrongly."""
        with self._lock:
            left = self._now(address, now)
        if left < 1:
            wait_s = (1 - left) * self._every_s
            raise TooMany("too_many_ids", "too many ids that do not exist; wait a moment", retry_after_s=wait_s)

    def failed(self, address: str, now: datetime.datetime) -> None:
        """Count one that let nobody in."""
        with self._lock:
            left = self._now(address, now)
            self._left.pop(address, None)
            self._left[address] = (left - 1, now)
            if len(self._left) > self._addresses_max:
                self._left.popitem(last=False)

    def _now(self, address: str, now: datetime.datetime) -> float:
        left, at = self._left.get(address, (float(self._burst), now))
        return min(float(self._burst), left + max(0.0, (now - at).total_seconds()) / self._every_s)
