"""Offers that are refused, each with a reason that its developer can act on."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sfu.errors import BadOffer
from sfu.signalling import sdp
from tests.offers import (
    MID,
    audio,
    negotiation,
    propose,
    refusal,
    session,
    video,
)


def test_an_offer_without_ice_is_refused() -> None:
    assert "no ICE" in refusal(replace(session(audio("0")), ice_ufrag=None))
    assert "no ICE" in refusal(replace(session(audio("0")), ice_pwd=None))


def test_an_ice_password_that_could_be_guessed_is_refused() -> None:
    assert "22 to 256" in refusal(replace(session(audio("0")), ice_pwd="short"))


def test_an_offer_without_a_fingerprint_is_refused() -> None:
    assert "a=fingerprint" in refusal(replace(session(audio("0")), fingerprints=()))


def test_a_fingerprint_that_proves_nothing_is_refused() -> None:
    weak = sdp.Fingerprint("sha-1", ":".join(["01"] * 20))
    assert "sha-256" in refusal(replace(session(audio("0")), fingerprints=(weak,)))
    short = sdp.Fingerprint("sha-256", "01:02")
    assert "wrong length" in refusal(replace(session(audio("0")), fingerprints=(short,)))


def test_another_certificate_in_a_later_offer_is_refused() -> None:
    peer = negotiation()
    propose(peer, session(audio("0")))
    other = sdp.Fingerprint("sha-256", ":".join(["02"] * 32))
    with pytest.raises(BadOffer, match="certificate changed"):
        propose(peer, replace(session(audio("0")), fingerprints=(other,)))


def test_an_offer_without_rtcp_mux_is_refused() -> None:
    assert "rtcp-mux" in refusal(session(audio("0"), replace(video("1"), rtcp_mux=False)))


def test_two_bundle_groups_are_refused() -> None:
    groups = (("BUNDLE", ("0",)), ("BUNDLE", ("1",)))
    assert "two BUNDLE groups" in refusal(replace(session(audio("0"), video("1")), groups=groups))


def test_a_section_outside_the_bundle_is_refused() -> None:
    assert "no BUNDLE group" in refusal(replace(session(audio("0")), groups=()))
    assert "no BUNDLE group" in refusal(replace(session(audio("0"), video("1")), groups=(("BUNDLE", ("0",)),)))


def test_a_bundle_of_sections_that_are_not_there_is_refused() -> None:
    assert "does not have" in refusal(replace(session(audio("0")), groups=(("BUNDLE", ("0", "1")),)))


def test_missing_double_and_long_mids_are_refused() -> None:
    assert "no a=mid" in refusal(session(replace(audio("0"), mid=None)))
    assert "same a=mid" in refusal(session(audio("0"), video("0")))
    assert "longer than 16" in refusal(session(audio("0" * 17)))


def test_setup_holdconn_is_refused() -> None:
    assert "holdconn" in refusal(replace(session(audio("0")), setup="holdconn"))


def test_media_without_encryption_is_refused() -> None:
    assert "RTP/AVP" in refusal(session(replace(audio("0"), protocol="RTP/AVP")))


def test_an_offer_of_nothing_is_refused() -> None:
    assert "no m-section" in refusal(session())
    assert "stopped" in refusal(session(replace(audio("0"), port=0)))


def test_an_extension_id_for_two_uris_is_refused() -> None:
    other = replace(video("1"), extensions=(sdp.Extension(4, "urn:other"),))
    assert "id 4 stands for two" in refusal(session(audio("0"), other))


def test_an_extension_with_two_ids_is_refused() -> None:
    other = replace(video("1"), extensions=(sdp.Extension(9, MID),))
    assert "has two ids" in refusal(session(audio("0"), other))


def test_a_stopped_section_is_outside_the_number_space() -> None:
    other = replace(video("1"), port=0, extensions=(sdp.Extension(9, MID),))
    assert len(propose(negotiation(), session(audio("0"), other)).slots) == 1


def test_a_payload_type_for_two_codecs_is_refused() -> None:
    other = replace(video("1"), formats=("111",), codecs=(sdp.Codec(111, "VP8", 90_000),))
    assert "payload type 111" in refusal(session(audio("0"), other))


def test_an_ssrc_for_two_streams_is_refused() -> None:
    ssrcs = (sdp.Ssrc(5, {"cname": "x"}),)
    offer = session(replace(audio("0", "sendonly"), ssrcs=ssrcs), replace(video("1", "sendonly"), ssrcs=ssrcs))
    assert "SSRC 5" in refusal(offer)


def test_a_source_may_appear_once() -> None:
    offer = session(video("0", "sendonly"), video("1", "sendonly"))
    assert "twice" in refusal(offer, {"0": "camera", "1": "camera"})
    assert "'1' sends" in refusal(offer, {"0": "camera"})


def test_sources_must_fit_the_offer() -> None:
    offer = session(video("0", "sendonly"))
    assert "does not have" in refusal(offer, {"7": "camera"})
    assert "microphone is audio" in refusal(offer, {"0": "microphone"})
    assert "none of camera" in refusal(offer, {"0": "hologram"})


def test_pairs_must_fit_the_offer() -> None:
    offer = session(audio("0"), video("1"), video("2"))
    assert "is not the mid" in refusal(offer, pairs=[("1", "0")])
    assert "is not the mid" in refusal(offer, pairs=[("0", "9")])
    assert "in another pair" in refusal(offer, pairs=[("0", "1"), ("0", "2")])


def test_500_m_lines_are_refused_in_words() -> None:
    assert "m-sections" in refusal(session(*(audio(str(number)) for number in range(500))))
