"""Fragments of trickle ICE: read, refused, written."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sfu.errors import BadMessage
from sfu.signalling import sdp_fragment
from sfu.signalling.sdp_fragment import FRAGMENT_BYTES_MAX, Fragment
from tests.offers import CANDIDATES, audio, negotiation, propose, session, video

UFRAG, PWD = "EsAw", "P2uYro0UCOQ4zxjKXaWCBui1"
CANDIDATE = "a=candidate:1387637174 1 udp 2122260223 192.0.2.1 61764 typ host generation 0 ufrag EsAw network-id 1"
# As RFC 8840 has it: credentials in the section that carries the bundle.
IN_THE_SECTION = (
    f"a=group:BUNDLE 0 1\r\nm=audio 9 UDP/TLS/RTP/SAVPF 111\r\na=mid:0\r\na=ice-ufrag:{UFRAG}\r\na=ice-pwd:{PWD}\r\n"
    f"{CANDIDATE}\r\na=end-of-candidates\r\n"
)


def test_credentials_are_found_in_a_section_and_before_all_sections() -> None:
    before = f"a=ice-ufrag:{UFRAG}\na=ice-pwd:{PWD}\nm=audio 9 UDP/TLS/RTP/SAVPF 0\na=mid:0\n{CANDIDATE}\n"
    assert sdp_fragment.parse(IN_THE_SECTION) == sdp_fragment.parse(before) == Fragment(UFRAG, PWD)


def test_the_same_credentials_may_stand_in_every_section() -> None:
    assert sdp_fragment.parse(IN_THE_SECTION + IN_THE_SECTION) == Fragment(UFRAG, PWD)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "no a=ice-ufrag"),
        (f"a=ice-ufrag:{UFRAG}\r\n", "no a=ice-pwd"),
        (IN_THE_SECTION + "a=ice-ufrag:Other\r\n", "line 8 of the fragment: a second a=ice-ufrag"),
        ("v=0\r\n" + IN_THE_SECTION, "line 1"),
        ("hello", "line 1"),
        (f"a=ice-ufrag:abc\r\na=ice-pwd:{PWD}\r\n", "RFC 8839"),
        (f"a=ice-ufrag:{UFRAG}\r\na=ice-pwd:short\r\n", "RFC 8839"),
        (f"a=ice-ufrag:{'u' * 257}\r\na=ice-pwd:{PWD}\r\n", "RFC 8839"),
        (f"a=ice-ufrag:a b c\r\na=ice-pwd:{PWD}\r\n", "RFC 8839"),
        (f"a=ice-ufrag:{UFRAG}é\r\na=ice-pwd:{PWD}\r\n", "RFC 8839"),
        ("a=x\n" * (FRAGMENT_BYTES_MAX // 4 + 1), "larger than 16384 bytes"),
        ("é" * (FRAGMENT_BYTES_MAX // 2 + 1), "larger than 16384 bytes"),
    ],
)
def test_what_is_no_fragment_is_refused_with_words(text: str, reason: str) -> None:
    with pytest.raises(BadMessage, match=reason):
        sdp_fragment.parse(text)


def test_what_we_write_is_read_and_stands_in_the_section_that_carries_the_bundle() -> None:
    proposal = propose(negotiation(), session(audio("a"), video("v")))
    written = sdp_fragment.write(proposal.plan, CANDIDATES)
    assert sdp_fragment.parse(written) == Fragment(proposal.ice.local_ufrag, proposal.ice.local_pwd)
    lines = written.split("\r\n")
    assert lines[:4] == ["a=ice-lite", "a=group:BUNDLE a v", "m=audio 9 UDP/TLS/RTP/SAVPF 111", "a=mid:a"]
    assert [line.split()[4] for line in lines if line.startswith("a=candidate:")] == ["127.0.0.1", "::1"]
    assert lines[-2:] == ["a=end-of-candidates", ""]


@given(st.text())
def test_random_text_is_read_or_refused(text: str) -> None:
    parse_or_refuse(text)


LINES = st.sampled_from([*IN_THE_SECTION.split("\r\n"), "a=ice-ufrag:", "a=ice-pwd:" + "p" * 300, "m=", "a", "é", "\0"])


@given(st.lists(LINES, max_size=40), st.sampled_from(["\r\n", "\n", "\r"]), st.data())
def test_a_mutated_fragment_is_read_or_refused(lines: list[str], ending: str, data: st.DataObject) -> None:
    text = ending.join(lines)
    at = data.draw(st.integers(0, len(text)))
    parse_or_refuse(text[:at] + data.draw(st.text(max_size=3)) + text[at:])


def parse_or_refuse(text: str) -> None:
    try:
        found = sdp_fragment.parse(text)
    except BadMessage:
        return
    assert found.ice_ufrag.isascii() and found.ice_pwd.isascii()
    assert f"a=ice-ufrag:{found.ice_ufrag}" in text and f"a=ice-pwd:{found.ice_pwd}" in text
