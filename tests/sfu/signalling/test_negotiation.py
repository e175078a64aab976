"""What the worker is told of an offer, and what the next offer keeps; real offers and a real client."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from aiortc.sdp import SessionDescription as AiortcDescription
from hypothesis import given, settings
from hypothesis import strategies as st

from sfu import channel
from sfu.errors import BadOffer, Internal
from sfu.signalling import sdp
from sfu.signalling.negotiation import Negotiation, Proposal
from tests.offers import (
    CANDIDATES,
    FINGERPRINT,
    MID,
    OFFERS,
    answered,
    audio,
    negotiation,
    propose,
    session,
    video,
)

SOURCES = {"slots_ch_re_offer5": {"14": "screen"}, "slots_fi_re_offer5": {"14": "screen"}}


@pytest.mark.parametrize("name", OFFERS)
def test_every_real_offer_gets_an_answer_that_aiortc_reads_as_we_meant_it(name: str) -> None:
    offered = sdp.parse(OFFERS[name])
    proposal = negotiation().offer(OFFERS[name], SOURCES.get(name, {}), [])
    judge = AiortcDescription.parse(proposal.answer(FINGERPRINT, CANDIDATES))
    assert [one.kind for one in judge.media] == [one.kind for one in offered.media]
    assert [one.rtp.muxId for one in judge.media] == [one.mid for one in offered.media]
    slots = {slot.mid: slot for slot in proposal.slots}
    tracks = {track.mid: track for track in proposal.tracks}
    assert slots or tracks
    idle = {one.mid for one in offered.media if one.direction == "inactive" and not one.rejected}
    for one in judge.media:
        slot, track = slots.get(one.rtp.muxId), tracks.get(one.rtp.muxId)
        wanted = {(True, True): "sendrecv", (True, False): "sendonly", (False, True): "recvonly"}
        assert one.direction == wanted.get((slot is not None, track is not None), "inactive")
        assert (one.port != 0) == (slot is not None or track is not None or one.rtp.muxId in idle)
        assert [named.ssrc for named in one.ssrc] == [n for n in ((slot.ssrc, slot.rtx_ssrc) if slot else ()) if n]
        if one.port:
            assert one.rtp.codecs[0].mimeType == ("audio/opus" if one.kind == "audio" else "video/VP8")
            assert one.ice_candidates_complete and len(one.ice_candidates) == len(CANDIDATES)
            assert one.ice is not None and one.ice.iceLite and one.ice.usernameFragment == "local"
            assert one.dtls is not None and one.dtls.role == "server" and one.rtcp_mux
    assert judge.group[0].items == [one.rtp.muxId for one in judge.media if one.port]


def test_firefox_layers_are_bound_to_the_ssrcs_that_its_offer_names() -> None:
    camera = negotiation().offer(OFFERS["firefox_simulcast"], {}, []).tracks[1]
    assert camera.rids == ("q", "h", "f")
    assert [(one.rid, one.ssrc, one.rtx_ssrc) for one in camera.ssrcs] == [
        ("q", 4225052080, 3142363844),
        ("h", 2310841924, 2629215904),
        ("f", 1467818546, 3859825224),
    ]
    assert (camera.payload_type, camera.rtx_payload_type, camera.nack) == (120, 124, True)


def test_chromium_layers_are_answered_and_bound_by_rid_alone() -> None:
    proposal = negotiation().offer(OFFERS["simulcast"], {}, [])
    assert proposal.tracks[1].rids == ("q", "h", "f") and proposal.tracks[1].ssrcs == ()
    assert (proposal.extensions.rid, proposal.extensions.repaired_rid) == (10, 11)
    text = proposal.answer(FINGERPRINT, CANDIDATES)
    assert "a=rid:q recv\r\na=rid:h recv\r\na=rid:f recv\r\na=simulcast:recv q;h;f\r\n" in text


@pytest.mark.parametrize(
    ("name", "codec", "numbers", "fmtp"),
    [
        ("plain", "H264", (108, 109), {"profile-level-id": "42e01f", "packetization-mode": "1"}),
        ("plain", "VP9", (98, 99), {"profile-id": "0"}),
        ("plain", "AV1", (45, 46), {"profile": "0", "tier": "0", "level-idx": "5"}),
        ("firefox_plain", "VP9", (121, 125), {}),
        ("firefox_plain", "AV1", (99, 100), {}),
    ],
)
def test_each_codec_is_found_in_the_offers_of_browsers_by_name_and_profile(
    name: str, codec: str, numbers: tuple[int, int], fmtp: dict[str, str]
) -> None:
    mid = next(one.mid for one in sdp.parse(OFFERS[name]).media if one.kind == "video") or ""
    proposal = negotiation(codec).offer(OFFERS[name], {mid: "camera"}, [])
    (camera,) = [track for track in proposal.tracks if track.kind == "video"]
    assert (camera.codec, camera.payload_type, camera.rtx_payload_type) == (codec, *numbers) and camera.nack
    video = next(one for one in answered(proposal).media if one.kind == "video" and one.port)
    assert video.formats == tuple(map(str, numbers))
    assert fmtp.items() <= dict(video.codecs[0].fmtp).items()
    assert proposal.refused == {}


def test_without_simulcast_the_ssrc_and_its_fid_are_bound() -> None:
    proposal = negotiation().offer(OFFERS["firefox_plain"], {}, [])
    assert proposal.tracks[1].ssrcs == (channel.BoundSsrc(828881428, 1294053422),)
    assert proposal.extensions.rid == 0


def test_a_fourth_layer_and_an_undeclared_one_are_answered_away() -> None:
    camera = replace(
        video("0", "sendonly"),
        rids=tuple(sdp.Rid(rid, "send") for rid in "abcd"),
        simulcast_send=tuple((sdp.SimulcastRid(rid, rid == "a"),) for rid in "xabcd"),
    )
    proposal = propose(negotiation(), session(camera))
    assert proposal.tracks[0].rids == ("a", "b", "c")
    assert "a=simulcast:recv a;b;c\r\n" in proposal.answer(FINGERPRINT, CANDIDATES)


def test_layers_need_the_rid_extension() -> None:
    camera = replace(
        video("0", "sendonly"),
        extensions=(sdp.Extension(4, MID),),
        rids=(sdp.Rid("q", "send"),),
        simulcast_send=((sdp.SimulcastRid("q"),),),
    )
    proposal = propose(negotiation(), session(camera))
    assert proposal.tracks[0].rids == ()
    assert answered(proposal).media[0].rids == ()


def test_sources_name_the_tracks_and_a_sendrecv_section_is_both() -> None:
    offer = session(audio("0", "sendrecv"), video("1", "sendonly"), video("2", "sendrecv"), audio("3", "sendonly"))
    proposal = propose(negotiation(), offer, {"0": "screen_audio", "1": "screen"})
    assert proposal.sources == {"screen_audio": 1, "screen": 2, "microphone": 3}
    assert [(track.mid, track.kind) for track in proposal.tracks] == [("0", "audio"), ("1", "video"), ("3", "audio")]
    assert [slot.mid for slot in proposal.slots] == ["0", "2"]
    directions = [one.direction for one in answered(proposal).media]
    assert directions == ["sendrecv", "recvonly", "sendonly", "recvonly"]


def test_an_unnamed_sender_is_the_camera_or_the_microphone() -> None:
    proposal = propose(negotiation(), session(audio("0", "sendonly"), video("1", "sendonly")))
    assert proposal.sources == {"microphone": 1, "camera": 2}


def test_a_source_named_once_is_remembered_for_its_mid() -> None:
    peer = negotiation()
    propose(peer, session(video("0", "sendonly")), {"0": "screen"})
    assert propose(peer, session(video("0", "sendonly"), video("1", "sendonly"))).sources == {"screen": 1, "camera": 2}


def test_the_describe_carries_what_was_negotiated() -> None:
    proposal = propose(negotiation(), session(audio("0", "sendonly"), video("1")))
    described = proposal.describe(request=1, peer=2, room=3, max_kbps=0)
    assert described == channel.Describe(
        request=1,
        peer=2,
        room=3,
        ice=channel.IceParameters("local", "p" * 24, "remote", "r" * 24),
        fingerprints=(channel.Fingerprint("sha-256", ":".join(["01"] * 32)),),
        dtls_server=True,
        extensions=channel.Extensions(mid=4, transport_cc=3, audio_level=1, video_orientation=13),
        tracks=proposal.tracks,
        slots=proposal.slots,
    )


def test_earlier_candidates_are_better_and_ice_lite_stands_at_session_level() -> None:
    text = propose(negotiation(), session(audio("0"))).answer(FINGERPRINT, CANDIDATES)
    assert text.index("a=ice-lite") < text.index("m=audio")
    assert "a=candidate:1 1 udp 2130706431 127.0.0.1 7000 typ host\r\n" in text
    assert "a=candidate:2 1 udp 2130706175 ::1 7000 typ host\r\na=end-of-candidates\r\n" in text


@pytest.mark.parametrize(
    ("offered", "answer", "dtls_server"),
    [("actpass", "passive", True), ("active", "passive", True), ("passive", "active", False), (None, "passive", True)],
)
def test_the_dtls_role_follows_the_offer(offered: str | None, answer: str, dtls_server: bool) -> None:
    proposal = propose(negotiation(), replace(session(audio("0")), setup=offered))
    assert (answered(proposal).setup, proposal.dtls_server) == (answer, dtls_server)


def test_the_dtls_role_is_kept_by_later_offers() -> None:
    peer = negotiation()
    propose(peer, replace(session(audio("0")), setup="passive"))
    assert answered(propose(peer, session(audio("0")))).setup == "active"
    with pytest.raises(BadOffer, match="role changed"):
        propose(peer, replace(session(audio("0")), setup="active"))


def test_a_later_offer_keeps_ssrcs_msids_and_track_numbers() -> None:
    peer = negotiation()
    first = propose(peer, session(video("0", "sendonly"), video("1"), audio("2")))
    second = propose(peer, session(video("0", "sendonly"), video("1"), audio("2"), video("3")))
    assert second.slots[:2] == first.slots and second.tracks == first.tracks
    assert answered(second).media[1].msids == answered(first).media[1].msids
    assert {second.slots[2].ssrc, second.slots[2].rtx_ssrc}.isdisjoint({1000, 1001, 1002})
    versions = [answered(one).origin.split()[2] for one in (first, second)]
    assert versions == ["1", "2"]


def test_a_stopped_line_leaves_the_bundle_and_its_ssrcs_are_never_used_again() -> None:
    peer = negotiation()
    first = propose(peer, session(video("0"), video("1")))
    stopped = propose(peer, session(replace(video("0"), port=0, direction="inactive"), video("1")))
    assert [one.port for one in answered(stopped).media] == [0, 7000]
    assert answered(stopped).groups == (("BUNDLE", ("1",)),)
    recycled = propose(peer, session(video("9"), video("1")))
    assert [slot.mid for slot in recycled.slots] == ["9", "1"]
    assert recycled.slots[1] == first.slots[1]
    assert recycled.slots[0].ssrc not in {first.slots[0].ssrc, first.slots[0].rtx_ssrc}
    again = propose(peer, session(video("0"), video("1")))
    given = {first.slots[0].ssrc, first.slots[0].rtx_ssrc, recycled.slots[0].ssrc, recycled.slots[0].rtx_ssrc}
    assert again.slots[0].ssrc not in given


@pytest.mark.parametrize("browser", ["ch", "fi"])
def test_a_browser_that_stops_its_screen_loses_that_track_and_nothing_else(browser: str) -> None:
    peer = negotiation()
    before = peer.offer(OFFERS[f"slots_{browser}_re_offer5"], {"14": "screen"}, [])
    after = peer.offer(OFFERS[f"slots_{browser}_re_offer6"], {}, [])
    assert set(before.sources) - set(after.sources) == {"screen"}
    assert after.tracks == tuple(track for track in before.tracks if track.mid != "14")
    assert after.slots == before.slots
    assert "14" not in answered(after).groups[0][1]


def test_an_inactive_section_stays_open_without_a_slot_and_comes_back_under_new_ssrcs() -> None:
    peer = negotiation()
    first = propose(peer, session(video("0"), audio("1")))
    idle = propose(peer, session(video("0", "inactive"), audio("1")))
    assert [(one.port, one.direction) for one in answered(idle).media] == [(7000, "inactive"), (7000, "sendonly")]
    assert [slot.mid for slot in idle.slots] == ["1"]
    again = propose(peer, session(video("0"), audio("1")))
    assert {again.slots[0].ssrc, again.slots[0].rtx_ssrc}.isdisjoint({first.slots[0].ssrc, first.slots[0].rtx_ssrc})


def test_a_track_that_comes_back_gets_a_new_number() -> None:
    peer = negotiation()
    propose(peer, session(audio("0"), video("1", "sendonly")))
    assert propose(peer, session(audio("0"), video("1", "inactive"))).sources == {}
    assert propose(peer, session(audio("0"), video("1", "sendonly"))).sources == {"camera": 2}


def test_with_everything_stopped_the_transport_stays() -> None:
    peer = negotiation()
    first = propose(peer, session(video("0")))
    last = propose(peer, replace(session(replace(video("0"), port=0)), ice_ufrag=None, ice_pwd=None))
    assert last.ice == first.ice and last.slots == () and answered(last).groups == ()


def test_ice_is_taken_from_the_section_that_carries_the_bundle() -> None:
    rejected = replace(video("0"), protocol="UDP/TLS/RTP/SAVPF", codecs=(), ice_ufrag="wrong")
    offer = session(rejected, replace(audio("1"), ice_ufrag="right"))
    assert propose(negotiation(), offer).ice.remote_ufrag == "right"


def test_an_ssrc_is_drawn_again_when_either_side_has_it() -> None:
    drawn = iter([0, 7, 7, 5, 6, 2**32, 8])
    peer = Negotiation(draw_credentials=lambda: ("l", "p"), draw_ssrc=lambda: next(drawn), draw_track=lambda: 1)
    sender = replace(audio("0", "sendonly"), ssrcs=(sdp.Ssrc(5, {"cname": "x"}),))
    slots = propose(peer, session(sender, audio("1"), audio("2"), audio("3"))).slots
    assert [slot.ssrc for slot in slots] == [7, 6, 8]


def test_a_source_of_ssrcs_that_never_changes_is_our_fault() -> None:
    peer = Negotiation(draw_credentials=lambda: ("l", "p"), draw_ssrc=lambda: 1, draw_track=lambda: 1)
    with pytest.raises(Internal):
        propose(peer, session(audio("0"), audio("1")))


def test_a_refused_offer_changes_nothing() -> None:
    peer, untouched = negotiation(), negotiation()
    good, bad = session(video("0")), replace(session(video("0"), video("1")), ice_ufrag=None)
    first = propose(peer, good)
    propose(untouched, good)
    with pytest.raises(BadOffer):
        propose(peer, bad)
    with pytest.raises(BadOffer):
        propose(peer, session(video("0"), audio("1")), pairs=[("0", "1")])
    after = propose(peer, good)
    assert after.slots == first.slots
    assert after.answer(FINGERPRINT, CANDIDATES) == propose(untouched, good).answer(FINGERPRINT, CANDIDATES)


@settings(max_examples=200, deadline=None)
@given(
    text=st.sampled_from([text for text in OFFERS.values() if len(text) < 12_000]),
    edits=st.lists(st.tuples(st.integers(0, 400), st.text(max_size=20), st.booleans()), max_size=4),
)
def test_a_mutated_offer_is_answered_or_refused(text: str, edits: list[tuple[int, str, bool]]) -> None:
    lines = text.split("\r\n")
    for at, scrap, drop in edits:
        line = lines[at % len(lines)]
        lines[at % len(lines)] = "" if drop else line[: at % (len(line) + 1)] + scrap
    try:
        proposal = negotiation().offer("\r\n".join(lines), {}, [])
    except BadOffer as refused:
        assert refused.reason
        return
    answer = answered(proposal)
    assert len(answer.media) == len([line for line in lines if line.startswith("m=")])
    channel.encode(proposal.describe(request=1, peer=1, room=1, max_kbps=0))


async def real_exchange(video_slots: int) -> tuple[list[str], list[str], Proposal]:
    """A real aiortc client: (kinds it has receivers for, track kinds it announced, what we proposed)."""
    client = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    announced: list[str] = []
    client.on("track", lambda track: announced.append(track.kind))
    try:
        for kind in ["audio", *["video"] * video_slots]:
            client.addTransceiver(kind, direction="recvonly")
        await client.setLocalDescription(await client.createOffer())
        proposal = negotiation().offer(client.localDescription.sdp, {}, [])
        text = proposal.answer(FINGERPRINT, CANDIDATES[:1])
        await client.setRemoteDescription(RTCSessionDescription(text, "answer"))
        return [one.kind for one in client.getTransceivers()], announced, proposal
    finally:
        await client.close()


@pytest.mark.asyncio
@pytest.mark.parametrize("video_slots", [1, 4])
async def test_aiortc_takes_our_answer_and_announces_every_slot(video_slots: int) -> None:
    kinds, announced, proposal = await real_exchange(video_slots)
    assert announced == kinds == ["audio"] + ["video"] * video_slots
    assert [slot.kind for slot in proposal.slots] == kinds
    assert proposal.extensions.mid != 0


def test_an_ice_restart_is_answered_with_new_credentials_of_ours_and_the_same_session_id() -> None:
    peer = negotiation()
    text = OFFERS[next(name for name in OFFERS if name.startswith("slots_ch_v39_std"))]
    first = peer.offer(text, {}, ())
    again = peer.offer(text, {}, ())
    ufrag = re.search(r"a=ice-ufrag:(\S+)", text)
    assert ufrag is not None
    restarted = peer.offer(text.replace(f"a=ice-ufrag:{ufrag[1]}", "a=ice-ufrag:another"), {}, ())
    assert again.ice == first.ice
    assert restarted.ice.local_ufrag != first.ice.local_ufrag
    assert restarted.plan.ice_ufrag == restarted.ice.local_ufrag
    assert restarted.plan.session_id == first.plan.session_id
