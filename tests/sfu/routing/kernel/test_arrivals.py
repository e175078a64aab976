"""Whatever comes in ends in exactly one verdict, and nothing a stranger sends stops the stream beside it."""

from __future__ import annotations

import random
import socket
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sfu.routing.tables import Arrival, Counter, Event
from sfu.wire.stun import binding_request, integrity_ok, parse
from tests.kernels import MID, RID, TWCC, VIDEO_PT, Compiled, Media, rtp, vp8_payload

pytestmark = pytest.mark.asan

FRAME = Media(0, 100, 3000, 7, 3, 0, True, True, True, b"first")


@pytest.fixture
def kernel() -> Iterator[Compiled]:
    made = Compiled(layers=2, slots=1)
    yield made
    made.close()


def counted(kernel: Compiled) -> int:
    return int(kernel.kernel.arrays["arrived"].sum())


def after(kernel: Compiled, datagram: bytes) -> Arrival:
    """The verdict of one datagram from the publisher's address."""
    before = kernel.kernel.arrays["arrived"].copy()
    kernel.send_datagram(datagram)
    kernel.step()
    (verdict,) = [Arrival(at) for at in range(len(before)) if kernel.kernel.arrays["arrived"][at] != before[at]]
    assert kernel.kernel.arrays["arrived"][verdict] == before[verdict] + 1
    return verdict


def sealed(kernel: Compiled, packet: bytes, index: int) -> bytes:
    return kernel.publisher.srtp.seal_rtp(packet, index)


def still_forwards(kernel: Compiled, index: int = 9000) -> None:
    """The stream beside all that goes on."""
    kernel.want(0, 0)
    kernel.delivered()
    kernel.send([Media(0, index, index * 10, 7, 3, 0, True, True, True, b"alive")])
    assert [packet.tag for packet in kernel.delivered()][-1:] == [b"alive"]


def test_each_kind_of_datagram_has_its_verdict(kernel: Compiled) -> None:
    good = sealed(kernel, kernel.packet(FRAME), FRAME.index)
    assert after(kernel, good) is Arrival.NO_ROUTE
    assert after(kernel, good) is Arrival.REPLAYED
    assert after(kernel, good[:-1] + bytes([good[-1] ^ 1])) is Arrival.REPLAYED  # known index: not even opened
    next_packet = Media(0, 101, 6000, 8, 3, 0, False, True, True, b"x")
    broken = sealed(kernel, kernel.packet(next_packet), 101)
    assert after(kernel, broken[:-1] + bytes([broken[-1] ^ 1])) is Arrival.SRTP_BAD_TAG
    assert after(kernel, b"") is Arrival.EMPTY
    assert after(kernel, bytes([0x80, 96])) is Arrival.MALFORMED
    assert after(kernel, bytes([0x80]) + bytes(1600)) is Arrival.OVERSIZED
    assert after(kernel, bytes([70, 1, 2])) is Arrival.UNKNOWN_KIND
    assert after(kernel, bytes([22, 254, 253, 0])) is Arrival.HANDED_UP
    assert after(kernel, bytes([0x80, 200, 0, 1]) + bytes(30)) is Arrival.SRTCP_BAD_TAG
    assert any(fact[0] == Event.DTLS and fact[8] == bytes([22, 254, 253, 0]) for fact in kernel.facts)
    still_forwards(kernel)


def test_the_first_packet_under_a_peers_keys_is_told_once_be_it_media_or_a_report(kernel: Compiled) -> None:
    def told() -> list[int]:
        return [row for kind, row, *_ in kernel.facts if kind == Event.ENCRYPTED]

    good = sealed(kernel, kernel.packet(FRAME), FRAME.index)
    after(kernel, good[:-1] + bytes([good[-1] ^ 1]))
    assert told() == []  # whoever forges has no keys
    report = bytes([0x80, 201, 0, 1]) + (9).to_bytes(4, "big")
    for _ in range(2):
        kernel.viewers[0].socket.sendto(kernel.viewers[0].srtp.seal_rtcp(report), kernel.server.getsockname())
        kernel.send_datagram(good)
        kernel.step()
    assert sorted(told()) == [0, 1]


def test_a_stranger_is_told_nothing_and_only_his_stun_is_looked_at(kernel: Compiled) -> None:
    stranger = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    stranger.bind(("127.0.0.1", 0))
    stranger.setblocking(False)
    try:
        for datagram in (bytes([22, 254, 253]) + bytes(50), kernel.packet(FRAME), bytes([0x80, 200]) + bytes(40)):
            stranger.sendto(datagram, kernel.server.getsockname())
        kernel.step()
        assert kernel.arrived(Arrival.UNKNOWN_PATH) == 3
        stranger.sendto(bytes([0, 1]) + bytes(18), kernel.server.getsockname())
        kernel.step()
        assert kernel.arrived(Arrival.HANDED_UP) == 1
        with pytest.raises(BlockingIOError):
            stranger.recv(2000)
    finally:
        stranger.close()


def test_a_binding_request_on_a_known_path_is_answered_by_the_kernel(kernel: Compiled) -> None:
    request = binding_request(b"t" * 12, "local:remote", b"password", use_candidate=True, priority=1, controlling=5)
    assert after(kernel, request) is Arrival.STUN_ANSWERED
    (answer,) = kernel.publisher.datagrams()
    message = parse(answer)
    assert integrity_ok(answer, b"password")
    assert message.transaction_id == b"t" * 12 and message.fingerprint_ok
    assert message.mapped == kernel.publisher.socket.getsockname()
    wrong = binding_request(b"t" * 12, "local:remote", b"another", use_candidate=False, priority=1, controlling=5)
    assert after(kernel, wrong) is Arrival.STUN_BAD
    assert kernel.publisher.datagrams() == []


