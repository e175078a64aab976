"""Offers of WHIP and WHEP: one way, one picture, one sound."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sfu.errors import BadOffer
from sfu.signalling import sdp, whip_offer
from sfu.signalling.sdp_fragment import Fragment
from sfu.signalling.whip_values import Protocol, Refusal
from tests.offers import OFFERS, answered, audio, negotiation, session, video

WHIP, WHEP = Protocol.WHIP, Protocol.WHEP


@pytest.mark.parametrize("direction", ["sendonly", "sendrecv"])
def test_what_a_publisher_sends_is_camera_and_microphone_and_nothing_comes_back(direction: str) -> None:
    offer = whip_offer.read(str(session(audio("0", direction), video("1", direction))), WHIP)
    proposal = offer.propose(negotiation())
    assert set(proposal.sources) == {"camera", "microphone"} and not proposal.slots
    assert [section.direction for section in answered(proposal).media] == ["recvonly", "recvonly"]


@pytest.mark.parametrize("direction", ["recvonly", "sendrecv"])
def test_what_a_viewer_receives_is_a_pair_in_one_stream_and_nothing_is_published(direction: str) -> None:
    offer = whip_offer.read(str(session(video("v", direction), audio("a", direction))), WHEP)
    proposal = offer.propose(negotiation())
    assert not proposal.sources and not proposal.tracks
    assert {slot.mid: slot.pair for slot in proposal.slots} == {"v": "a", "a": "v"}
    picture, sound = answered(proposal).media
    assert (picture.direction, sound.direction) == ("sendonly", "sendonly")
    assert picture.msids[0].split()[0] == sound.msids[0].split()[0]


@pytest.mark.parametrize("section", [audio("0"), video("0")])
def test_a_viewer_may_take_sound_or_picture_alone(section: sdp.MediaSection) -> None:
    (slot,) = whip_offer.read(str(session(section)), WHEP).propose(negotiation()).slots
    assert (slot.kind, slot.pair) == (section.kind, "")


def test_the_wrong_way_rests_and_is_not_rejected() -> None:
    offer = whip_offer.read(str(session(audio("0", "sendonly"), video("1", "recvonly"))), WHIP)
    proposal = offer.propose(negotiation())
    assert set(proposal.sources) == {"microphone"} and not proposal.slots
    assert [section.direction for section in answered(proposal).media] == ["recvonly", "inactive"]


@pytest.mark.parametrize(
    ("protocol", "direction"), [(WHIP, "recvonly"), (WHIP, "inactive"), (WHEP, "sendonly"), (WHEP, "inactive")]
)
def test_an_offer_without_media_of_the_right_way_is_refused(protocol: Protocol, direction: str) -> None:
    with pytest.raises(BadOffer, match="neither audio nor video"):
        whip_offer.read(str(session(audio("0", direction), video("1", direction))), protocol)


@pytest.mark.parametrize(("protocol", "direction"), [(WHIP, "sendonly"), (WHEP, "recvonly")])
def test_a_second_picture_is_not_acceptable(protocol: Protocol, direction: str) -> None:
    with pytest.raises(Refusal, match="video twice") as refused:
        whip_offer.read(str(session(video("0", direction), video("1", direction))), protocol)
    assert refused.value.status == 406


def test_a_second_picture_that_is_stopped_does_not_count() -> None:
    offer = whip_offer.read(str(session(video("0", "sendonly"), replace(video("1", "sendonly"), port=0))), WHIP)
    assert offer.mids == {"video": "0"}


def test_no_codec_in_common_is_not_acceptable_for_nobody_must_think_that_his_picture_is_seen() -> None:
    h264 = replace(video("1", "sendonly"), codecs=video("1").codecs[:2], formats=("102", "103"))
    with pytest.raises(Refusal, match="mid '1': no video codec") as refused:
        whip_offer.read(str(session(audio("0", "sendonly"), h264)), WHIP).propose(negotiation())
    assert refused.value.status == 406


def test_after_an_ice_restart_nothing_is_new_but_the_credentials() -> None:
    offer = whip_offer.read(str(session(audio("0", "sendonly"), video("1", "sendonly"))), WHIP)
    peer = negotiation()
    before = offer.propose(peer)
    after = offer.restarted(Fragment("fresh", "f" * 24)).propose(peer)
    assert (after.ice.remote_ufrag, after.ice.remote_pwd) == ("fresh", "f" * 24)
    assert after.ice.local_ufrag != before.ice.local_ufrag
    assert (after.tracks, after.fingerprints) == (before.tracks, before.fingerprints)


@pytest.mark.parametrize("name", ["plain", "simulcast", "firefox_plain", "firefox_simulcast"])
def test_offers_of_real_browsers_are_taken_both_ways(name: str) -> None:
    published = whip_offer.read(OFFERS[name], WHIP).propose(negotiation())
    assert "camera" in published.sources and not published.slots
    simulcast = {track.kind: len(track.rids) for track in published.tracks}["video"]
    assert (simulcast > 1) == ("simulcast" in name)


@given(st.sampled_from(sorted(OFFERS)), st.sampled_from(list(Protocol)), st.randoms(use_true_random=False))
@settings(max_examples=100, deadline=None)
def test_a_mutated_offer_is_answered_or_refused(name: str, protocol: Protocol, chance: random.Random) -> None:
    lines = OFFERS[name].split("\r\n")[:400]
    for _ in range(chance.randrange(4)):
        at = chance.randrange(len(lines))
        lines[at : at + chance.randrange(2)] = [lines[chance.randrange(len(lines))]]
    try:
        offer = whip_offer.read("\r\n".join(lines), protocol)
        proposal = offer.propose(negotiation())
    except (BadOffer, Refusal):
        return
    assert bool(proposal.tracks) == (protocol is WHIP) and bool(proposal.slots) == (protocol is WHEP)
    answered(proposal)
