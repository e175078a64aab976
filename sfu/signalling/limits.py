"""A token bucket. Pure: time is an argument."""

from __future__ import annotations


class TokenBucket:
    """Lets `rate_per_s` through, and `burst` at once."""

    def __init__(self, rate_per_s: float, burst: float, now: float) -> None:
        self._rate_per_s = rate_per_s
        self._burst = burst
        self._left = burst
        self._at = now

    def take(self, amount: float, now: float) -> float:
        """0.0 when `amount` was taken, else the seconds after which it would be there (nothing is taken)."""
        self._left = min(self._burst, self._left + max(0.0, now - self._at) * self._rate_per_s)
        self._at = max(self._at, now)
        if amount <= self._left:
            self._left -= amount
            return 0.0
        return (amount - self._left) / self._rate_per_s
