"""sfu.wire.rtcp, judged by aiortc's RTCP code and, for transport-wide feedback, by a decoder written from the draft."""

from __future__ import annotations

import types
from dataclasses import dataclass
from typing import Any

import pytest
from aiortc import rtp as judge
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.interpreted import load
from tests.sfu.wire.test_octets import Exact

RTCP = load().rtcp
few = settings(max_examples=200, deadline=None)
words = st.integers(0, 2**32 - 1)
shorts = st.integers(0, 2**16 - 1)
offsets = st.integers(0, 9)
UNTOUCHED = 0xA5
# draft-holmer-rmcat-transport-wide-cc-extensions-01 3.1: 24 bits of reference time in 64 ms, deltas in 250 us.
REFERENCE_US, DELTA_US = 64_000, 250
ERA_US = 2**24 * REFERENCE_US


@dataclass(frozen=True)
class Block:
    kind: int
    count: int
    body: bytes


def blocks(octets: bytes) -> tuple[list[Block], bool]:
    """All blocks of a compound packet, and whether it was whole; an octet read outside raises IndexError."""
    found: list[Any] = []
    at = 0
    while at < len(octets):
        block = types.SimpleNamespace()
        after = RTCP.next_block(Exact(octets), at, len(octets), block)
        if after == -1:
            return found, False
        assert at + 4 == block.at <= block.end <= after <= len(octets)
        found.append(Block(block.kind, block.count, octets[block.at : block.end]))
        at = after
    return found, True


def naive_blocks(octets: bytes) -> tuple[list[Block], bool]:
    """RFC 3550 6.4, said on slices."""
    found: list[Block] = []
    while octets:
        size = 4 + 4 * int.from_bytes(octets[2:4], "big")
        if len(octets) < 4 or octets[0] >> 6 != 2 or len(octets) < size:
            return found, False
        body = octets[4:size]
        if octets[0] & 32:
            if not 1 <= (body[-1] if body else 0) <= len(body):
                return found, False
            body = body[: -body[-1]]
        found.append(Block(octets[1], octets[0] % 32, body))
        octets = octets[size:]
    return found, True


def written(writer: str, room: int, at: int, *values: object) -> bytes:
    """What a writer puts at `at`; nothing may change before it or behind."""
    out = bytearray([UNTOUCHED] * (at + room + 5))
    end = getattr(RTCP, writer)(out, at, *values)
    assert set(out[:at]) | set(out[end:]) == {UNTOUCHED}
    return bytes(out[at:end])


