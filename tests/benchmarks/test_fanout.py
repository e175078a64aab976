"""The packet benchmark forwards for real: what it sends opens with each viewer's key and is what was published."""

from __future__ import annotations

import socket

import pylibsrtp
import pytest

from benchmarks.fanout import Fanout
from benchmarks.rig import RawSender, Rig, datagram_socket

VIEWERS = 3


class Readable:
    """Viewers who read what they are sent."""

    viewers = VIEWERS

    def __init__(self) -> None:
        self.sinks = [datagram_socket() for _ in range(VIEWERS)]

    def address(self, viewer: int) -> tuple[str, int]:
        host, port = self.sinks[viewer].getsockname()
        return str(host), int(port)

    def server_socket(self) -> socket.socket:
        return datagram_socket()

    def media(self, viewer: int) -> list[bytes]:
        found: list[bytes] = []
        while True:
            try:
                datagram = self.sinks[viewer].recv(2048)
            except BlockingIOError:
                return found
            if not 192 <= datagram[1] <= 223:
                found.append(datagram)


def test_every_packet_reaches_every_viewer_sealed_with_his_own_key() -> None:
    places = Readable()
    with Fanout(places, 700) as fanout:
        us, octets = fanout.forward(10)
    assert us > 0 and octets > 700
    for viewer, sink in enumerate(places.sinks):
        policy = pylibsrtp.Policy(
            key=viewer.to_bytes(4, "big") * 4 + bytes(12), ssrc_type=pylibsrtp.Policy.SSRC_ANY_INBOUND,
            srtp_profile=pylibsrtp.Policy.SRTP_PROFILE_AEAD_AES_128_GCM,
        )  # fmt: skip
        session = pylibsrtp.Session(policy)
        opened = [session.unprotect(datagram) for datagram in places.media(viewer)]
        assert len(opened) == 11  # the key frame was one more
        numbers = [int.from_bytes(packet[2:4], "big") for packet in opened]
        assert numbers == list(range(numbers[0], numbers[0] + 11))
        assert all(packet.endswith(bytes(600)) for packet in opened)
        sink.close()


def test_a_viewer_who_got_nothing_is_an_error_and_no_figure() -> None:
    places = Readable()
    with Fanout(places, 700) as fanout:
        fanout._server.close()
        with pytest.raises((RuntimeError, OSError)):
            fanout.forward(3)
    for sink in places.sinks:
        sink.close()


def test_the_raw_sender_sends_so_many_bytes_to_each_in_turn() -> None:
    with Rig("loopback", 2) as rig:
        raw = RawSender(rig)
        # The smallest buffer the system gives holds one or two of these.
        assert raw.us_a_packet(100, 2) > 0
        assert [len(sink.recv(2048)) for sink in rig._sinks] == [100, 100]
        with pytest.raises(OSError, match="Invalid"):
            raw.us_a_packet(5000, 1)
        raw.close()
