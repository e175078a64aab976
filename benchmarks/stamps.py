"""Payloads that prove who sent them: VP8 frames and Opus packets with a stamp and a checksum at their end.

A VP8 packet has a true payload descriptor (RFC 7741: 15-bit picture id, TL0PICIDX, temporal id) and, at the start of
a key frame, a true frame header with width and height (RFC 6386 section 9.1). What stands between that and the stamp
is a filling that no decoder likes, or what a true encoder made (reels.py); then decoders see and hear it.
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


def write(stamp: Stamp, size: int, media: bytes = b"") -> bytes:
    """`media`, a filling up to `size` bytes, the stamp, and a checksum over all of it.

    It stands last because decoders stop before: VP8 reads no further than its last partition, Opus not into padding.
    """
    tail = _STAMP.pack(
        MAGIC, stamp.participant, SOURCES.index(stamp.source), stamp.layer, stamp.frame, stamp.packet, stamp.packets,
        stamp.sent_us,
    )  # fmt: skip
    body = media + bytes([stamp.frame & 255]) * max(0, size - STAMP_BYTES - len(media)) + tail
    return body + _CHECK.pack(zlib.crc32(body))


def read(payload: bytes) -> Stamp:
    """Raises NotOurs."""
    at = len(payload) - STAMP_BYTES
    if at < 0 or not payload.startswith(MAGIC, at):
        raise NotOurs(f"{len(payload)} bytes without a stamp")
    if _CHECK.unpack_from(payload, at + _STAMP.size)[0] != zlib.crc32(payload[: -_CHECK.size]):
        raise NotOurs(f"{len(payload)} bytes whose checksum does not hold")
    _, participant, source, layer, frame, packet, packets, sent_us = _STAMP.unpack_from(payload, at)
    if source >= len(SOURCES):
        raise NotOurs("a stamp of an unknown source")
    return Stamp(participant, SOURCES[source], layer, frame, packet, packets, sent_us)


def write_vp8(
    stamp: Stamp, size: int, *, picture_id: int, tl0: int, key: tuple[int, int] | None, media: bytes = b""
) -> bytes:
    """A VP8 payload. `media` is a frame of a true encoder, in one packet; without it stands what looks like one:
    `key` is then (width, height) for a packet of a key frame."""
    start = stamp.packet == 0
    descriptor = struct.pack("!BBHBB", 0x90 if start else 0x80, 0xE0, 0x8000 | picture_id, tl0 & 255, 0x20)
    if start and not media:
        media = b"\x10\x02\x00\x9d\x01\x2a" + struct.pack("<HH", *key) if key else b"\x11\x02\x00"
    return descriptor + write(stamp, size - len(descriptor), media)


def read_vp8(payload: bytes) -> tuple[Vp8, Stamp]:
    """What it says of itself, and the stamp. Raises NotOurs."""
    if len(payload) < _DESCRIPTOR_BYTES + STAMP_BYTES or payload[0] & 0x80 == 0 or payload[1] != 0xE0:
        raise NotOurs("the VP8 descriptor is another one than was sent")
    first, _, picture, tl0, last = struct.unpack_from("!BBHBB", payload)
    start, rest = bool(first & 0x10), payload[_DESCRIPTOR_BYTES:]
    stamp = read(rest)
    key_frame = start and rest[0] & 1 == 0
    height = struct.unpack_from("<H", rest, 8)[0] & 0x3FFF if key_frame else 0
    return Vp8(picture & 0x7FFF, tl0, last >> 6, start, key_frame, height), stamp


def write_opus(stamp: Stamp, size: int, media: bytes = b"") -> bytes:
    """An Opus payload. `media` is a packet of one frame of a true encoder; the stamp becomes padding behind it."""
    if not media:
        return write(stamp, size, OPUS_TOC)
    # Code 3: one frame, constant size, padding (RFC 6716 section 3.2.5).
    return write(stamp, 0, bytes([media[0] | 3, 0x41, STAMP_BYTES]) + media[1:])


def read_opus(payload: bytes) -> Stamp:
    """Raises NotOurs."""
    return read(payload)
