"""sfu.wire.vp9, judged by frames of libvpx behind descriptors written from RFC 9628."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.encoders import encoded
from tests.interpreted import load
from tests.sfu.wire.pictures import Parser
from tests.sfu.wire.test_picture import packed

VP9 = Parser(load().vp9)
parse, told = VP9.parse, VP9.told
few = settings(max_examples=200, deadline=None)


@dataclass(frozen=True)
class Descriptor:
    """A payload descriptor (RFC 9628 4.2)."""

    predicted: bool = False
    begins: bool = True
    picture_id: int | None = 77
    wide: bool = True
    spatial: int | None = None
    flexible: bool = False
    references: tuple[int, ...] = ()
    sizes: tuple[tuple[int, int], ...] | None = None
    group: tuple[int, ...] | None = None  # references of each picture

    def __bytes__(self) -> bytes:
        flags = 64 * self.predicted + 8 * self.begins + 4 + 16 * self.flexible
        body = b""
        if self.picture_id is not None:
            flags |= 128
            body += (self.picture_id | 0x8000).to_bytes(2, "big") if self.wide else bytes([self.picture_id & 127])
        if self.spatial is not None:
            flags |= 32
            body += bytes([self.spatial << 1]) + (b"" if self.flexible else b"\x09")
        if self.flexible and self.predicted:
            body += bytes(2 * one + (at + 1 < len(self.references)) for at, one in enumerate(self.references))
        if self.sizes is not None or self.group is not None:
            flags |= 2
            count = len(self.sizes) if self.sizes else 1
            body += bytes([(count - 1) << 5 | 16 * bool(self.sizes) | 8 * (self.group is not None)])
            for width, height in self.sizes or ():
                body += width.to_bytes(2, "big") + height.to_bytes(2, "big")
            if self.group is not None:
                body += bytes([len(self.group)])
                body += b"".join(bytes([one << 2]) + bytes(one) for one in self.group)
        return bytes([flags]) + body


size = st.integers(1, 65535)
descriptors = st.builds(
    Descriptor,
    predicted=st.just(True),
    begins=st.booleans(),
    picture_id=st.none() | st.integers(0, 2**15 - 1),
    wide=st.booleans(),
    spatial=st.none() | st.integers(0, 7),
    flexible=st.booleans(),
    references=st.lists(st.integers(1, 127), min_size=1, max_size=3).map(tuple),
    sizes=st.none() | st.lists(st.tuples(size, size), min_size=1, max_size=8).map(tuple),
    group=st.none() | st.lists(st.integers(0, 3), max_size=5).map(tuple),
)  # fmt: skip


def key_frame(width: int = 640, height: int = 360, profile: int = 0) -> bytes:
    """The uncompressed header of a key frame (VP9 6.2), as far as its size."""
    bits = "10" + str(profile & 1) + str(profile >> 1) + ("0" if profile == 3 else "") + "0" + "0" + "1" + "0"
    bits += f"{0x498342:024b}" + ("0" if profile >= 2 else "") + "001" + "0" + ("000" if profile & 1 else "")
    bits += f"{width - 1:016b}{height - 1:016b}"
    return packed(bits)


@given(st.binary(max_size=40))
@few
def test_no_octets_make_the_parser_raise_or_read_outside(octets: bytes) -> None:
    VP9.holds(octets)


@given(descriptors)
@few
def test_every_descriptor_is_read_to_its_end_and_no_shorter(descriptor: Descriptor) -> None:
    head = bytes(descriptor)
    assert told(head) == (0, 0, 0)
    assert all(parse(head[:size]) is None for size in range(len(head)))


def test_four_references_are_one_too_many() -> None:
    assert parse(bytes([0x58, 3, 3, 3, 2])) is None


@given(descriptors, st.integers(0, 3))
@few
def test_the_first_packet_of_the_lowest_layer_of_a_key_frame_is_known(descriptor: Descriptor, profile: int) -> None:
    shape = {**vars(descriptor), "predicted": False}
    found = told(bytes(Descriptor(**shape)) + key_frame(profile=profile))
    if descriptor.begins and not descriptor.spatial:
        assert found == (1, *(descriptor.sizes[-1] if descriptor.sizes else (640, 360)))
    else:
        assert found == (0, 0, 0)


def test_the_frames_own_header_must_say_so_too() -> None:
    intra_only = bytearray(key_frame())
    intra_only[0] |= 4  # frame_type 1
    shown_again = bytearray(key_frame())
    shown_again[0] |= 8  # show_existing_frame
    no_start = bytearray(key_frame())
    no_start[1] ^= 1
    for frame in (intra_only, shown_again, no_start, b"\x00" * 12, b""):
        assert told(bytes(Descriptor()) + bytes(frame)) == (0, 0, 0)


@pytest.mark.parametrize("size", range(1, 8))
def test_a_key_frame_cut_short_has_no_size(size: int) -> None:
    assert told(bytes(Descriptor()) + key_frame()[:size]) == (1, 0, 0)


@pytest.mark.parametrize("size", [(320, 180), (640, 360), (1280, 720)])
def test_frames_of_libvpx_are_told_apart(size: tuple[int, int]) -> None:
    frames = encoded("libvpx-vp9", *size)
    assert True in (keys := [key for _, key in frames]) and False in keys
    for frame, key in frames:
        head = Descriptor(predicted=not key)
        assert told(bytes(head) + frame) == ((1, *size) if key else (0, 0, 0))
        # A descriptor that lies makes no key frame of a frame that is none.
        assert told(bytes(Descriptor()) + frame)[0] == key
        assert told(bytes(Descriptor(begins=False)) + frame[100:]) == (0, 0, 0)
