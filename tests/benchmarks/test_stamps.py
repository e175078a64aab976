"""A stamp proves who sent a payload; anything else is told apart."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks import stamps
from benchmarks.stamps import NotOurs, Stamp

STAMPS = st.builds(
    Stamp, st.integers(0, 2**32 - 1), st.sampled_from(stamps.SOURCES), st.integers(0, 255), st.integers(0, 2**32 - 1),
    st.integers(0, 65535), st.integers(0, 65535), st.integers(0, 2**64 - 1),
)  # fmt: skip


@given(stamp=STAMPS, size=st.integers(0, 1200), at=st.integers(0, 1199))
def test_a_stamp_comes_back_and_one_changed_bit_is_seen(stamp: Stamp, size: int, at: int) -> None:
    payload = stamps.write(stamp, size)
    assert stamps.read(payload) == stamp
    assert len(payload) == max(size, stamps.STAMP_BYTES)
    at %= len(payload)
    with pytest.raises(NotOurs):
        stamps.read(payload[:at] + bytes([payload[at] ^ 16]) + payload[at + 1 :])


@given(stamp=STAMPS, picture=st.integers(0, 0x7FFF), key=st.none() | st.just((640, 360)))
def test_a_vp8_packet_says_what_it_is(stamp: Stamp, picture: int, key: tuple[int, int] | None) -> None:
    payload = stamps.write_vp8(stamp, 200, picture_id=picture, tl0=7, key=key)
    described, read = stamps.read_vp8(payload)
    assert read == stamp
    start = stamp.packet == 0
    assert (described.picture_id, described.tl0, described.frame_start) == (picture, 7, start)
    assert (described.key_frame, described.height) == (start and key is not None, 360 if start and key else 0)


@given(st.binary(max_size=100))
def test_random_bytes_are_not_ours(payload: bytes) -> None:
    for read in (stamps.read, stamps.read_vp8, stamps.read_opus):
        with pytest.raises(NotOurs):
            read(payload)