def test_a_truncated_binding_request_is_no_answer(kernel: Compiled) -> None:
    request = binding_request(b"t" * 12, "local:remote", b"password", use_candidate=True, priority=1, controlling=5)
    for cut in range(1, len(request)):
        assert after(kernel, request[:cut]) in (Arrival.STUN_BAD, Arrival.HANDED_UP)
    assert kernel.publisher.datagrams() == []


def test_an_extension_that_overruns_is_malformed(kernel: Compiled) -> None:
    packet = bytearray(kernel.packet(FRAME))
    packet[14:16] = (400).to_bytes(2, "big")
    assert after(kernel, bytes(packet)) is Arrival.MALFORMED
    # An element that overruns its block ends the block: the packet names no layer and is unbound.
    element = rtp(VIDEO_PT, 5, 0, 501, vp8_payload(FRAME), marker=True, elements=[(MID, b"v"), (RID, b"0")])
    lying = bytearray(element)
    lying[16] = MID << 4 | 15
    assert after(kernel, sealed(kernel, bytes(lying), 5)) is Arrival.UNBOUND
    still_forwards(kernel)


def test_rtcp_that_lies_about_its_length_is_counted_and_read_no_further(kernel: Compiled) -> None:
    for lie in (
        bytes([0x80, 200, 0, 99]) + bytes(24),
        bytes([0x81, 205, 0, 2]) + bytes(8) + bytes([0x80, 201, 255, 255]),
        bytes([0xA0, 203, 0, 1]) + bytes(3) + b"\xff",
        bytes([0x9F, 203, 0, 1]) + bytes(4),
        bytes([0x40, 200, 0, 1]) + bytes(4),
    ):
        verdict = after(kernel, kernel.publisher.srtp.seal_rtcp(lie))
        assert verdict in (Arrival.RTCP_BAD, Arrival.RTCP_READ, Arrival.UNKNOWN_KIND)
    assert kernel.arrived(Arrival.RTCP_BAD) >= 3
    still_forwards(kernel)


def test_a_peer_can_name_32_ssrcs_and_no_more(kernel: Compiled) -> None:
    for number in range(40):
        packet = rtp(VIDEO_PT, 1, 0, 5000 + number, b"x" * 20, marker=False)
        verdict = after(kernel, sealed(kernel, packet, 1))
        assert verdict is (Arrival.UNBOUND if number < 32 else Arrival.STREAMS_FULL)


def test_reordered_packets_are_opened_across_the_wrap(kernel: Compiled) -> None:
    """RFC 3711 3.3.1: the index is guessed from the highest one, whichever comes first."""
    indexes = list(range(65500, 65700))
    random.Random(1).shuffle(indexes)
    indexes.sort(key=lambda index: index // 20)
    for index in indexes:
        assert after(kernel, sealed(kernel, kernel.packet(Media(0, index, index, 1, 1, 0)), index)) in (
            Arrival.NO_ROUTE, Arrival.TOO_OLD,
        )  # fmt: skip
    assert kernel.arrived(Arrival.TOO_OLD) == 0
    assert kernel.arrived(Arrival.SRTP_BAD_TAG) == 0


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(datagrams=st.lists(st.binary(max_size=1600), max_size=20), plain=st.lists(st.binary(min_size=1, max_size=300)))
def test_random_bytes_sealed_or_not_end_in_one_verdict_each(
    kernel: Compiled, datagrams: list[bytes], plain: list[bytes]
) -> None:
    before = counted(kernel)
    sent = 0
    for datagram in datagrams:
        kernel.send_datagram(datagram)
        sent += 1
    for number, body in enumerate(plain):
        # With the right key: a peer that passed every door and then sends nonsense.
        head = bytes([0x90 if number % 2 else 0x80, VIDEO_PT]) + bytes(2) + body[:4].ljust(8, b"\x01")
        if number % 2 == 0:
            kernel.send_datagram(kernel.publisher.srtp.seal_rtp(head + body, number))
            sent += 1
        rtcp = (bytes([0x80 | body[0] & 31, 200 + body[0] % 8]) + body).ljust(8, b"\x00")
        kernel.send_datagram(kernel.publisher.srtp.seal_rtcp(rtcp))
        sent += 1
    for _ in range(5):
        kernel.step(1000)
    assert counted(kernel) - before == sent
    assert int(kernel.kernel.arrays["counters"][Counter.RECEIVED_PACKETS]) == counted(kernel)


def test_transport_feedback_names_every_number_that_came(kernel: Compiled) -> None:
    for number in (65533, 65534, 65535, 1, 2):
        elements = [(MID, b"v"), (RID, b"0"), (TWCC, (number & 0xFFFF).to_bytes(2, "big"))]
        index = 200 + (number + 10) % 65536
        packet = rtp(VIDEO_PT, index, 0, 500, vp8_payload(FRAME), marker=True, elements=elements)
        kernel.send_datagram(kernel.publisher.srtp.seal_rtp(packet, index))
        kernel.step(5000)
    kernel.publisher.datagrams()
    kernel.step(60_000)
    reports = [kernel.publisher.srtp.open_rtcp(datagram) for datagram in kernel.publisher.datagrams()]
    (report,) = [report for report in reports if report and report[1] == 205 and report[0] & 31 == 15]
    assert int.from_bytes(report[8:12], "big") == 500  # Chromium drops feedback that names none of its SSRCs
    assert int.from_bytes(report[12:14], "big") == 65533
    assert int.from_bytes(report[14:16], "big") == 6  # 0 is reported as lost
