"""sfu.wire.picture: bits and Exp-Golomb numbers, judged by Python's own arithmetic."""

from __future__ import annotations

import types

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.interpreted import load
from tests.sfu.wire.test_octets import Exact

PICTURE = load().picture
few = settings(max_examples=100, deadline=None)


def reader(octets: bytes, *, escaped: bool = False) -> types.SimpleNamespace:
    picture = types.SimpleNamespace()
    PICTURE.clear(picture)
    PICTURE.begin(picture, 0, len(octets), int(escaped))
    return picture


def packed(bits: str) -> bytes:
    """A text of ones and zeros as octets, zeros behind."""
    bits += "0" * (-len(bits) % 8)
    return bytes(int(bits[at : at + 8], 2) for at in range(0, len(bits), 8))


def ue(number: int) -> str:
    """Exp-Golomb (H.264 9.1)."""
    written = f"{number + 1:b}"
    return "0" * (len(written) - 1) + written


def escape(octets: bytes) -> bytes:
    """Emulation prevention as an encoder does it (H.264 7.4.1)."""
    made = bytearray()
    for octet in octets:
        if octet <= 3 and made[-2:] == b"\x00\x00":
            made.append(3)
        made.append(octet)
    return bytes(made)


@given(st.lists(st.integers(1, 32).flatmap(lambda width: st.tuples(st.just(width), st.integers(0, 2**width - 1)))))
@few
def test_numbers_of_any_width_are_read_one_behind_the_other(numbers: list[tuple[int, int]]) -> None:
    octets = packed("".join(f"{number:0{width}b}" for width, number in numbers))
    picture = reader(octets)
    assert [PICTURE.bits(Exact(octets), picture, width) for width, _ in numbers] == [number for _, number in numbers]
    assert not picture.cut


@given(st.lists(st.integers(0, 2**31 - 2), max_size=20))
@few
def test_exp_golomb_numbers_are_read_behind_emulation_prevention(numbers: list[int]) -> None:
    octets = escape(packed("".join(map(ue, numbers))))
    picture = reader(octets, escaped=True)
    assert [PICTURE.golomb(Exact(octets), picture) for _ in numbers] == numbers
    assert not picture.cut


@given(st.binary(max_size=12), st.booleans())
@few
def test_what_is_not_there_reads_as_nothing_and_is_said(octets: bytes, escaped: bool) -> None:
    picture = reader(octets, escaped=escaped)
    for _ in range(8 * len(octets) + 1):
        PICTURE.golomb(Exact(octets), picture)
    assert picture.cut
    assert PICTURE.golomb(Exact(octets), picture) == PICTURE.bits(Exact(octets), reader(b""), 8) == 0


def test_a_number_of_more_than_31_zeros_is_none() -> None:
    picture = reader(bytes(8))
    assert PICTURE.golomb(Exact(bytes(8)), picture) == 0 and picture.cut


def test_a_size_that_a_row_cannot_hold_is_unknown() -> None:
    picture = reader(b"")
    for size in ((0, 5), (5, 0), (65536, 5), (5, 65536), (-2, 5)):
        PICTURE.sized(picture, *size)
        assert (picture.width, picture.height) == (0, 0)
    PICTURE.sized(picture, 65535, 1)
    assert (picture.width, picture.height) == (65535, 1)
