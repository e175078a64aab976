"""sfu.wire.dtls: a flight of records is cut between them and never inside one."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sfu.wire.dtls import DTLS_RECORD_HEADER_BYTES, datagrams_of_records

few = settings(max_examples=200, deadline=None)


def record(content: bytes, number: int = 0) -> bytes:
    """A handshake record of DTLS 1.2 (RFC 6347 4.1)."""
    return b"\x16\xfe\xfd\x00\x00" + number.to_bytes(6, "big") + len(content).to_bytes(2, "big") + content


flights = st.lists(st.binary(max_size=60) | st.integers(0, 400).map(bytes), max_size=12).map(
    lambda contents: [record(content, number) for number, content in enumerate(contents)]
)


@given(flights, st.integers(0, 600))
@few
def test_records_leave_whole_in_order_and_in_as_few_datagrams_as_the_limit_lets(
    records: list[bytes], limit: int
) -> None:
    datagrams: list[bytes] = []
    for one in records:
        if datagrams and len(datagrams[-1]) + len(one) <= limit:
            datagrams[-1] += one
        else:
            datagrams.append(one)
    assert datagrams_of_records(b"".join(records), limit) == tuple(datagrams)


def test_a_record_over_the_limit_stands_alone() -> None:
    small, large = record(b"a"), record(bytes(1500))
    assert datagrams_of_records(small + large + small + small, 1200) == (small, large, small + small)


def test_a_datagram_may_be_as_long_as_the_limit_and_not_an_octet_longer() -> None:
    pair = record(bytes(10)) + record(bytes(20))
    assert datagrams_of_records(pair, len(pair)) == (pair,)
    assert datagrams_of_records(pair, len(pair) - 1) == (record(bytes(10)), record(bytes(20)))


def test_no_flight_is_no_datagram() -> None:
    assert datagrams_of_records(b"", 1200) == ()


@pytest.mark.parametrize("left", range(1, DTLS_RECORD_HEADER_BYTES + 5))
def test_a_flight_that_ends_inside_a_record_is_refused(left: int) -> None:
    whole = record(b"first")
    with pytest.raises(ValueError, match="ends inside a record"):
        datagrams_of_records(whole + record(b"12345")[:left], 1200)


@given(st.binary(max_size=100), st.integers(0, 100))
@few
def test_any_bytes_are_cut_without_loss_or_refused(flight: bytes, limit: int) -> None:
    try:
        datagrams = datagrams_of_records(flight, limit)
    except ValueError:
        return
    assert b"".join(datagrams) == flight
