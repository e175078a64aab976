"""sfu.wire.rtp, judged by aiortc's RTP code and by a model of RFC 8285 that works on slices."""

from __future__ import annotations

import types
from typing import Any

import pytest
from aiortc import rtp as judge
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from tests.interpreted import load
from tests.sfu.wire.test_octets import Exact

RTP = load().rtp
few = settings(max_examples=200, deadline=None)
ONE_BYTE, TWO_BYTE = 0xBEDE, 0x1000
PLAIN = bytes.fromhex("80 60 1234 00000001 deadbeef")

words = st.integers(0, 2**32 - 1)
shorts = st.integers(0, 2**16 - 1)
one_byte_elements = st.tuples(st.integers(1, 14), st.binary(min_size=1, max_size=16))
two_byte_elements = st.tuples(st.integers(1, 255), st.binary(max_size=40))
element_lists = st.lists(one_byte_elements, max_size=5) | st.lists(two_byte_elements, max_size=5)


def parse(octets: bytes) -> types.SimpleNamespace | None:
    """The header, None when the octets are no RTP packet; an octet read outside of them raises IndexError."""
    header = types.SimpleNamespace()
    result = RTP.parse(Exact(octets), len(octets), header)
    assert result in (0, -1)
    return header if result == 0 else None


def payload_of(octets: bytes) -> bytes | None:
    """What lies between header and padding, None when the padding overruns."""
    header = parse(octets)
    assert header is not None
    end = RTP.payload_end(Exact(octets), len(octets), header)
    return None if end < 0 else octets[header.size : end]


def elements(block: bytes, profile: int, lead: bytes = b"") -> list[tuple[int, bytes]]:
    """All elements of an extension block that begins behind `lead`."""
    octets = lead + block
    found: list[Any] = []
    at = len(lead)
    while True:
        element = types.SimpleNamespace()
        before, at = at, RTP.next_element(Exact(octets), at, len(octets), profile, element)
        if at < 0:
            return found
        # Otherwise a hostile block would be read for ever, or a value from outside of it.
        assert before < element.at <= element.at + element.length == at <= len(octets)
        found.append((element.id, octets[element.at : at]))


def extended(profile: int, block: bytes, words_said: int | None = None, payload: bytes = b"") -> bytes:
    """A packet with this extension block; its length field may lie."""
    size = len(block) // 4 if words_said is None else words_said
    head = bytes([PLAIN[0] | 16]) + PLAIN[1:]
    return head + profile.to_bytes(2, "big") + size.to_bytes(2, "big") + block + payload


def rfc_8285(block: bytes, profile: int) -> list[tuple[int, bytes]]:
    """Sections 4.2 and 4.3, said as naively as can be."""
    found: list[tuple[int, bytes]] = []
    while block:
        if block[0] == 0:
            block = block[1:]
            continue
        if profile == ONE_BYTE:
            id, length, head = block[0] >> 4, block[0] % 16 + 1, 1
            if id in (0, 15):
                return found
        else:
            if len(block) < 2:
                return found
            id, length, head = block[0], block[1], 2
        if len(block) < head + length:
            return found
        found.append((id, block[head : head + length]))
        block = block[head + length :]
    return found


@given(st.binary(max_size=120) | st.binary(max_size=120).map(lambda tail: b"\xbf" + tail))
@few
def test_no_octets_make_the_parser_raise_or_read_outside(octets: bytes) -> None:
    header = parse(octets)
    if header is None:
        return
    assert 12 <= header.size <= len(octets)
    assert 0 <= header.extension_at <= header.extension_at + header.extension_size <= header.size
    end = RTP.payload_end(Exact(octets), len(octets), header)
    assert end == -1 or header.size <= end <= len(octets)
    block = octets[header.extension_at : header.extension_at + header.extension_size]
    elements(block, header.extension_profile, octets[: header.extension_at])


@given(st.binary(max_size=80).map(lambda tail: b"\xbf" + tail) | st.binary(max_size=80))
@few
def test_what_is_rtp_and_where_its_payload_lies_is_what_aiortc_says(octets: bytes) -> None:
    try:
        # Without configured extensions aiortc still walks them, and refuses the packet for a broken element.
        expected: bytes | None = judge.RtpPacket.parse(octets).payload
    except ValueError as error:
        assume("header extension" not in str(error))
        expected = None
    assert (payload_of(octets) if parse(octets) else None) == expected


