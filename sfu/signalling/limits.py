"""Token buckets, alone and one for each address. Pure: time is an argument."""

from __future__ import annotations

from collections import OrderedDict

from sfu.errors import RateLimited

# Addresses that are remembered. With more, the one not seen longest starts from new.
VISITORS_MAX = 10_000


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

    def give_back(self, amount: float) -> None:
        """What was taken shall not count."""
        self._left = min(self._burst, self._left + amount)


class Visitors:
    """A bucket for each address; whoever uses up his own hears RateLimited."""

    def __init__(self, rate_per_s: float, burst: float, what: str) -> None:
        """`what` is counted, as the refused are told: "requests"."""
        self._rate_per_s = rate_per_s
        self._burst = burst
        self._what = what
        self._buckets: OrderedDict[str, TokenBucket] = OrderedDict()

    def take(self, address: str, amount: float, now: float) -> None:
        """Raises RateLimited, with the time after which it would pass."""
        wait_s = self._at(address, now).take(amount, now)
        if wait_s > 0:
            raise RateLimited(f"too many {self._what} from this address", retry_after_s=wait_s)

    def give_back(self, address: str, amount: float, now: float) -> None:
        """What was taken for this address shall not count."""
        self._at(address, now).give_back(amount)

    def _at(self, address: str, now: float) -> TokenBucket:
        bucket = self._buckets.pop(address, None) or TokenBucket(self._rate_per_s, self._burst, now)
        self._buckets[address] = bucket
        if len(self._buckets) > VISITORS_MAX:
            self._buckets.popitem(last=False)
        return bucket
