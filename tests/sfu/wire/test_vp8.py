"""sfu.wire.vp8, judged by aiortc's descriptor and by frames of libvpx."""

from __future__ import annotations

import types

import pytest
from aiortc.codecs.vpx import Vp8Encoder, VpxPayloadDescriptor, vp8_depayload
from aiortc.mediastreams import VIDEO_TIME_BASE
from av import VideoFrame
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.interpreted import load
from tests.sfu.wire.test_octets import Exact

VP8 = load().vp8
few = settings(max_examples=200, deadline=None)
# RFC 7741 4.3: tag with P = 0 and S = 1, start code, 14 bits of width and height with 2 bits of scale above each.
KEY_FRAME = bytes.fromhex("100200 9d012a 8002 6801")

bits = st.integers(0, 1)
octets7, octets8 = st.integers(0, 127), st.integers(0, 255)


@st.composite
def descriptors(draw: st.DrawFn) -> bytes:
    """Every form of RFC 7741 4.2, reserved bits set or not."""
    first = draw(octets8)
    if not first & 128:
        return bytes([first])
    flags = draw(octets8)
    made = bytes([first, flags])
    if flags & 128:
        long_id = st.binary(min_size=2, max_size=2).map(lambda id: bytes([id[0] | 128, id[1]]))
        made += draw(octets7.map(lambda id: bytes([id])) | long_id)
    if flags & 64:
        made += bytes([draw(octets8)])
    if flags & 48:
        made += bytes([draw(octets8)])
    return made


def parse(octets: bytes) -> types.SimpleNamespace | None:
    """The descriptor, None when it is cut short; an octet read outside raises IndexError."""
    descriptor = types.SimpleNamespace()
    result = VP8.parse(Exact(octets), len(octets), descriptor)
    assert result in (0, -1)
    return descriptor if result == 0 else None


def rewrite(octets: bytes, picture_id: int, tl0: int) -> tuple[int, bytes]:
    """How many bytes were read, and those that were written."""
    out = bytearray(b"\xa5" * 16)
    moved = VP8.rewrite(Exact(octets), len(octets), out, picture_id, tl0)
    read, written = moved >> 8, moved & 255
    assert set(out[written:]) == {0xA5}
    return read, bytes(out[:written])


def same_but_numbers(octets: bytes) -> tuple[object, ...]:
    told, _ = VpxPayloadDescriptor.parse(octets)
    return told.partition_start, told.partition_id, told.tid, told.keyidx


@given(st.binary(max_size=24) | st.binary(max_size=24).map(lambda tail: b"\x90" + tail))
@few
def test_no_octets_make_the_parser_raise_or_read_outside(octets: bytes) -> None:
    found = parse(octets)
    if found is None:
        return
    assert 1 <= found.size <= min(6, len(octets))
    assert found.picture_bits in (0, 7, 15) and 0 <= found.picture_id < 1 << found.picture_bits
    assert 0 <= found.tl0 <= 255 * found.has_tl0
    assert 0 <= found.temporal <= 3 * found.has_temporal and 0 <= found.sync <= found.has_temporal
    assert 0 <= found.width < 1 << 14 and 0 <= found.height < 1 << 14
    assert {found.frame_start, found.key_frame, found.has_tl0, found.has_temporal} <= {0, 1}
    assert found.frame_start >= found.key_frame


@given(descriptors(), st.binary(max_size=12))
@few
def test_every_form_is_read_as_aiortc_reads_it(head: bytes, frame: bytes) -> None:
    expected, rest = VpxPayloadDescriptor.parse(head + frame)
    found = parse(head + frame)
    assert found is not None and (head + frame)[found.size :] == rest == frame
    assert (found.picture_id if found.picture_bits else None) == expected.picture_id
    assert (found.tl0 if found.has_tl0 else None) == expected.tl0picidx
    assert ((found.temporal, found.sync) if found.has_temporal else None) == expected.tid
    # aiortc takes the reserved bit above the three of the partition (RFC 7741 4.2) for a part of it.
    assert found.frame_start == int(expected.partition_start == 1 and expected.partition_id % 8 == 0)


@given(
    start=bits, partition=st.integers(0, 7), picture_id=st.none() | st.integers(0, 2**15 - 1),
    tl0=st.none() | octets8, tid=st.none() | st.tuples(st.integers(0, 3), bits),
    key_index=st.none() | st.integers(0, 31),
)  # fmt: skip
@few
def test_what_aiortc_writes_is_read_back(
    start: int, partition: int, picture_id: int | None, tl0: int | None, tid: tuple[int, int] | None,
    key_index: int | None,
) -> None:  # fmt: skip
    octets = bytes(VpxPayloadDescriptor(start, partition, picture_id, tl0, tid, key_index))
    found = parse(octets)
    assert found is not None and found.size == len(octets)
    assert (found.picture_bits, found.picture_id) == ((0, 0) if picture_id is None else (15, picture_id))
    assert (found.has_tl0, found.tl0) == ((0, 0) if tl0 is None else (1, tl0))
    assert (found.has_temporal, found.temporal, found.sync) == ((0, 0, 0) if tid is None else (1, *tid))


