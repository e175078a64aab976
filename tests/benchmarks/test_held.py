"""Percentiles and gaps, and one real stream through a kernel thread while the GIL is held."""

from __future__ import annotations

import time

import pytest

from benchmarks import held
from benchmarks.held import Landed, busy_series, largest_gap_ms, percentile, stream

pytestmark = pytest.mark.alone


def test_percentiles_are_values_that_were_seen() -> None:
    values = [float(value) for value in range(1, 101)]
    assert percentile(values, 0.5) == 51.0 and percentile(values, 0.9) == 91.0
    assert percentile([7.0], 0.9) == 7.0
    with pytest.raises(ValueError, match="no packet"):
        percentile([], 0.5)


def test_a_gap_is_between_two_packets_of_one_viewer() -> None:
    landed = [Landed(0, 0, 0), Landed(1, 0, 5_000_000), Landed(0, 0, 30_000_000), Landed(0, 0, 31_000_000)]
    assert largest_gap_ms(landed, 0) == 30.0
    with pytest.raises(ValueError, match="viewer 1 was sent 1 packets"):
        largest_gap_ms(landed, 1)


def test_a_busy_window_is_judged_by_the_idle_ones_on_both_sides() -> None:
    windows = [[1.0], [2.0], [1.0], [9.0], [3.0]]
    series = busy_series(windows, 0.5)
    assert [sample.ratio for sample in series.kept] == [2.0]
    assert len(series.refused) == 1


def test_a_stream_lands_at_every_viewer_with_the_time_it_took() -> None:
    with stream(seconds=2) as far:
        time.sleep(1.0)  # the stream's own time
        landed = far.end()
    assert {one.viewer for one in landed} == set(range(held.VIEWERS))
    assert len(landed) > 20 * held.VIEWERS
    assert all(0 < one.latency_ms < 1000 for one in landed)
