"""Payloads that prove who sent them: VP8 frames and Opus packets that no decoder likes, with a stamp and a checksum.

A VP8 packet has a true payload descriptor (RFC 7741: 15-bit picture id, TL0PICIDX, temporal id) and, at the start of
a key frame, a true frame header with width and height (RFC 6386 section 9.1); behind it stands the stamp.
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass

MAGIC = b"STNT"
_STAMP = struct.Struct("!4sIBBIHHQ")  # magic, participant, source, layer, frame, packet, packets, sent at (us)
_CHECK = struct.Struct("!I")
STAMP_BYTES = _STAMP.size + _CHECK.size
SOURCES = ("camera", "microphone", "screen", "screen_audio")
OPUS_TOC = b"\xf8"  # CELT, 20 ms, mono (RFC 6716 section 3.1)
SPEAKING = 1  # in place of the layer of an Opus packet
_DESCRIPTOR_BYTES = 6


@dataclass(frozen=True, slots=True)
class Stamp:
    """`packet` of `packets` of one frame; `layer` is the simulcast layer, of sound 1 = speaking and 0 = silent."""

    participant: int
    source: str
    layer: int
    frame: int
    packet: int = 0
    packets: int = 1
    sent_us: int = 0


@dataclass(frozen=True, slots=True)
class Vp8:
    """What a VP8 payload says of itself."""

    picture_id: int
    tl0: int
    temporal: int
    frame_start: bool
    key_frame: bool
    height: int


class NotOurs(ValueError):
    """The payload has no stamp, or the checksum does not hold: it is not what was sent."""


def write(stamp: Stamp, size: int) -> bytes:
    """The stamp with its checksum, filled up to `size` bytes with a pattern that the checksum covers too."""
    head = _STAMP.pack(
        MAGIC, stamp.participant, SOURCES.index(stamp.source), stamp.layer, stamp.frame, stamp.packet, stamp.packets,
        stamp.sent_us,
    )  # fmt: skip
    body = head + bytes([stamp.frame & 255]) * max(0, size - STAMP_BYTES)
    return _CHECK.pack(zlib.crc32(body)) + body


def read(payload: bytes) -> Stamp:
    """Raises NotOurs."""
    body = payload[_CHECK.size :]
    if len(payload) < STAMP_BYTES or body[:4] != MAGIC or _CHECK.unpack_from(payload)[0] != zlib.crc32(body):
        raise NotOurs(f"{len(payload)} bytes without a stamp that holds")
    _, participant, source, layer, frame, packet, packets, sent_us = _STAMP.unpack_from(body)
    return Stamp(participant, SOURCES[source], layer, frame, packet, packets, sent_us)


def write_vp8(stamp: Stamp, size: int, *, picture_id: int, tl0: int, key: tuple[int, int] | None) -> bytes:
    """A VP8 payload; `key` is (width, height) for a packet of a key frame."""
    start = stamp.packet == 0
    descriptor = struct.pack("!BBHBB", 0x90 if start else 0x80, 0xE0, 0x8000 | picture_id, tl0 & 255, 0x20)
    head = b""
    if start:
        head = b"\x10\x02\x00\x9d\x01\x2a" + struct.pack("<HH", *key) if key else b"\x11\x02\x00"
    return descriptor + head + write(stamp, size - len(descriptor) - len(head))


def read_vp8(payload: bytes) -> tuple[Vp8, bytes]:
    """The description and the stamp's part. Raises NotOurs."""
    if len(payload) < _DESCRIPTOR_BYTES + STAMP_BYTES or payload[0] & 0x80 == 0 or payload[1] != 0xE0:
        raise NotOurs("the VP8 descriptor is another one than was sent")
    first, _, picture, tl0, last = struct.unpack_from("!BBHBB", payload)
    start, rest = bool(first & 0x10), payload[_DESCRIPTOR_BYTES:]
    key_frame, height = start and rest[0] & 1 == 0, 0
    if key_frame:
        height = struct.unpack_from("<H", rest, 8)[0] & 0x3FFF
    skip = (10 if key_frame else 3) if start else 0
    return Vp8(picture & 0x7FFF, tl0, last >> 6, start, key_frame, height), rest[skip:]


def write_opus(stamp: Stamp, size: int) -> bytes:
    return OPUS_TOC + write(stamp, size - 1)


def read_opus(payload: bytes) -> Stamp:
    """Raises NotOurs."""
    if payload[:1] != OPUS_TOC:
        raise NotOurs("the Opus packet is another one than was sent")
    return read(payload[1:])
