"""Reading and writing SDP: real offers survive, broken ones are refused in words, nothing else is ever raised."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from sfu.errors import BadOffer
from sfu.signalling import sdp

OFFERS = {path.stem: path.read_bytes().decode() for path in sorted(Path(__file__).parents[2].glob("sdp/*.sdp"))}
HEAD = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\n"
VIDEO = "m=video 9 UDP/TLS/RTP/SAVPF 96\r\n"


def section(*lines: str, m: str = VIDEO) -> sdp.MediaSection:
    return sdp.parse(HEAD + m + "".join(line + "\r\n" for line in lines)).media[0]


def refusal(text: str) -> str:
    with pytest.raises(BadOffer) as caught:
        sdp.parse(text)
    return caught.value.reason


def test_there_are_offers_of_three_clients() -> None:
    assert len(OFFERS) == 15


@pytest.mark.parametrize("name", OFFERS)
def test_what_is_read_and_written_reads_the_same(name: str) -> None:
    parsed = sdp.parse(OFFERS[name])
    assert parsed.media
    assert sdp.parse(str(parsed)) == parsed


def test_chromium_names_its_layers_and_no_ssrc() -> None:
    video = sdp.parse(OFFERS["simulcast"]).media[1]
    assert [rid.id for rid in video.rids] == ["q", "h", "f"]
    assert video.simulcast_send == tuple((sdp.SimulcastRid(rid),) for rid in "qhf")
    assert video.ssrcs == ()
    assert video.codecs[0] == sdp.Codec(
        96, "VP8", 90_000, 1, {}, frozenset({"goog-remb", "transport-cc", "ccm fir", "nack", "nack pli"})
    )
    assert video.codecs[1].fmtp == {"apt": "96"}


def test_firefox_keeps_its_fingerprint_at_session_level_and_says_directions_of_extensions() -> None:
    parsed = sdp.parse(OFFERS["firefox_simulcast"])
    assert all(one.fingerprints == parsed.fingerprints and one.fingerprints for one in parsed.media)
    directions = {one.uri.rsplit(":", 1)[-1]: one.direction for one in parsed.media[1].extensions}
    assert directions["rtp-stream-id"] == "sendonly"
    assert directions["mid"] == ""
    assert [group.semantics for group in parsed.media[1].ssrc_groups] == ["FID"] * 3


def test_port_0_beside_bundle_only_is_no_rejection() -> None:
    parsed = sdp.parse(OFFERS["slots_fi_re_offer6"])
    assert [one.mid for one in parsed.media if one.rejected] == ["14"]
    assert sum(one.port == 0 for one in parsed.media) == 20


def test_the_largest_offer_of_chromium_passes() -> None:
    assert len(sdp.parse(OFFERS["slots_ch_v39_std_offer0"]).media) == 45


def test_an_extension_may_have_attributes() -> None:
    assert section("a=extmap:1/recvonly urn:x vad=on more").extensions == (
        sdp.Extension(1, "urn:x", "recvonly", "vad=on more"),
    )


def test_a_static_payload_type_needs_no_rtpmap_to_have_an_fmtp() -> None:
    audio = section("a=fmtp:0 x=1", m="m=audio 9 UDP/TLS/RTP/SAVPF 0 97\r\n")
    assert audio.codecs == (sdp.Codec(0, "PCMU", 8000, 1, {"x": "1"}),)


def test_a_payload_type_that_looks_like_rtcp_is_only_a_number() -> None:
    assert section("a=rtpmap:72 VP8/90000", m="m=video 9 UDP/TLS/RTP/SAVPF 72\r\n").payload_types == (72,)


def test_the_protocol_may_be_in_lower_case() -> None:
    assert section("a=rtpmap:96 VP8/90000", m="m=video 9 udp/tls/rtp/savpf 96\r\n").codecs[0].name == "VP8"


def test_setup_holdconn_is_read() -> None:
    assert section("a=setup:holdconn").setup == "holdconn"


def test_an_ssrc_attribute_may_have_no_value() -> None:
    assert section("a=ssrc:1 foo", "a=ssrc:1 cname:x y").ssrcs == (sdp.Ssrc(1, {"foo": "", "cname": "x y"}),)


def test_blanks_in_an_fmtp_belong_to_nobody_and_a_second_line_adds() -> None:
    codec = section("a=rtpmap:96 VP8/90000", "a=fmtp:96 a=1; B = 2 ;0-15;", "a=fmtp:96 c=3").codecs[0]
    assert codec.fmtp == {"a": "1", "b": "2", "0-15": "", "c": "3"}


def test_a_connection_may_name_a_host_or_a_ttl() -> None:
    assert section("c=IN IP4 media.example/127").connection == "IN IP4 media.example/127"


def test_feedback_for_all_payload_types_reaches_each() -> None:
    assert section("a=rtpmap:96 VP8/90000", "a=rtcp-fb:* nack  pli").codecs[0].rtcp_fb == {"nack pli"}


def test_simulcast_has_alternatives_and_paused_layers() -> None:
    video = section("a=simulcast:send 1,~4;2 recv ~3")
    assert video.simulcast_send == (
        (sdp.SimulcastRid("1"), sdp.SimulcastRid("4", True)),
        (sdp.SimulcastRid("2"),),
    )
    assert video.simulcast_recv == ((sdp.SimulcastRid("3", True),),)


def test_the_session_is_the_default_and_the_section_wins() -> None:
    session = "a=ice-ufrag:abcd\r\na=ice-pwd:session\r\na=inactive\r\na=setup:active\r\n"
    one, two = sdp.parse(HEAD + session + VIDEO + VIDEO + "a=ice-ufrag:efgh\r\na=sendonly\r\n").media
    assert (one.ice_ufrag, one.ice_pwd, one.direction, one.setup) == ("abcd", "session", "inactive", "active")
    assert (two.ice_ufrag, two.ice_pwd, two.direction) == ("efgh", "session", "sendonly")


def test_several_hashes_are_kept_in_one_spelling() -> None:
    fingerprints = section("a=fingerprint:SHA-256 ab:cd", "a=fingerprint:sha-512 00:ff").fingerprints
    assert fingerprints == (sdp.Fingerprint("sha-256", "AB:CD"), sdp.Fingerprint("sha-512", "00:FF"))


@pytest.mark.parametrize(
    "line",
    [
        "a=rtpmap:x VP8/90000",
        "a=rtpmap:96",
        "a=rtpmap:96 VP8",
        "a=rtpmap:96 VP8/" + "9" * 5000,
        "a=rtpmap:96 VP8/9_0",
        "a=rtpmap:128 VP8/90000",
        "a=fmtp:96",
        "a=rtcp-fb:96",
        "a=extmap:0 urn:x",
        "a=extmap:1/sideways urn:x",
        "a=extmap:1",
        "a=extmap:\u0661 urn:x",
        "a=fingerprint:sha-256 XY",
        "a=fingerprint:sha-256",
        "a=setup:sometimes",
        "a=mid:",
        "a=mid:a b",
        "a=mid:\u00e4",
        "a=rid:q sideways",
        "a=rid:q! send",
        "a=simulcast:send",
        "a=simulcast:send a send b",
        "a=simulcast:send a;;b",
        "a=ssrc:x cname:y",
        "a=ssrc:4294967296 cname:y",
        "a=ssrc-group:FID 1 x",
        "a=ice-ufrag:\u00e9\u00e9\u00e9\u00e9",
        "nonsense",
    ],
)
def test_a_known_line_that_cannot_be_read_is_refused_with_its_number(line: str) -> None:
    assert refusal(HEAD + VIDEO + line + "\r\n").startswith("SDP line 6")


@pytest.mark.parametrize("line", ["m=video", "m=video x RTP/SAVPF 96", "m=video 9 RTP/SAVPF vp8", "m=a 65536 x y"])
def test_a_broken_m_line_is_refused_with_its_number(line: str) -> None:
    assert refusal(HEAD + line + "\r\n").startswith("SDP line 5")


def test_unknown_lines_are_ignored() -> None:
    assert section("b=AS:50", "a=unheard-of:\u00e9 x", "a=rtcp:9 IN IP4 0.0.0.0", "z=0", "") == section()


def test_an_sdp_begins_with_its_version() -> None:
    assert "v=0" in refusal("")
    assert "v=0" in refusal("m=audio 9 x y\r\n")


def test_500_m_lines_are_refused() -> None:
    assert "128 m-sections" in refusal(HEAD + VIDEO * 500)


def test_128_m_lines_are_not() -> None:
    assert len(sdp.parse(HEAD + VIDEO * 128).media) == 128


def test_over_512_kib_is_refused_in_bytes_not_characters() -> None:
    filler = "a=x:" + "\u00e9" * (260 * 1024) + "\r\n"
    assert len(HEAD + VIDEO + filler) < sdp.SDP_BYTES_MAX
    assert "524288 bytes" in refusal(HEAD + VIDEO + filler)
    assert "524288 bytes" in refusal("v" * (sdp.SDP_BYTES_MAX + 1))


def test_a_section_has_at_most_1000_lines() -> None:
    assert "1000 lines" in refusal(HEAD + VIDEO + "a=ssrc:1 a:b\r\n" * 1000)


def test_half_a_character_is_refused() -> None:
    assert "Unicode" in refusal(HEAD + "a=x:\ud800\r\n")


def mutated(text: str, seed: int) -> str:
    """An offer as a broken client or a stranger would write it."""
    draw = random.Random(seed)
    lines = text.split("\r\n")
    for _ in range(draw.randint(1, 6)):
        at = draw.randrange(len(lines))
        line = lines[at]
        cut = draw.randint(0, len(line))
        lines[at : at + 1] = draw.choice(
            [
                [],
                [line, line],
                [line[:cut]],
                [line[:cut] + chr(draw.randrange(0x250)) + line[cut + 1 :]],
                [line[:cut] + draw.choice(["\r", " ", ";", "=", "9" * 30, "-1", "\u0663", "\x00"]) + line[cut:]],
                [line.replace(":", " ")],
                [draw.choice(lines)],
            ]
        )
    return "\r\n".join(lines)


SMALL = [text for text in OFFERS.values() if len(text) < 12_000]


@settings(max_examples=200, deadline=None)
@given(text=st.sampled_from(SMALL), seed=st.integers(0, 2**32))
def test_a_mutated_offer_is_read_or_refused_and_what_is_read_can_be_written(text: str, seed: int) -> None:
    try:
        parsed = sdp.parse(mutated(text, seed))
    except BadOffer as refused:
        assert refused.reason
        return
    assert sdp.parse(str(parsed)) == parsed


@settings(max_examples=200, deadline=None)
@given(text=st.text(max_size=400))
@example(text="v=0\na=")
@example(text="v=0\n=")
@example(text="v=0\na=group:")
def test_random_text_is_read_or_refused(text: str) -> None:
    for candidate in (text, HEAD + text, HEAD + VIDEO + text, HEAD + VIDEO + "a=" + text):
        try:
            parsed = sdp.parse(candidate)
        except BadOffer as refused:
            assert refused.reason
        else:
            assert sdp.parse(str(parsed)) == parsed