@given(st.binary(max_size=100) | st.lists(st.binary(max_size=20), max_size=4).map(
    lambda bodies: b"".join(
        bytes([0x80 | len(body) % 3 * 31, 200 + len(body) % 7]) + (len(body) // 4).to_bytes(2, "big") + body
        for body in bodies
    )
))  # fmt: skip
@few
def test_no_octets_make_the_reader_raise_or_read_outside(octets: bytes) -> None:
    assert blocks(octets) == naive_blocks(octets)


def test_every_block_of_what_aiortc_writes_is_found() -> None:
    report = judge.RtcpReceiverInfo(1, 2, 3, 4, 5, 6, 7)
    packets: list[judge.AnyRtcpPacket] = [
        judge.RtcpSrPacket(11, judge.RtcpSenderInfo(1, 2, 3, 4), [report]),
        judge.RtcpRrPacket(12, [report, report]),
        judge.RtcpSdesPacket([judge.RtcpSourceInfo(13, [(1, b"somebody")])]),
        judge.RtcpByePacket([14, 15, 16]),
        judge.RtcpRtpfbPacket(1, 17, 18, [19]),
        judge.RtcpPsfbPacket(4, 19, 0, bytes(8)),
    ]
    found, whole = blocks(b"".join(bytes(packet) for packet in packets))
    assert whole
    assert [(block.kind, block.count) for block in found] == [
        (200, 1), (201, 2), (202, 1), (203, 3), (205, 1), (206, 4),
    ]  # fmt: skip
    assert [block.body for block in found] == [bytes(packet)[4:] for packet in packets]


@pytest.mark.parametrize("cut", range(1, 32))
def test_a_block_longer_than_the_packet_is_refused_and_those_before_it_stand(cut: int) -> None:
    first = bytes(judge.RtcpByePacket([1]))
    last = bytes(judge.RtcpRrPacket(2, [judge.RtcpReceiverInfo(1, 2, 3, 4, 5, 6, 7)]))
    assert blocks((first + last)[:-cut]) == ([Block(203, 1, first[4:])], False)


@pytest.mark.parametrize("version", [0, 1, 3])
def test_another_version_is_refused(version: int) -> None:
    assert blocks(bytes([version << 6, 201, 0, 0])) == ([], False)


@pytest.mark.parametrize(
    ("body", "left"),
    [
        (b"\x00\x00\x00\x01\x00\x00\x00\x04", b"\x00\x00\x00\x01"),
        (b"\x00\x00\x00\x08\x00\x00\x00\x08", b""),
        (b"\x00\x00\x00\x01\x00\x00\x00\x00", None),  # padding counts itself, so it cannot be none
        (b"\x00\x00\x00\x01\x00\x00\x00\x09", None),  # one more than there is: it would eat the head
        (b"\x00\x00\x00\x01\x00\x00\x00\xff", None),
        (b"", None),
    ],
)
def test_padding_is_cut_off_and_refused_where_it_lies(body: bytes, left: bytes | None) -> None:
    octets = bytes([0xA1, 203, 0, len(body) // 4]) + body
    assert blocks(octets) == (([], False) if left is None else ([Block(203, 1, left)], True))


def test_an_empty_block_is_a_block() -> None:
    assert blocks(bytes.fromhex("80c90000")) == ([Block(201, 0, b"")], True)


@given(offsets, st.integers(0, 31), st.integers(0, 255), st.integers(0, 350))
@few
def test_a_head_that_we_write_we_read(at: int, count: int, kind: int, length: int) -> None:
    head = written("put_head", 4, at, count, kind, 4 + 4 * length)
    assert blocks(head + bytes(4 * length)) == ([Block(kind, count, bytes(4 * length))], True)


@given(offsets, words, words, words, words, words, words)
@few
def test_aiortc_reads_our_sender_report(
    at: int, ssrc: int, seconds: int, fraction: int, timestamp: int, packets: int, octets: int
) -> None:
    report = written("put_sender_report", 28, at, ssrc, seconds, fraction, timestamp, packets, octets)
    info = judge.RtcpSenderInfo(seconds << 32 | fraction, timestamp, packets, octets)
    assert judge.RtcpPacket.parse(report) == [judge.RtcpSrPacket(ssrc, info)]


@given(offsets, words, words, st.integers(0, 255), st.integers(-(2**23), 2**23 - 1), words, words, words, words)
@few
def test_aiortc_reads_our_receiver_report_with_its_loss_below_zero_too(
    at: int, sender: int, ssrc: int, fraction: int, lost: int, highest: int, jitter: int, last_sr: int, delay: int
) -> None:
    report = written(
        "put_receiver_report", 32, at, sender, ssrc, fraction, lost, highest, jitter, last_sr, delay
    )  # fmt: skip
    info = judge.RtcpReceiverInfo(ssrc, fraction, lost, highest, jitter, last_sr, delay)
    assert judge.RtcpPacket.parse(report) == [judge.RtcpRrPacket(sender, [info])]


@given(offsets, words, words, st.sets(st.integers(0, 0x140), min_size=1, max_size=60), st.integers(0, 2**40))
@few
def test_aiortc_reads_every_lost_number_of_our_nack(
    at: int, sender: int, ssrc: int, steps: set[int], first: int
) -> None:
    lost = [first + step for step in sorted(steps)]
    nack = written("put_nack", 12 + 4 * len(lost), at, sender, ssrc, lost, len(lost))
    [told] = judge.RtcpPacket.parse(nack)
    assert isinstance(told, judge.RtcpRtpfbPacket)
    assert (told.fmt, told.ssrc, told.media_ssrc) == (1, sender, ssrc)
    assert [number & 0xFFFF for number in told.lost] == [index & 0xFFFF for index in lost]


@given(st.sets(shorts, min_size=1, max_size=60))
@few
def test_our_nack_is_as_short_as_that_of_aiortc(lost: set[int]) -> None:
    indexes = sorted(lost)
    nack = written("put_nack", 12 + 4 * len(indexes), 0, 1, 2, indexes, len(indexes))
    assert nack == bytes(judge.RtcpRtpfbPacket(1, 1, 2, indexes))


def test_a_nack_goes_on_over_the_wrap_of_the_sequence_number() -> None:
    nack = written("put_nack", 20, 0, 1, 2, [0xFFFE, 0x10001, 0x1000E, 0x1000F], 4)
    assert nack[12:] == bytes.fromhex("fffe 8004 000f 0000")


@dataclass(frozen=True)
class Feedback:
    """Transport-wide feedback as a sender understands it."""

    sender: int
    media_ssrc: int
    report: int
    arrived_us: dict[int, int]
    lost: set[int]


def symbols_of(chunk: int) -> list[int]:
    """Draft 3.1.3 and 3.1.4: a run, or a vector of 14 one-bit or 7 two-bit symbols."""
    if chunk >> 15 == 0:
        return [chunk >> 13 & 3] * (chunk & 0x1FFF)
    if chunk >> 14 & 1:
        return [chunk >> shift & 3 for shift in range(12, -1, -2)]
    return [chunk >> shift & 1 for shift in range(13, -1, -1)]


def understand(octets: bytes) -> Feedback:
    """Draft 3.1, as naively as can be."""
    [block], whole = naive_blocks(octets)
    assert whole and (block.kind, block.count) == (205, 15)
    sender, media_ssrc = int.from_bytes(block.body[:4], "big"), int.from_bytes(block.body[4:8], "big")
    base, count = int.from_bytes(block.body[8:10], "big"), int.from_bytes(block.body[10:12], "big")
    clock_us = int.from_bytes(block.body[12:15], "big") * REFERENCE_US
    symbols: list[int] = []
    at = 16
    while len(symbols) < count:
        symbols += symbols_of(int.from_bytes(block.body[at : at + 2], "big"))
        at += 2
    assert not any(symbols[count:]), "what is beyond the count must read as not received"
    arrived: dict[int, int] = {}
    for number, symbol in enumerate(symbols[:count], base):
        assert symbol in (0, 1, 2)
        if symbol:
            clock_us += DELTA_US * int.from_bytes(block.body[at : at + symbol], "big", signed=symbol == 2)
            arrived[number & 0xFFFF] = clock_us
            at += symbol
    assert len(block.body) - at in range(4) and not any(block.body[at:]), "padding to 32 bits, and zero"
    lost = {number & 0xFFFF for number in range(base, base + count)} - arrived.keys()
    return Feedback(sender, media_ssrc, block.body[15], arrived, lost)


def room_for(count: int) -> int:
    return 20 + 2 * -(-count // 7) + 2 * count + 3


def feedback(
    base: int, arrivals_us: list[int], *, at: int = 0, sender: int = 1, ssrc: int = 2, report: int = 3
) -> bytes:
    room = room_for(len(arrivals_us))
    return written(
        "put_transport_report", room, at, room, sender, ssrc, report, base, arrivals_us, len(arrivals_us)
    )  # fmt: skip


@st.composite
def arrivals(draw: st.DrawFn) -> list[int]:
    """Stamps with losses, reordering and gaps up to what a delta can say; the first number came."""
    # Late enough for 150 steps back of 8 s each, as a stamp below 0 means lost.
    at_us = draw(st.integers(1_300_000_000, 2**46))
    steps = st.integers(0, 3_000) | st.integers(-20_000, 90_000) | st.integers(-8_191_000, 8_191_000)
    stamps = [at_us]
    for step in draw(st.lists(st.none() | steps, max_size=150)):
        at_us += step or 0
        stamps.append(-1 if step is None else at_us)
    return stamps


@given(arrivals(), st.integers(0, 2**40), offsets, words, words, st.integers(0, 1000))
@few
def test_stamps_come_back_within_a_quarter_millisecond_and_losses_as_losses(
    stamps: list[int], base: int, at: int, sender: int, ssrc: int, report: int
) -> None:
    told = understand(feedback(base, stamps, at=at, sender=sender, ssrc=ssrc, report=report))
    assert (told.sender, told.media_ssrc, told.report) == (sender, ssrc, report % 256)
    came = {base + i & 0xFFFF: stamp for i, stamp in enumerate(stamps) if stamp >= 0}
    assert told.arrived_us.keys() == came.keys()
    assert told.lost == {base + i & 0xFFFF for i, stamp in enumerate(stamps) if stamp < 0}
    for number, stamp in came.items():
        # Half a unit, not one: the rounding errors of many deltas must not add up.
        wrong_us = (told.arrived_us[number] - stamp + ERA_US // 2) % ERA_US - ERA_US // 2
        assert abs(wrong_us) <= DELTA_US // 2


@given(arrivals())
@few
def test_a_report_stays_in_the_room_that_it_asks_for_and_is_refused_with_less(stamps: list[int]) -> None:
    room = room_for(len(stamps))
    assert len(feedback(0, stamps)) <= room
    out = bytearray(room)
    assert RTCP.put_transport_report(out, 0, room - 1, 1, 2, 3, 0, stamps, len(stamps)) == -1
    assert out == bytes(room)


def test_numbers_go_on_over_the_wrap() -> None:
    told = understand(feedback(0x1FFFE, [64_000, -1, 64_250, 64_500]))
    assert told.arrived_us == {0xFFFE: 64_000, 0x0000: 64_250, 0x0001: 64_500}
    assert told.lost == {0xFFFF}


def test_the_reference_time_wraps_after_its_24_bits() -> None:
    assert understand(feedback(7, [ERA_US + 250])).arrived_us == {7: 250}


@pytest.mark.parametrize(
    ("step_us", "size"), [(0, 1), (63_750, 1), (63_874, 1), (63_875, 2), (64_000, 2), (-124, 1), (-250, 2)]
)
def test_a_delta_takes_one_octet_up_to_63_75_ms(step_us: int, size: int) -> None:
    report = feedback(0, [640_000, 640_000 + step_us])
    # Head and fixed part, one chunk, the first delta; then the second, and padding to 32 bits.
    assert [symbol for symbol in symbols_of(int.from_bytes(report[20:22], "big")) if symbol] == [1, size]


@pytest.mark.parametrize(("gap_us", "told_us"), [(20_000_000, 8_191_750), (-20_000_000, -8_192_000)])
def test_a_gap_too_long_for_a_delta_is_told_as_long_as_can_be_and_made_up_by_the_next(
    gap_us: int, told_us: int
) -> None:
    start = 64_000 * 1000
    told = understand(feedback(0, [start, start + gap_us, start + gap_us, start + gap_us])).arrived_us
    assert told[1] - told[0] == told_us
    assert told[3] == start + gap_us
