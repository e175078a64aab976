"""The worker's numbers as the node gets them."""

from __future__ import annotations

from sfu.channel import ProcessUse
from sfu.routing import tables
from sfu.routing.measures import Measures

LIMITS = tables.Limits(peers=1, rooms=1, tracks=1, layers=1, slots=1, ring=2, audio_ring=2, commands=1, events=1)
PROCESS = ProcessUse(1.0, 2, 3, 4)


def test_the_share_is_that_of_the_last_full_window_whoever_asks_how_often() -> None:
    arrays = tables.allocate(LIMITS)
    measures = Measures(arrays, 100.0)
    arrays["counters"][tables.Counter.WORKING_US] = 300_000
    measures.tick(100.4)
    assert measures.busy_share == 0.0
    measures.tick(100.6)
    assert abs(measures.busy_share - 0.5) < 1e-9
    measures.tick(100.7)
    assert abs(measures.busy_share - 0.5) < 1e-9
    measures.tick(101.2)
    assert measures.busy_share == 0.0


def test_a_share_is_never_above_one() -> None:
    arrays = tables.allocate(LIMITS)
    measures = Measures(arrays, 0.0)
    arrays["counters"][tables.Counter.WORKING_US] = 10_000_000
    measures.tick(1.0)
    assert measures.busy_share == 1.0


def test_every_verdict_counter_and_bucket_is_told() -> None:
    arrays = tables.allocate(LIMITS)
    arrays["arrived"][tables.Arrival.EMPTY] = 3
    arrays["departed"][tables.Departure.SENT] = 4
    arrays["counters"][tables.Counter.SENT_OCTETS] = 5
    arrays["latency"]["counts"][0, 2] = 6
    arrays["latency"]["sum_us"] = 2_500_000
    told = Measures(arrays, 0.0).counters(
        9, rows={"peers": 1}, handshakes={"answered": 7}, buffers={"send": 8}, process=PROCESS, loop_lag_ms=1.5
    )
    assert (told.request, told.rows, told.socket_buffer_bytes, told.loop_lag_ms) == (9, {"peers": 1}, {"send": 8}, 1.5)
    assert set(told.arrivals) == {one.name for one in tables.Arrival} and told.arrivals["EMPTY"] == 3
    assert set(told.departures) == {one.name for one in tables.Departure} and told.departures["SENT"] == 4
    assert told.octets == {"received": 0, "sent": 5}
    assert told.counters["stun_answered"] == 7
    assert told.forward_latency.counts[2] == 6 and sum(told.forward_latency.counts) == 6
    assert told.forward_latency.bounds_s[0] == 32e-6 and told.forward_latency.sum_s == 2.5
    assert told.process == PROCESS
