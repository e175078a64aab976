"""RTP and RTCP of the light client, judged by aiortc."""

from __future__ import annotations

import pytest
from aiortc.rtp import RtcpPacket, RtcpPsfbPacket, RtcpRrPacket, RtcpRtpfbPacket, RtcpSrPacket, RtpPacket
from hypothesis import given
from hypothesis import strategies as st

from benchmarks import packets
from benchmarks.packets import Rtp

SEQUENCE = st.integers(0, 0xFFFF)
SSRC = st.integers(0, 0xFFFFFFFF)


@given(
    sequence=SEQUENCE,
    timestamp=SSRC,
    ssrc=SSRC,
    marker=st.booleans(),
    payload=st.binary(min_size=1, max_size=50),
    extensions=st.dictionaries(st.integers(1, 14), st.binary(min_size=1, max_size=16), max_size=5),
)
def test_a_packet_is_read_as_it_was_written_by_us_and_by_aiortc(
    sequence: int, timestamp: int, ssrc: int, marker: bool, payload: bytes, extensions: dict[int, bytes]
) -> None:
    packet = Rtp(96, sequence, timestamp, ssrc, marker, payload, extensions)
    octets = packets.write_rtp(packet)
    assert packets.read_rtp(octets) == packet
    judged = RtpPacket.parse(octets)
    assert (judged.sequence_number, judged.timestamp, judged.ssrc, bool(judged.marker), judged.payload) == (
        sequence, timestamp, ssrc, marker, payload,
    )  # fmt: skip


@given(st.binary(max_size=11))
def test_what_is_too_short_is_no_packet(octets: bytes) -> None:
    with pytest.raises(ValueError, match="no RTP"):
        packets.read_rtp(octets)


@given(ssrc=SSRC, source=SSRC, missing=st.sets(SEQUENCE, min_size=1, max_size=60))
def test_a_nack_names_what_is_missing(ssrc: int, source: int, missing: set[int]) -> None:
    compound = packets.nack(ssrc, source, missing)
    (judged,) = RtcpPacket.parse(compound)
    assert isinstance(judged, RtcpRtpfbPacket)
    assert (judged.ssrc, judged.media_ssrc, set(judged.lost)) == (ssrc, source, missing)
    (feedback,) = packets.read_feedback(compound)
    assert (feedback.kind, feedback.ssrc, set(feedback.missing)) == ("nack", source, missing)


def test_reports_and_picture_loss_are_what_aiortc_reads() -> None:
    (report,) = RtcpPacket.parse(packets.sender_report(7, 3_900_000_000.5, 90_000, 12, 3400))
    assert isinstance(report, RtcpSrPacket)
    assert (report.ssrc, report.sender_info.packet_count, report.sender_info.octet_count) == (7, 12, 3400)
    assert report.sender_info.ntp_timestamp == 3_900_000_000 << 32 | 1 << 31
    (receiver,) = RtcpPacket.parse(packets.receiver_report(7, [(9, 0.5, 3, 70_000, 5, 6)]))
    assert isinstance(receiver, RtcpRrPacket)
    (block,) = receiver.reports
    assert (block.ssrc, block.fraction_lost, block.packets_lost, block.highest_sequence) == (9, 128, 3, 70_000)
    assert (block.lsr, block.dlsr) == (5, 6)
    assert list(packets.read_sender_reports(packets.sender_report(7, 3_900_000_000.5, 1, 1, 1))) == [
        (7, (3_900_000_000 & 0xFFFF) << 16 | 1 << 15)
    ]
    (loss,) = RtcpPacket.parse(packets.picture_loss(7, 9))
    assert isinstance(loss, RtcpPsfbPacket)
    assert (loss.fmt, loss.ssrc, loss.media_ssrc) == (1, 7, 9)
    assert [one.kind for one in packets.read_feedback(packets.picture_loss(7, 9))] == ["pli"]


@given(st.dictionaries(st.integers(0, 300), st.integers(0, 400_000), min_size=1, max_size=40))
def test_transport_feedback_says_when_each_packet_came(arrived: dict[int, int]) -> None:
    compound = packets.transport_feedback(1, 2, 3, arrived)
    assert len(compound) % 4 == 0
    (judged,) = RtcpPacket.parse(compound)
    assert isinstance(judged, RtcpRtpfbPacket)
    body = compound[12:]
    first, count = int.from_bytes(body[:2], "big"), int.from_bytes(body[2:4], "big")
    assert (first, count) == (min(arrived), max(arrived) - min(arrived) + 1)
    at_us, symbols = int.from_bytes(body[4:7], "big") * 64_000, []
    chunks = -(-count // 7)
    for chunk in range(chunks):
        word = int.from_bytes(body[8 + 2 * chunk : 10 + 2 * chunk], "big")
        symbols += [word >> 12 - 2 * place & 3 for place in range(7)]
    deltas = body[8 + 2 * chunks :]
    for number, symbol in enumerate(symbols[:count]):
        assert (symbol != 0) == (first + number in arrived)
        size = {0: 0, 1: 1, 2: 2}[symbol]
        at_us += int.from_bytes(deltas[:size], "big", signed=size == 2) * 250 if size else 0
        deltas = deltas[size:]
        assert not size or abs(at_us - arrived[first + number]) <= 250


@given(st.integers(0, 1 << 20), st.integers(-30_000, 30_000))
def test_a_number_is_unwrapped_to_the_nearest(newest: int, step: int) -> None:
    assert packets.unwrap(newest, (newest + step) & 0xFFFF) == newest + step


@given(st.binary(max_size=80))
def test_random_bytes_are_read_to_the_end_or_not_at_all(octets: bytes) -> None:
    for feedback in packets.read_feedback(octets):
        assert feedback.kind in ("pli", "nack", "twcc")
