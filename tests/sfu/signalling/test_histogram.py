"""Buckets with their bounds."""

from __future__ import annotations

import pytest

from sfu.channel import Histogram
from sfu.signalling.histogram import Tally, added


def test_a_bound_belongs_to_its_bucket_and_the_last_bucket_has_none() -> None:
    tally = Tally((0.1, 0.5))
    for value_s in (0.05, 0.1, 0.1001, 0.5, 7.0):
        tally.add(value_s)
    told = tally.value()
    assert (told.bounds_s, told.counts) == ((0.1, 0.5), (2, 2, 1))
    assert told.sum_s == pytest.approx(7.7501)


def test_two_are_added_bucket_by_bucket_and_only_with_the_same_bounds() -> None:
    one, other = Histogram((0.1,), (1, 2), 0.5), Histogram((0.1,), (10, 20), 5.0)
    assert added(one, other) == Histogram((0.1,), (11, 22), 5.5)
    with pytest.raises(ValueError, match="bounds"):
        added(one, Histogram((0.2,), (1, 1), 0.1))