@given(
    payload_type=st.integers(0, 127), marker=st.integers(0, 1), sequence=shorts, timestamp=words, ssrc=words,
    csrcs=st.lists(words, max_size=15), payload=st.binary(max_size=60), padding=st.integers(0, 255),
)  # fmt: skip
@few
def test_every_field_that_aiortc_writes_is_read_back(
    payload_type: int, marker: int, sequence: int, timestamp: int, ssrc: int, csrcs: list[int], payload: bytes,
    padding: int,
) -> None:  # fmt: skip
    packet = judge.RtpPacket(payload_type, marker, sequence, timestamp, ssrc, payload)
    packet.csrc, packet.padding_size = csrcs, padding
    octets = packet.serialize()
    header = parse(octets)
    assert header is not None
    assert (header.payload_type, header.marker, header.sequence) == (payload_type, marker, sequence)
    assert (header.timestamp, header.ssrc, header.padding) == (timestamp, ssrc, int(padding > 0))
    assert (header.size, header.extension_profile, header.extension_size) == (12 + 4 * len(csrcs), 0, 0)
    assert payload_of(octets) == payload


@given(element_lists, st.lists(words, max_size=15), st.binary(max_size=20))
@few
def test_extensions_that_aiortc_packs_are_found_in_both_forms(
    wanted: list[tuple[int, bytes]], csrcs: list[int], payload: bytes
) -> None:
    profile, block = judge.pack_header_extensions(wanted)
    packet = judge.RtpPacket()
    packet.csrc = csrcs
    head = bytearray(packet.serialize())
    if wanted:
        head[0] |= 16
        head += profile.to_bytes(2, "big") + (len(block) // 4).to_bytes(2, "big") + block
    octets = bytes(head) + payload
    header = parse(octets)
    assert header is not None and header.extension_profile == profile
    assert octets[header.size :] == payload
    found = octets[header.extension_at : header.extension_at + header.extension_size]
    assert elements(found, profile, octets[: header.extension_at]) == wanted


@given(element_lists)
@few
def test_extensions_that_we_write_are_read_by_aiortc(wanted: list[tuple[int, bytes]]) -> None:
    two_bytes = any(id > 14 or not 1 <= len(value) <= 16 for id, value in wanted)
    out = bytearray(5 * 42)
    at = 0
    for id, value in wanted:
        at = RTP.put_element(out, at, int(two_bytes), id, len(value))
        out[at : at + len(value)] = value
        at += len(value)
    profile = TWO_BYTE if two_bytes else ONE_BYTE
    assert judge.unpack_header_extensions(profile, bytes(out[: at + -at % 4])) == wanted


@given(st.binary(max_size=60), st.sampled_from([ONE_BYTE, TWO_BYTE, 0x100F]), st.binary(max_size=20))
@few
def test_any_block_is_read_as_rfc_8285_says(block: bytes, profile: int, lead: bytes) -> None:
    assert elements(block, profile, lead) == rfc_8285(block, profile)


@given(st.binary(max_size=60), shorts)
@few
def test_a_block_of_another_profile_has_no_elements(block: bytes, profile: int) -> None:
    assume(profile != ONE_BYTE and profile // 16 != 0x100)
    assert elements(block, profile) == []


def test_id_15_ends_a_one_byte_block() -> None:
    assert elements(bytes.fromhex("10aa f0bb 20cc"), ONE_BYTE) == [(1, b"\xaa")]


def test_id_0_with_a_length_ends_a_one_byte_block() -> None:
    """RFC 8285 4.2: it is no element. One with id 0 would be taken for any extension that was not negotiated."""
    assert elements(bytes.fromhex("10aa 01bbbb 20cc"), ONE_BYTE) == [(1, b"\xaa")]


def test_padding_between_elements_is_stepped_over() -> None:
    assert elements(bytes.fromhex("0000 10aa 00 20bb 0000"), ONE_BYTE) == [(1, b"\xaa"), (2, b"\xbb")]
    assert elements(bytes.fromhex("00 0101aa 00 0200 0000"), TWO_BYTE) == [(1, b"\xaa"), (2, b"")]


@pytest.mark.parametrize(
    ("profile", "block"), [(ONE_BYTE, "10aa 2fbbbb"), (TWO_BYTE, "0101aa 0204bbbb"), (TWO_BYTE, "0101aa 02")]
)
def test_an_element_that_overruns_its_block_ends_it(profile: int, block: str) -> None:
    assert elements(bytes.fromhex(block), profile) == [(1, b"\xaa")]


def test_elements_do_not_reach_into_the_payload_behind_their_block() -> None:
    octets = extended(ONE_BYTE, bytes.fromhex("0000002f"), payload=bytes(16))
    header = parse(octets)
    assert header is not None
    element = types.SimpleNamespace()
    end = header.extension_at + header.extension_size
    assert RTP.next_element(Exact(octets), header.extension_at, end, ONE_BYTE, element) == -1


@pytest.mark.parametrize("size", range(12))
def test_less_than_twelve_octets_are_no_packet(size: int) -> None:
    assert parse(PLAIN[:size]) is None


@pytest.mark.parametrize("version", [0, 1, 3])
def test_another_version_is_no_packet(version: int) -> None:
    assert parse(bytes([version << 6]) + PLAIN[1:]) is None


@pytest.mark.parametrize("count", range(1, 16))
def test_csrcs_that_overrun_are_refused(count: int) -> None:
    octets = bytes([PLAIN[0] | count]) + PLAIN[1:] + bytes(4 * count)
    assert parse(octets) is not None
    assert parse(octets[:-1]) is None


@pytest.mark.parametrize("said", [2, 3, 0xFFFF])
def test_an_extension_longer_than_the_packet_is_refused(said: int) -> None:
    assert parse(extended(ONE_BYTE, bytes(4), words_said=said)) is None
    assert parse(extended(ONE_BYTE, bytes(4))) is not None


@pytest.mark.parametrize("missing", [1, 2, 3, 4])
def test_an_extension_head_that_is_cut_short_is_refused(missing: int) -> None:
    assert parse(extended(ONE_BYTE, b"")[:-missing]) is None


def test_an_empty_extension_is_an_extension() -> None:
    header = parse(extended(ONE_BYTE, b"", payload=b"x"))
    assert header is not None and (header.size, header.extension_size) == (16, 0)


@pytest.mark.parametrize(
    ("payload", "left"),
    [
        (b"\x05abc\x01", b"\x05abc"),
        (b"ab\x00\x00\x03", b"ab"),
        (b"\x00\x00\x00\x04", b""),  # a probe: all of it is padding
        (b"\x00\x00\x00\x05", None),  # one more than there is: it would eat the header
        (b"abc\x00", None),  # padding counts itself, so it cannot be none
        (b"abc\xff", None),
        (b"", None),
    ],
)
def test_padding_is_cut_off_and_refused_where_it_lies(payload: bytes, left: bytes | None) -> None:
    assert payload_of(bytes([PLAIN[0] | 32]) + PLAIN[1:] + payload) == left


@given(st.integers(0, 2**48 - 2**16), st.integers(-0x7FFF, 0x7FFF))
@few
def test_an_index_is_found_again_from_its_sequence_number(newest: int, step: int) -> None:
    index = newest + step
    # Below 0 = before the first packet of all: the caller drops it, so it must not look like a great index.
    assert RTP.unwrap(newest, index & 0xFFFF) == index


def test_the_first_sequence_number_is_its_own_index() -> None:
    assert RTP.unwrap(-1, 0xFFFE) == 0xFFFE


def test_the_index_goes_on_over_the_wrap_of_the_sequence_number() -> None:
    newest = -1
    for sequence in (0xFFFD, 0xFFFF, 0x0000, 0xFFFE, 0x0002):
        newest = max(newest, RTP.unwrap(newest, sequence))
    assert newest == 0x10002
    assert RTP.unwrap(newest, 0xFFFC) == 0xFFFC
