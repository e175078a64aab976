"""RTP and RTCP as a browser writes and reads them, for the light client. Pure.

RFC 3550 (RTP, SR, RR), RFC 4585 (NACK, PLI), RFC 8285 (one-byte extensions), RFC 4588 (RTX) and
draft-holmer-rmcat-transport-wide-cc-extensions-01 (transport feedback).
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

SR, RR, SDES, BYE, RTPFB, PSFB = 200, 201, 202, 203, 205, 206
NACK, TWCC, PLI, FIR = 1, 15, 1, 4
_HEAD = struct.Struct("!BBHII")
_DELTA_US = 250
_REFERENCE_US = 64_000
_SMALL, _LARGE = 1, 2


@dataclass(slots=True)
class Rtp:
    """One packet; `extensions` by id."""

    payload_type: int
    sequence: int
    timestamp: int
    ssrc: int
    marker: bool
    payload: bytes
    extensions: dict[int, bytes] = field(default_factory=dict)


def write_rtp(packet: Rtp) -> bytes:
    block = b"".join(bytes([number << 4 | len(value) - 1]) + value for number, value in packet.extensions.items())
    block += bytes(-len(block) % 4)
    head = _HEAD.pack(
        0x90 if block else 0x80,
        packet.payload_type | (128 if packet.marker else 0),
        packet.sequence & 0xFFFF,
        packet.timestamp & 0xFFFFFFFF,
        packet.ssrc,
    )
    return head + (struct.pack("!HH", 0xBEDE, len(block) // 4) + block if block else b"") + packet.payload


def read_rtp(octets: bytes) -> Rtp:
    """Raises ValueError for what is no RTP packet."""
    if len(octets) < 12 or octets[0] >> 6 != 2:
        raise ValueError("no RTP packet")
    first, second, sequence, timestamp, ssrc = _HEAD.unpack_from(octets)
    at = 12 + 4 * (first & 15)
    extensions: dict[int, bytes] = {}
    if first & 0x10:
        profile, words = struct.unpack_from("!HH", octets, at)
        if profile == 0xBEDE:
            extensions = dict(_elements(octets[at + 4 : at + 4 + 4 * words]))
        at += 4 + 4 * words
    end = len(octets) - (octets[-1] if first & 0x20 else 0)
    return Rtp(second & 127, sequence, timestamp, ssrc, second > 127, octets[at:end], extensions)


def _elements(block: bytes) -> Iterator[tuple[int, bytes]]:
    at = 0
    while at < len(block):
        number, length = block[at] >> 4, (block[at] & 15) + 1
        if number == 0:
            at += 1
            continue
        yield number, block[at + 1 : at + 1 + length]
        at += 1 + length


def is_rtcp(octets: bytes) -> bool:
    """RFC 5761: by the second byte."""
    return len(octets) > 1 and 192 <= octets[1] <= 223


def unwrap(newest: int, number: int, bits: int = 16) -> int:
    """The number, of which only `bits` were sent, that is nearest to `newest`; newest -1 = the first one."""
    size = 1 << bits
    if newest < 0:
        return number
    step = (number - newest) % size
    return newest + (step - size if step >= size // 2 else step)


# -- RTCP out --
def _rtcp(count: int, kind: int, body: bytes) -> bytes:
    return struct.pack("!BBH", 0x80 | count, kind, len(body) // 4) + body


def sender_report(ssrc: int, ntp_s: float, timestamp: int, packets: int, octets: int) -> bytes:
    """`ntp_s` is seconds since 1900."""
    whole = int(ntp_s)
    return _rtcp(
        0, SR, struct.pack("!IIIIII", ssrc, whole & 0xFFFFFFFF, int((ntp_s - whole) * 2**32), timestamp & 0xFFFFFFFF,
                           packets & 0xFFFFFFFF, octets & 0xFFFFFFFF)
    )  # fmt: skip


def receiver_report(ssrc: int, blocks: Sequence[tuple[int, float, int, int, int, int]]) -> bytes:
    """Blocks of (SSRC, share lost since the last, lost in all, extended highest sequence, LSR, DLSR); at most 31."""
    body = struct.pack("!I", ssrc)
    for source, share, lost, highest, last_report, delay in blocks[:31]:
        word = min(255, max(0, round(share * 256))) << 24 | min(max(lost, 0), 0x7FFFFF)
        body += struct.pack("!IIIIII", source, word, highest & 0xFFFFFFFF, 0, last_report, delay)
    return _rtcp(len(blocks[:31]), RR, body)


def nack(ssrc: int, source: int, missing: Iterable[int]) -> bytes:
    """Generic NACK for 16-bit sequence numbers."""
    body, items = struct.pack("!II", ssrc, source), sorted({number & 0xFFFF for number in missing})
    while items:
        first, mask = items[0], 0
        rest = []
        for number in items[1:]:
            step = (number - first) & 0xFFFF
            if 1 <= step <= 16:
                mask |= 1 << step - 1
            else:
                rest.append(number)
        body += struct.pack("!HH", first, mask)
        items = rest
    return _rtcp(NACK, RTPFB, body)


def picture_loss(ssrc: int, source: int) -> bytes:
    return _rtcp(PLI, PSFB, struct.pack("!II", ssrc, source))


def transport_feedback(ssrc: int, source: int, count: int, arrived: Mapping[int, int]) -> bytes:
    """Arrival times in microseconds by extended transport-wide number; from the smallest to the largest number."""
    first, last = min(arrived), max(arrived)
    reference = arrived[min(arrived)] // _REFERENCE_US
    before, symbols, deltas = reference * _REFERENCE_US, [], b""
    for number in range(first, last + 1):
        at = arrived.get(number)
        if at is None:
            symbols.append(0)
            continue
        delta = max(-32768, min(32767, round((at - before) / _DELTA_US)))
        before += delta * _DELTA_US
        small = 0 <= delta <= 255
        symbols.append(_SMALL if small else _LARGE)
        deltas += struct.pack("!B" if small else "!h", delta)
    body = struct.pack("!IIHH", ssrc, source, first & 0xFFFF, len(symbols))
    body += struct.pack("!I", (reference & 0xFFFFFF) << 8 | count & 255)
    for at in range(0, len(symbols), 7):
        group = symbols[at : at + 7] + [0] * (7 - len(symbols[at : at + 7]))
        body += struct.pack("!H", 0xC000 | sum(symbol << 12 - 2 * place for place, symbol in enumerate(group)))
    body += deltas
    return _rtcp(TWCC, RTPFB, body + bytes(-len(body) % 4))


# -- RTCP in --
@dataclass(frozen=True, slots=True)
class Feedback:
    """What others say of what I send: `kind` is "pli", "nack" or "twcc"; `missing` are 16-bit sequence numbers."""

    kind: str
    ssrc: int
    missing: tuple[int, ...] = ()


def read_sender_reports(compound: bytes) -> Iterator[tuple[int, int]]:
    """(SSRC, middle 32 bits of the NTP time) of each SR. Stops at what is cut off."""
    at = 0
    while at + 4 <= len(compound):
        _, kind, words = struct.unpack_from("!BBH", compound, at)
        if kind == SR and words >= 6 and at + 28 <= len(compound):
            ssrc, seconds, fraction = struct.unpack_from("!III", compound, at + 4)
            yield ssrc, (seconds & 0xFFFF) << 16 | fraction >> 16
        at += 4 + 4 * words


def read_feedback(compound: bytes) -> Iterator[Feedback]:
    """The feedback messages of a compound packet; reports are left out. Stops at what is cut off."""
    at = 0
    while at + 4 <= len(compound):
        first, kind, words = struct.unpack_from("!BBH", compound, at)
        body, at = compound[at + 4 : at + 4 + 4 * words], at + 4 + 4 * words
        if kind == PSFB and first & 31 == PLI and len(body) >= 8:
            yield Feedback("pli", struct.unpack_from("!I", body, 4)[0])
        elif kind == PSFB and first & 31 == FIR and len(body) >= 16:
            yield Feedback("pli", struct.unpack_from("!I", body, 8)[0])
        elif kind == RTPFB and first & 31 == NACK and len(body) >= 8:
            yield Feedback("nack", struct.unpack_from("!I", body, 4)[0], tuple(_missing(body[8:])))
        elif kind == RTPFB and first & 31 == TWCC and len(body) >= 8:
            yield Feedback("twcc", struct.unpack_from("!I", body, 4)[0])


def _missing(entries: bytes) -> Iterator[int]:
    for first, mask in struct.iter_unpack("!HH", entries[: len(entries) // 4 * 4]):
        yield first
        yield from ((first + bit + 1) & 0xFFFF for bit in range(16) if mask >> bit & 1)
