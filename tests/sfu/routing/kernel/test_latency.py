"""What the kernel says of itself: how long packets were here, what the socket dropped, how long it worked."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from sfu.routing import tables
from sfu.routing.commands import Row
from sfu.routing.kernel.step import Kernel
from sfu.routing.tables import Counter
from sfu.transport.sockets import SO_RXQ_OVFL
from tests.kernels import LIMITS, Compiled, Media

pytestmark = pytest.mark.asan

RATE_BPS = 1_000_000


@pytest.fixture
def kernel() -> Iterator[Compiled]:
    made = Compiled(layers=1, slots=1)
    made.want(0, 0)
    yield made
    made.close()


def latencies(kernel: Compiled) -> tuple[dict[int, int], int]:
    """Count by bucket, where there is any, and the sum in microseconds."""
    row = kernel.kernel.arrays["latency"][0]
    return {bucket: int(count) for bucket, count in enumerate(row["counts"]) if count}, int(row["sum_us"])


def burst(kernel: Compiled, first: int, count: int = 1, size: int = 1000) -> None:
    kernel.send(
        [Media(0, index, first * 3000, first & 0x7FFF, 1, 0, index == 100, index == first, tag=bytes(size))
         for index in range(first, first + count)]
    )  # fmt: skip


def counter(kernel: Kernel, member: Counter) -> int:
    return int(kernel.arrays["counters"][member])


def test_a_receiver_report_tells_the_round_trip_and_what_was_lost(kernel: Compiled) -> None:
    burst(kernel, 100)
    burst(kernel, 101)
    kernel.step(1_100_000)  # a sender report leaves each second
    arrays = kernel.kernel.arrays

    def report(lost: int, last_sender_report: int, delay_us: int, elapsed_us: int) -> None:
        ssrc = int(arrays["slots"]["ssrc"][0])
        words = (1, ssrc, lost & 0xFFFFFF, 0, 0, last_sender_report, (delay_us << 16) // 1_000_000)
        block = bytes([0x81, 201, 0, 7]) + b"".join(word.to_bytes(4, "big") for word in words)
        viewer = kernel.viewers[0]
        viewer.socket.sendto(viewer.srtp.seal_rtcp(block), kernel.server.getsockname())
        kernel.step(elapsed_us)

    def told() -> tuple[int, int, int]:
        lost = counter(kernel.kernel, Counter.TOLD_LOST)
        return int(arrays["rtts"]["counts"].sum()), int(arrays["peers"]["rtt_us"][1]), lost

    middle = int(arrays["slots"]["reported_middle"][0])
    since_us = kernel.now_us - int(arrays["slots"]["reported_at_us"][0])
    report(3, middle, 500_000, 540_000)
    rtts, rtt_us, lost = told()
    assert (rtts, lost) == (1, 3) and abs(rtt_us - 40_000 - since_us) < 100  # DLSR has a grain of 15 us
    report(2, middle ^ 1, 0, 0)  # a repair came late; and a sender report that we do not know any more
    assert told() == (1, rtt_us, 3)
    report(-1, 0, 0, 0)
    assert told() == (1, rtt_us, 3)
    report(5, 0, 0, 0)
    assert told() == (1, rtt_us, 5)


def test_a_packet_that_leaves_in_its_step_is_in_the_first_bucket_and_one_that_waits_in_that_of_its_wait(
    kernel: Compiled,
) -> None:
    burst(kernel, 100)  # the key frame that starts the slot
    burst(kernel, 101)
    assert latencies(kernel) == ({0: 1}, 0)
    kernel.commands.set_rate(Row(1, 1), RATE_BPS)
    kernel.step()
    burst(kernel, 102, 2)  # the second one has no credit
    queued = kernel.departed(tables.Departure.QUEUED)
    kernel.step(20_000)
    assert queued == 1
    assert latencies(kernel) == ({0: 2, 10: 1}, 20_000)  # 2^9 x 32 us = 16,384 < 20,000 <= 2^10 x 32 us


def test_what_a_new_viewer_is_sent_again_from_the_ring_is_not_counted() -> None:
    kernel = Compiled(layers=1, slots=1)
    try:
        burst(kernel, 100, 5)
        kernel.step(100_000)
        kernel.want(0, 0)
        assert kernel.departed(tables.Departure.SENT) == 5
        assert latencies(kernel) == ({}, 0)
        burst(kernel, 105)
        assert latencies(kernel) == ({0: 1}, 0)
    finally:
        kernel.close()


def test_every_bound_is_twice_the_one_before_and_there_is_one_bucket_more() -> None:
    bounds = tables.bucket_bounds_us(tables.LATENCY_FIRST_US)
    assert bounds[:3] == (32, 64, 128) and bounds[-1] == 524_288
    assert len(bounds) + 1 == len(tables.allocate(LIMITS)["latency"][0]["counts"])


def test_what_the_system_drops_is_counted_once_with_the_next_datagram_that_comes() -> None:
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger,
    ):
        server.setblocking(False)
        server.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        server.setsockopt(socket.SOL_SOCKET, SO_RXQ_OVFL, 1)
        server.bind(("127.0.0.1", 0))
        kernel = Kernel(LIMITS, [server.fileno()])
        sent = 50
        for _ in range(sent):
            stranger.sendto(bytes(1000), server.getsockname())
        while kernel.step():
            pass
        received = counter(kernel, Counter.RECEIVED_PACKETS)
        assert 0 < received < sent, "a buffer of 4 KiB cannot hold 50 datagrams of 1,000 bytes"
        for _ in range(3):
            stranger.sendto(bytes(10), server.getsockname())
            kernel.step()
        assert counter(kernel, Counter.SOCKET_DROPS) == sent - received
        assert counter(kernel, Counter.RECEIVED_OCTETS) == received * 1000 + 30
        assert counter(kernel, Counter.WORKING_US) > 0


def test_requests_for_key_frames_are_counted_by_kind_and_those_we_send_too(kernel: Compiled) -> None:
    burst(kernel, 100)
    viewer = kernel.viewers[0]
    pli = bytes([0x81, 206, 0, 2]) + (1).to_bytes(4, "big") + (1000).to_bytes(4, "big")
    fir = bytes([0x84, 206, 0, 4]) + bytes(8) + (1000).to_bytes(4, "big") + bytes(4)
    for packet in (pli, pli, fir):
        viewer.socket.sendto(viewer.srtp.seal_rtcp(packet), kernel.server.getsockname())
    kernel.step()
    kernel.commands.send_rtcp(Row(0, 1), pli)
    kernel.commands.send_rtcp(Row(0, 1), bytes([0x80, 203, 0, 1]) + bytes(4))  # a BYE is none
    kernel.step()
    found = [counter(kernel.kernel, one) for one in (Counter.PLIS_READ, Counter.FIRS_READ, Counter.PLIS_WRITTEN)]
    assert found == [2, 1, 1]
