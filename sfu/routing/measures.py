"""The worker's numbers for /metrics: single 8-byte counters of the kernel, and a share over the last half second."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from sfu.channel import Counters, Histogram, ProcessUse
from sfu.routing import tables

Arrays = Mapping[str, np.ndarray[Any, Any]]
# The share of working time is that of a window at least so long. Shorter: a burst alone looks like overload.
WINDOW_S = 0.5


class Measures:
    """Reads the kernel's counters; keeps nothing but the last window."""

    def __init__(self, arrays: Arrays, now: float) -> None:
        self._arrays = arrays
        self._from = now
        self._working_us = self._counter(tables.Counter.WORKING_US)
        self.busy_share = 0.0  # time working / time passed, of the kernel thread, in the last full window

    def tick(self, now: float) -> None:
        """Call it several times a second."""
        if now - self._from >= WINDOW_S:
            working_us = self._counter(tables.Counter.WORKING_US)
            self.busy_share = min(1.0, (working_us - self._working_us) / 1e6 / (now - self._from))
            self._from, self._working_us = now, working_us

    def counters(
        self,
        request: int,
        *,
        rows: Mapping[str, int],
        handshakes: Mapping[str, int],
        buffers: Mapping[str, int],
        process: ProcessUse,
        loop_lag_ms: float,
    ) -> Counters:
        """The answer to a Snapshot. `buffers`: the smallest granted to any socket, by direction."""
        arrays = self._arrays
        counters = {member.name.lower(): self._counter(member) for member in tables.Counter}
        return Counters(
            request=request,
            arrivals={member.name: int(arrays["arrived"][member]) for member in tables.Arrival},
            departures={member.name: int(arrays["departed"][member]) for member in tables.Departure},
            packets={"received": counters["received_packets"], "sent": counters["sent_packets"]},
            octets={"received": counters["received_octets"], "sent": counters["sent_octets"]},
            rows=dict(rows),
            counters={**counters, **{f"stun_{name}": count for name, count in handshakes.items()}},
            loop_lag_ms=loop_lag_ms,
            kernel_busy_share=self.busy_share,
            forward_latency=self._histogram("latency", tables.LATENCY_FIRST_US),
            round_trips=self._histogram("rtts", tables.RTT_FIRST_US),
            socket_buffer_bytes=dict(buffers),
            process=process,
        )

    def _counter(self, member: tables.Counter) -> int:
        return int(self._arrays["counters"][member])

    def _histogram(self, table: str, first_us: int) -> Histogram:
        row = self._arrays[table][0]
        return Histogram(
            bounds_s=tuple(bound_us / 1e6 for bound_us in tables.bucket_bounds_us(first_us)),
            counts=tuple(int(count) for count in row["counts"]),
            sum_s=int(row["sum_us"]) / 1e6,
        )
