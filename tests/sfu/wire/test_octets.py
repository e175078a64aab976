"""sfu.wire.octets, judged by int.to_bytes; and `Exact`, the buffer under which every parser is tried."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.interpreted import load

OCTETS = load().octets
few = settings(max_examples=100, deadline=None)
WIDTHS = [(2, OCTETS.get16, OCTETS.put16), (3, OCTETS.get24, OCTETS.put24), (4, OCTETS.get32, OCTETS.put32)]
each_width = pytest.mark.parametrize(("width", "get", "put"), WIDTHS, ids=["16 bits", "24 bits", "32 bits"])


class Exact:
    """Octets as C has them: not one before the first, none behind the last, and only readable one by one."""

    def __init__(self, octets: bytes) -> None:
        self._octets = octets

    def __getitem__(self, at: int) -> int:
        if not 0 <= at < len(self._octets):
            raise IndexError(f"octet {at} of {len(self._octets)} was read")
        return self._octets[at]


@each_width
@given(data=st.data())
@few
def test_numbers_are_read_in_network_order_and_no_octet_more(
    width: int, get: Callable[..., int], put: Callable[..., None], data: st.DataObject
) -> None:
    before = data.draw(st.binary(max_size=5))
    number = data.draw(st.integers(0, 256**width - 1))
    assert get(Exact(before + number.to_bytes(width, "big")), len(before)) == number


@each_width
@given(data=st.data())
@few
def test_numbers_are_written_in_network_order_and_nothing_beside_them(
    width: int, get: Callable[..., int], put: Callable[..., None], data: st.DataObject
) -> None:
    at = data.draw(st.integers(0, 5))
    number = data.draw(st.integers(0, 256**width - 1))
    out = bytearray(b"\xa5" * (at + width + 3))
    put(out, at, number)
    assert out == b"\xa5" * at + number.to_bytes(width, "big") + b"\xa5" * 3


@each_width
@given(data=st.data())
@few
def test_of_a_number_too_large_or_negative_the_low_bits_are_written(
    width: int, get: Callable[..., int], put: Callable[..., None], data: st.DataObject
) -> None:
    number = data.draw(st.integers(-(2**62), 2**62))
    out = bytearray(width)
    put(out, 0, number)
    assert get(Exact(bytes(out)), 0) == number % 256**width
