"""Ways out that fail: each route ends in its own verdict, and nobody else's packet is late or lost for it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

import pytest

from sfu.channel import Extensions
from sfu.routing.commands import Row
from sfu.routing.tables import Departure
from tests.kernels import Compiled, Media

pytestmark = pytest.mark.asan

VIEWERS = 100
PAUSE_US = 3_000_000


@pytest.fixture
def kernel() -> Iterator[Compiled]:
    made = Compiled(layers=1, slots=VIEWERS)
    for slot in range(VIEWERS):
        made.want(slot, 0)
    yield made
    made.close()


def move(kernel: Compiled, viewer: int, address: str, port: int, life: int = 2) -> None:
    """Give a viewer another address; `life` is the number of his path row's life, 2 for the first move."""
    peer = Row(viewer + 1, 1)
    kernel.commands.drop_path(Row(viewer + 1, life - 1))
    kernel.commands.set_path(Row(viewer + 1, life), peer, 0, address, port, current=True)
    kernel.step()


def frame(kernel: Compiled, index: int, elapsed_us: int = 33_000) -> set[int]:
    """One packet to all; which viewers got it."""
    kernel.send([Media(0, index, index * 3000, index & 0x7FFF, 1, 0, index == 100)], elapsed_us)
    return {packet.slot for packet in kernel.delivered()}


def test_a_bad_destination_among_100_costs_the_others_nothing(kernel: Compiled) -> None:
    move(kernel, 50, "127.0.0.1", 0)  # no datagram can be sent to port 0
    everybody = set(range(VIEWERS)) - {50}
    for index in range(100, 110):
        assert frame(kernel, index) == everybody
    assert kernel.departed(Departure.SEND_INVALID) == 10
    assert kernel.departed(Departure.SENT) == 990


def test_three_seconds_of_errors_pause_a_path_until_there_is_another(kernel: Compiled) -> None:
    move(kernel, 7, "127.0.0.1", 0)
    for index in range(100, 110):
        frame(kernel, index, elapsed_us=500_000)
    failed = kernel.departed(Departure.SEND_INVALID)
    assert failed == PAUSE_US // 500_000 + 1
    assert kernel.departed(Departure.PATH_PAUSED) == 10 - failed
    address, port = kernel.viewers[7].socket.getsockname()
    move(kernel, 7, address, port, life=3)
    assert 7 in frame(kernel, 110), "a new path is a new chance"


def test_a_paused_path_is_taken_again_when_the_peer_speaks(kernel: Compiled) -> None:
    kernel.kernel.arrays["peers"]["paused_until_us"][8] = 1 << 62
    assert 7 not in frame(kernel, 100)
    viewer = kernel.viewers[7]
    report = bytes([0x80, 201, 0, 1]) + (1).to_bytes(4, "big")
    viewer.socket.sendto(viewer.srtp.seal_rtcp(report), kernel.server.getsockname())
    kernel.step()
    assert 7 in frame(kernel, 101)


def test_who_gives_no_sign_of_life_for_30_s_is_sent_nothing_until_he_does(kernel: Compiled) -> None:
    """Consent (RFC 7675): else whoever has the address now is flooded."""
    kernel.speaking = False

    def report(viewer: int) -> None:
        receiver_report = bytes([0x80, 201, 0, 1]) + (1).to_bytes(4, "big")
        sealed = kernel.viewers[viewer].srtp.seal_rtcp(receiver_report)
        kernel.viewers[viewer].socket.sendto(sealed, kernel.server.getsockname())

    def left() -> tuple[int, int]:
        peers = kernel.kernel.arrays["peers"]["sent_packets"]
        return int(peers[8]), int(peers[9])

    for index in (100, 101):
        report(8)
        kernel.step(10_000_000)
        assert frame(kernel, index) >= {7, 8}
    report(8)
    kernel.step(10_000_000)
    silent_before, lively_before = left()
    got = frame(kernel, 102)
    assert 7 not in got and 8 in got
    kernel.step(2_000_000)
    assert left()[0] == silent_before, "no reports either"
    assert left()[1] > lively_before
    assert kernel.departed(Departure.PATH_PAUSED) > 0
    report(7)
    kernel.step()
    assert 7 in frame(kernel, 103)


def test_an_address_of_the_wrong_family_is_invalid_and_no_more(kernel: Compiled) -> None:
    move(kernel, 3, "::1", 9)
    assert frame(kernel, 100) == set(range(VIEWERS)) - {3}
    assert kernel.departed(Departure.SEND_INVALID) + kernel.departed(Departure.SEND_UNREACHABLE) == 1


# In a network namespace of its own: nothing can leave it, and "no route" is what it really answers.
IN_NAMESPACE = """
import subprocess, sys
from sfu.routing.tables import Departure
from tests.kernels import Compiled
from tests.sfu.routing.kernel.test_udp import frame, move
subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
subprocess.run(["ip", "route", "add", "blackhole", "198.51.100.0/24"], check=True)
kernel = Compiled(layers=1, slots=100, address="0.0.0.0")
for slot in range(100):
    kernel.want(slot, 0)
move(kernel, 10, "192.0.2.1", 9)
move(kernel, 20, "198.51.100.1", 9)
move(kernel, 30, "127.0.0.1", 0)
for index in range(100, 105):
    assert frame(kernel, index) == set(range(100)) - {10, 20, 30}, index
print({v.name: kernel.departed(v) for v in Departure if kernel.departed(v)})
assert kernel.departed(Departure.SENT) == 97 * 5
assert kernel.departed(Departure.SEND_UNREACHABLE) == 5
assert kernel.departed(Departure.SEND_INVALID) == 10
kernel.close()
"""


def test_bad_unroutable_and_blackholed_among_100_each_end_in_their_verdict() -> None:
    done = subprocess.run(
        ["unshare", "--user", "--map-root-user", "--net", sys.executable, "-c", IN_NAMESPACE],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_peer_without_a_path_or_keys_is_sent_nothing_and_keeps_his_numbers(kernel: Compiled) -> None:
    kernel.commands.drop_path(Row(1, 1))
    kernel.commands.add_peer(Row(200, 1), 0, 7, Extensions(mid=4), b"p")
    kernel.step()
    assert frame(kernel, 100) == set(range(1, VIEWERS))
    assert kernel.departed(Departure.NO_PATH) == 1
    assert int(kernel.kernel.arrays["slots"]["packets"][0]) == 0
