"""sfu.wire.h264, judged by frames of x264 in aiortc's packets and by parameter sets written from the standard."""

from __future__ import annotations

import pytest
from aiortc.codecs.h264 import H264Encoder
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.encoders import encoded
from tests.interpreted import load
from tests.sfu.wire.pictures import Parser
from tests.sfu.wire.test_picture import escape, packed, ue

H264 = Parser(load().h264)
parse, told = H264.parse, H264.told
few = settings(max_examples=200, deadline=None)
SPS, PPS, IDR, SLICE = 0x67, 0x68, 0x65, 0x41


def sps(
    width_mbs: int = 40, height_mbs: int = 23, *, crop: tuple[int, int, int, int] | None = (0, 0, 0, 4),
    order: int = 2, frames_only: bool = True, profile: int = 66, chroma: int = 1, matrices: bool = False,
) -> bytes:  # fmt: skip
    """A sequence parameter set as H.264 7.3.2.1.1 writes it; 640 x 360 by default."""
    bits = f"{profile:08b}" + f"{0xE0:08b}" + f"{31:08b}" + ue(0)
    if profile == 100:
        bits += ue(chroma) + ("0" if chroma == 3 else "") + ue(0) + ue(0) + "0" + str(int(matrices))
    bits += ue(0) + ue(order)
    if order == 0:
        bits += ue(4)
    if order == 1:
        bits += "0" + ue(3) + ue(4) + ue(2) + ue(5) + ue(6)
    bits += ue(1) + "0" + ue(width_mbs - 1) + ue(height_mbs - 1) + ("1" if frames_only else "00") + "1"
    bits += "1" + "".join(map(ue, crop)) if crop else "0"
    return bytes([SPS]) + escape(packed(bits + "0" + "1"))


def stap(*units: bytes) -> bytes:
    return b"\x78" + b"".join(len(unit).to_bytes(2, "big") + unit for unit in units)


@given(st.binary(max_size=40) | st.binary(max_size=40).map(lambda tail: b"\x67" + tail))
@few
def test_no_octets_make_the_parser_raise_or_read_outside(octets: bytes) -> None:
    H264.holds(octets)


@given(st.lists(st.binary(min_size=1, max_size=20), max_size=4), st.binary(max_size=4))
@few
def test_an_aggregate_is_read_to_its_end_or_refused(units: list[bytes], rest: bytes) -> None:
    found = parse(stap(*units) + rest)
    if not rest:
        assert found is not None
        assert found.key_frame == any(unit[0] & 31 == 7 for unit in units)


@pytest.mark.parametrize("order", [0, 1, 2])
@pytest.mark.parametrize(
    ("made", "size"),
    [
        ({}, (640, 360)),
        ({"crop": None}, (640, 368)),
        ({"width_mbs": 3, "height_mbs": 2, "crop": (1, 2, 3, 1)}, (42, 24)),
        ({"height_mbs": 12, "crop": (0, 0, 0, 6), "frames_only": False}, (640, 360)),
        ({"profile": 100}, (640, 360)),
        ({"profile": 100, "chroma": 3}, (0, 0)),
        ({"profile": 100, "matrices": True}, (0, 0)),
        ({"width_mbs": 5000}, (0, 0)),
    ],
)
def test_the_size_is_read_of_a_parameter_set(made: dict[str, object], size: tuple[int, int], order: int) -> None:
    unit = sps(**made, order=order)  # type: ignore[arg-type]
    assert told(unit) == (1, *size)
    assert told(stap(b"\x09\x10", unit, b"\x68\xce")) == (1, *size)


@given(st.integers(1, 20))
@few
def test_a_parameter_set_cut_short_has_no_size_and_still_begins_a_key_frame(size: int) -> None:
    unit = sps(crop=(0, 0, 0, 4))
    assert told(unit[: min(size, len(unit) - 3)]) == (1, 0, 0)


@pytest.mark.parametrize(
    "octets",
    [
        bytes([SLICE, 1, 2]),
        bytes([IDR, 1, 2]),  # without the parameter sets in front nobody could start here
        bytes([PPS, 1]),
        bytes([0x7C, 0x85, 1]),  # FU-A, start of an IDR slice
        bytes([0x7C, 0x07, 1]),  # FU-A, the middle of a parameter set
        bytes([0x09]),
    ],
)
def test_nothing_else_begins_a_key_frame(octets: bytes) -> None:
    assert told(octets) == (0, 0, 0)


def test_a_parameter_set_in_pieces_begins_a_key_frame_of_unknown_size() -> None:
    assert told(bytes([0x7C, 0x87]) + sps()[1:]) == (1, 0, 0)


@pytest.mark.parametrize("octets", [b"", b"\x7c", b"\x78\x00", b"\x78\x00\x00", b"\x78\x00\x05\x67\x00"])
def test_a_payload_cut_short_is_refused(octets: bytes) -> None:
    assert parse(octets) is None


@pytest.mark.parametrize("size", [(640, 360), (320, 180), (1280, 720)])
def test_frames_of_x264_are_told_apart_in_the_packets_of_aiortc(size: tuple[int, int]) -> None:
    frames = encoded("libx264", *size)
    assert [key for _, key in frames] == [True, False, True, False]
    for frame, key in frames:
        payloads = H264Encoder._packetize(H264Encoder._split_bitstream(frame))
        read = [told(payload) for payload in payloads]
        assert read[0] == ((1, *size) if key else (0, 0, 0))
        assert not any(found[0] for found in read[1:])
