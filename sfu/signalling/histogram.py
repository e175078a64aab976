"""A histogram as Prometheus counts: fixed upper bounds, the last bucket without one. Pure."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence

from sfu.channel import Histogram


class Tally:
    """Counts values in buckets; a bound belongs to its bucket."""

    def __init__(self, bounds_s: Sequence[float]) -> None:
        self._bounds_s = tuple(bounds_s)
        self._counts = [0] * (len(bounds_s) + 1)
        self._sum_s = 0.0

    def add(self, value_s: float) -> None:
        self._counts[bisect_left(self._bounds_s, value_s)] += 1
        self._sum_s += value_s

    def value(self) -> Histogram:
        return Histogram(bounds_s=self._bounds_s, counts=tuple(self._counts), sum_s=self._sum_s)


def added(first: Histogram, second: Histogram) -> Histogram:
    """Both together. Raises ValueError when their bounds differ."""
    if first.bounds_s != second.bounds_s:
        raise ValueError("histograms with different bounds cannot be added")
    counts = tuple(one + other for one, other in zip(first.counts, second.counts, strict=True))
    return Histogram(first.bounds_s, counts, first.sum_s + second.sum_s)
