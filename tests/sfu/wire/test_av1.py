"""sfu.wire.av1, judged by temporal units of SVT-AV1 packed as the RTP payload format says."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.encoders import encoded
from tests.interpreted import load
from tests.sfu.wire.pictures import Parser
from tests.sfu.wire.test_picture import packed

AV1 = Parser(load().av1)
parse, told = AV1.parse, AV1.told
few = settings(max_examples=200, deadline=None)
Z, Y, N = 128, 64, 8
SEQUENCE_HEADER, TEMPORAL_DELIMITER, FRAME = 1, 2, 6


def leb128(number: int) -> bytes:
    made = bytearray()
    while True:
        number, low = number >> 7, number & 127
        made.append(low | (128 if number else 0))
        if not number:
            return bytes(made)


def obu(kind: int, body: bytes, *, sized: bool = False, extension: bool = False) -> bytes:
    head = bytes([kind << 3 | 4 * extension | 2 * sized]) + (b"\x28" if extension else b"")
    return head + (leb128(len(body)) if sized else b"") + body


def sequence_header(width: int, height: int, *, bits: str = "0" + "0" + "00000", level: int = 8) -> bytes:
    """AV1 5.5.1: no timing, one operating point unless `bits` says otherwise."""
    body = "000" + "0" + "0" + bits
    if bits == "0" + "0" + "00000":
        body += "0" * 12 + f"{level:05b}" + ("0" if level > 7 else "")
    body += f"{15:04b}{15:04b}{width - 1:016b}{height - 1:016b}"
    return packed(body + "1")


@given(st.binary(max_size=40) | st.binary(max_size=40).map(lambda tail: bytes([N]) + tail))
@few
def test_no_octets_make_the_parser_raise_or_read_outside(octets: bytes) -> None:
    AV1.holds(octets)


@pytest.mark.parametrize("sized", [False, True])
@pytest.mark.parametrize("extension", [False, True])
@pytest.mark.parametrize("level", [7, 8])
@given(width=st.integers(1, 65535), height=st.integers(1, 65535))
@settings(max_examples=20, deadline=None)
def test_the_size_is_read_however_the_header_is_packed(
    sized: bool, extension: bool, level: int, width: int, height: int
) -> None:
    unit = obu(SEQUENCE_HEADER, sequence_header(width, height, level=level), sized=sized, extension=extension)
    frame = obu(FRAME, b"\x10\x20")
    assert told(bytes([N | 1 << 4]) + unit) == (1, width, height)
    assert told(bytes([N | 2 << 4]) + leb128(len(unit)) + unit + frame) == (1, width, height)
    assert told(bytes([N]) + leb128(len(unit)) + unit + leb128(len(frame)) + frame) == (1, width, height)


def test_several_operating_points_with_delays_are_skipped() -> None:
    points = "0" + "1" + "00001" + ("0" * 12 + f"{9:05b}" + "1" + "1" + "0110") + ("0" * 12 + f"{4:05b}" + "0")
    unit = obu(SEQUENCE_HEADER, sequence_header(1280, 720, bits=points))
    assert told(bytes([N | 1 << 4]) + unit) == (1, 1280, 720)


def test_a_header_with_a_clock_is_a_key_frame_of_unknown_size() -> None:
    unit = obu(SEQUENCE_HEADER, packed("000" + "0" + "0" + "1" + "1" * 200))
    assert told(bytes([N | 1 << 4]) + unit) == (1, 0, 0)


@pytest.mark.parametrize("first", [0, Z, Y, Z | N, Z | Y | N])
def test_only_a_new_sequence_at_the_begin_of_a_unit_is_a_key_frame(first: int) -> None:
    assert told(bytes([first | 1 << 4]) + obu(SEQUENCE_HEADER, sequence_header(640, 360))) == (0, 0, 0)


@pytest.mark.parametrize("octets", [b"", bytes([N]), bytes([N, 9, 1]), bytes([N, 0, 1]), bytes([N]) + b"\xff" * 9])
def test_a_payload_cut_short_is_refused(octets: bytes) -> None:
    assert parse(octets) is None


def units(temporal_unit: bytes) -> Iterator[tuple[int, bytes]]:
    """(type, OBU without its size) of a temporal unit in the low-overhead format (AV1 5.2)."""
    at = 0
    while at < len(temporal_unit):
        head, kind = temporal_unit[at], temporal_unit[at] >> 3 & 15
        assert head & 4 == 0 and head & 2 == 2
        size = shift = 0
        while True:
            at += 1
            size |= (temporal_unit[at] & 127) << shift
            shift += 7
            if not temporal_unit[at] & 128:
                break
        yield kind, bytes([head & ~2]) + temporal_unit[at + 1 : at + 1 + size]
        at += 1 + size


@pytest.mark.parametrize("size", [(320, 180), (640, 360)])
def test_frames_of_svt_av1_are_told_apart(size: tuple[int, int]) -> None:
    frames = encoded("libsvtav1", *size, frames=5, key_every=2)
    assert True in (keys := [key for _, key in frames]) and False in keys
    for temporal_unit, key in frames:
        kept = [unit for kind, unit in units(temporal_unit) if kind != TEMPORAL_DELIMITER]
        body = b"".join(leb128(len(unit)) + unit for unit in kept)
        assert told(bytes([N * key]) + body) == ((1, *size) if key else (0, 0, 0))