@given(descriptors())
@few
def test_a_descriptor_cut_short_anywhere_is_refused(head: bytes) -> None:
    assert parse(head) is not None
    assert all(parse(head[:size]) is None for size in range(len(head)))


@given(descriptors(), st.integers(0, 2**15 - 1), octets8, st.binary(max_size=8))
@few
def test_a_rewrite_changes_picture_id_and_tl0_and_nothing_else(
    head: bytes, picture_id: int, tl0: int, frame: bytes
) -> None:
    before = parse(head + frame)
    read, written = rewrite(head + frame, picture_id, tl0)
    after = parse(written)
    assert before is not None and after is not None
    assert read == before.size == len(head)
    assert after.size == len(written) <= len(head) + 1
    assert (after.picture_bits, after.picture_id) == ((15, picture_id) if before.picture_bits else (0, 0))
    assert (after.has_tl0, after.tl0) == ((1, tl0) if before.has_tl0 else (0, 0))
    assert same_but_numbers(written) == same_but_numbers(head)
    assert written[: 2 if head[0] & 128 else 1] == head[: 2 if head[0] & 128 else 1]
    assert head[0] & 128 == 0 or head[1] & 48 == 0 or written[-1] == head[-1]


@given(descriptors())
@few
def test_a_rewrite_with_the_same_numbers_changes_only_the_width(head: bytes) -> None:
    found = parse(head)
    assert found is not None
    _, written = rewrite(head, found.picture_id, found.tl0)
    assert len(written) == len(head) + (found.picture_bits == 7)
    assert found.picture_bits == 7 or written == head


def test_a_picture_id_of_seven_bits_leaves_with_fifteen() -> None:
    assert rewrite(bytes.fromhex("90 80 7f"), 0x1234, 9) == (3, bytes.fromhex("90 80 9234"))


@pytest.mark.parametrize("head", ["10", "9080 05", "90f0 8123 44 e5"])
def test_a_key_frame_tells_its_size_behind_every_descriptor(head: str) -> None:
    found = parse(bytes.fromhex(head) + KEY_FRAME)
    assert found is not None and (found.key_frame, found.width, found.height) == (1, 640, 360)


def test_the_scale_bits_are_no_part_of_the_size() -> None:
    found = parse(b"\x10" + KEY_FRAME[:7] + b"\x42" + KEY_FRAME[8:9] + b"\xc1")
    assert found is not None and (found.width, found.height) == (640, 360)


@pytest.mark.parametrize("first", [0x00, 0x11, 0x01], ids=["no start", "partition 1", "partition 1, no start"])
def test_only_the_first_packet_of_a_frame_says_that_it_is_a_key_frame(first: int) -> None:
    found = parse(bytes([first]) + KEY_FRAME)
    assert found is not None and (found.frame_start, found.key_frame, found.width) == (0, 0, 0)


def test_a_frame_with_the_p_bit_is_no_key_frame() -> None:
    found = parse(b"\x10" + bytes([KEY_FRAME[0] | 1]) + KEY_FRAME[1:])
    assert found is not None and (found.frame_start, found.key_frame, found.width) == (1, 0, 0)


@pytest.mark.parametrize("size", range(len(KEY_FRAME)))
def test_a_key_frame_cut_short_has_no_size(size: int) -> None:
    found = parse(b"\x10" + KEY_FRAME[:size])
    assert found is not None and (found.key_frame, found.width, found.height) == (int(size > 0), 0, 0)


@pytest.mark.parametrize("at", [3, 4, 5])
def test_a_key_frame_without_its_start_code_has_no_size(at: int) -> None:
    broken = bytearray(KEY_FRAME)
    broken[at] ^= 1
    found = parse(b"\x10" + bytes(broken))
    assert found is not None and (found.width, found.height) == (0, 0)


def test_frames_of_libvpx_are_told_apart() -> None:
    encoder = Vp8Encoder()
    for turn, wanted in enumerate([1, 0, 1]):
        frame = VideoFrame(width=320, height=180)
        frame.pts, frame.time_base = turn * 3000, VIDEO_TIME_BASE
        for plane in frame.planes:
            plane.update(bytes([40 * turn + 16]) * plane.buffer_size)
        payloads, _ = encoder.encode(frame, force_keyframe=wanted == 1)
        found = [parse(payload) for payload in payloads]
        assert [one.frame_start for one in found if one] == [1] + [0] * (len(payloads) - 1)
        assert found[0] is not None
        assert (found[0].key_frame, found[0].width, found[0].height) == (wanted, 320 * wanted, 180 * wanted)
        assert payloads[0][found[0].size :] == vp8_depayload(payloads[0])
