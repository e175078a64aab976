"""sfu.wire.red, judged by packets written from RFC 2198."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.interpreted import load
from tests.sfu.wire.test_octets import Exact

RED = load().red
few = settings(max_examples=200, deadline=None)
Block = tuple[int, bytes]  # timestamp offset, frame


def red(payload_type: int, redundant: Sequence[Block], primary: bytes) -> bytes:
    """RFC 2198 section 3: F, block PT, 14 bits of timestamp offset, 10 bits of length; the last header has F = 0."""
    heads = b"".join(
        (1 << 31 | payload_type << 24 | at << 10 | len(frame)).to_bytes(4, "big") for at, frame in redundant
    )
    return heads + bytes([payload_type]) + b"".join(frame for _, frame in redundant) + primary


blocks = st.lists(st.tuples(st.integers(0, 2**14 - 1), st.binary(max_size=60)), max_size=4)
frames = st.binary(min_size=1, max_size=60)


def headers(octets: bytes, payload_type: int = 111) -> int:
    return int(RED.parse(Exact(octets), len(octets), payload_type))


@given(st.binary(max_size=40) | st.binary(max_size=40).map(lambda tail: b"\xef" + tail), st.integers(0, 127))
@few
def test_no_octets_make_the_parser_raise_or_read_outside(octets: bytes, payload_type: int) -> None:
    measured = headers(octets, payload_type)
    if measured != -1:
        assert measured & 3 == 1
        assert measured <= RED.primary(Exact(octets), measured) < len(octets)


@given(blocks, frames, st.integers(0, 127))
@few
def test_the_primary_frame_is_found_behind_all_others(
    redundant: list[Block], primary: bytes, payload_type: int
) -> None:
    octets = red(payload_type, redundant, primary)
    measured = headers(octets, payload_type)
    assert measured == 4 * len(redundant) + 1
    assert octets[RED.primary(Exact(octets), measured) :] == primary


@given(blocks, frames, st.integers(0, 127), st.integers(0, 127))
@few
def test_a_rewrite_changes_the_payload_types_and_nothing_else(
    redundant: list[Block], primary: bytes, before: int, after: int
) -> None:
    octets = red(before, redundant, primary)
    out = bytearray(len(octets))
    measured = headers(octets, before)
    RED.rewrite(Exact(octets), measured, out, after)
    assert bytes(out[:measured]) + octets[measured:] == red(after, redundant, primary)
    assert not any(out[measured:])


@given(blocks, frames, st.integers(1, 60))
@few
def test_a_packet_without_a_primary_frame_is_refused(redundant: list[Block], primary: bytes, cut: int) -> None:
    octets = red(111, redundant, primary)
    assert headers(octets[: max(0, len(octets) - max(cut, len(primary)))]) == -1


@pytest.mark.parametrize(
    "octets",
    [
        b"",
        b"\x6f",  # an empty primary frame
        b"\x6e\x01",  # another codec
        red(110, [(960, b"old")], b"new"),
        red(111, [(960, b"old")], b"new").replace(b"\x6f", b"\x6e", 1),  # the primary alone of another codec
        b"\xef\x00\x00",  # a header cut short
        b"\xef\x0f\x03\xff\x6f" + b"short",  # a block longer than the packet
        red(111, [(0, b"")] * 33, b"new"),  # more blocks than anybody sends
    ],
)
def test_what_is_no_red_of_this_codec_is_refused(octets: bytes) -> None:
    assert headers(octets) == -1


def test_as_many_blocks_as_are_allowed_are_taken() -> None:
    assert headers(red(111, [(960, b"")] * 32, b"new")) == 129
