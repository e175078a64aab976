"""What stands in an answer: slots, codecs, feedback, extensions, candidates."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sfu import channel
from sfu.errors import Internal
from sfu.signalling import answer, sdp
from tests.offers import (
    CANDIDATES,
    FEEDBACK,
    FINGERPRINT,
    MID,
    answered,
    audio,
    negotiation,
    propose,
    session,
    video,
)


def test_a_slot_is_written_with_ssrc_fid_cname_and_a_stream_of_its_own() -> None:
    proposal = propose(negotiation(), session(video("0"), video("1")))
    text = proposal.answer(FINGERPRINT, CANDIDATES)
    assert "a=ssrc-group:FID 1000 1001\r\na=ssrc:1000 cname:stentor\r\na=ssrc:1001 cname:stentor\r\n" in text
    assert [one.msids for one in answered(proposal).media] == [("slot-0 track-0",), ("slot-1 track-1",)]
    assert proposal.slots[0] == channel.SlotDescription(
        mid="0",
        kind="video",
        codec="VP8",
        payload_type=96,
        clock_rate=90_000,
        ssrc=1000,
        rtx_payload_type=97,
        rtx_ssrc=1001,
    )


def test_a_pair_shares_a_stream_and_knows_each_other() -> None:
    proposal = propose(negotiation(), session(audio("a"), video("v"), audio("b")), pairs=[("a", "v")])
    assert {slot.mid: slot.pair for slot in proposal.slots} == {"a": "v", "v": "a", "b": ""}
    assert [one.msids[0].split()[0] for one in answered(proposal).media] == ["slot-v", "slot-v", "slot-b"]


def test_a_pair_with_a_stopped_section_is_no_pair() -> None:
    stopped = replace(video("v"), port=0)
    proposal = propose(negotiation(), session(audio("a"), stopped), pairs=[("a", "v")])
    assert [slot.pair for slot in proposal.slots] == [""]


def test_without_rtx_in_the_offer_there_is_none_in_the_slot() -> None:
    plain = replace(video("0"), formats=("96",), codecs=(sdp.Codec(96, "VP8", 90_000),))
    proposal = propose(negotiation(), session(plain))
    assert (proposal.slots[0].rtx_payload_type, proposal.slots[0].rtx_ssrc) == (0, 0)
    assert answered(proposal).media[0].ssrc_groups == () and answered(proposal).media[0].formats == ("96",)


def test_feedback_is_mirrored_but_never_remb_and_audio_has_only_transport_cc() -> None:
    media = answered(propose(negotiation(), session(audio("0"), video("1")))).media
    assert media[0].codecs[0].rtcp_fb == {"transport-cc"}
    assert media[1].codecs[0].rtcp_fb == FEEDBACK - {"goog-remb"}


def test_transport_cc_needs_both_the_feedback_and_the_extension() -> None:
    no_extension = replace(video("0"), extensions=(sdp.Extension(4, MID),))
    no_feedback = replace(video("1"), codecs=(sdp.Codec(96, "VP8", 90_000),))
    proposal = propose(negotiation(), session(no_extension, no_feedback))
    assert "transport" not in str(answered(proposal).media)
    assert proposal.extensions.transport_cc == 0


def test_only_extensions_that_the_kernel_handles_are_answered_each_way() -> None:
    media = answered(propose(negotiation(), session(audio("0"), video("1"), video("2", "sendonly")))).media
    assert [{one.id for one in section.extensions} for section in media] == [{4, 3, 1}, {4, 3, 13}, {4, 3, 13}]


def test_a_direction_of_an_extension_is_turned_round_and_a_useless_one_is_left_out() -> None:
    one_way = (sdp.Extension(4, MID, "recvonly"), sdp.Extension(13, "urn:3gpp:video-orientation", "sendonly"))
    proposal = propose(negotiation(), session(replace(video("0"), extensions=one_way)))
    assert answered(proposal).media[0].extensions == (sdp.Extension(4, MID, "sendonly"),)


def test_mixed_extension_headers_are_mirrored_where_they_stand() -> None:
    offer = session(replace(audio("0"), extmap_allow_mixed=True), video("1"))
    media = answered(propose(negotiation(), offer)).media
    assert [one.extmap_allow_mixed for one in media] == [True, False]
    assert answered(propose(negotiation(), replace(offer, extmap_allow_mixed=True))).extmap_allow_mixed


def test_audio_is_opus_and_nothing_else() -> None:
    media = answered(propose(negotiation(), session(audio("0")))).media[0]
    assert media.formats == ("111",)
    assert media.codecs[0] == sdp.Codec(
        111, "opus", 48_000, 2, {"minptime": "10", "useinbandfec": "1"}, frozenset({"transport-cc"})
    )


def test_the_rooms_camera_codec_is_used_with_its_own_rtx() -> None:
    proposal = propose(negotiation("H264"), session(video("0")))
    assert (proposal.slots[0].codec, proposal.slots[0].payload_type, proposal.slots[0].rtx_payload_type) == (
        "H264",
        102,
        103,
    )
    assert answered(proposal).media[0].codecs[0].fmtp["profile-level-id"] == "42e01f"


def test_a_section_without_the_rooms_codec_is_rejected_and_the_others_live() -> None:
    proposal = propose(negotiation("AV1"), session(video("0"), audio("1"), video("2", "sendonly")))
    assert [one.port for one in answered(proposal).media] == [0, 7000, 0]
    assert answered(proposal).groups == (("BUNDLE", ("1",)),)
    assert [slot.mid for slot in proposal.slots] == ["1"] and proposal.sources == {}


def test_an_unknown_room_codec_is_our_fault() -> None:
    with pytest.raises(Internal):
        negotiation("Theora")


def test_an_application_section_is_answered_with_port_0() -> None:
    application = sdp.MediaSection("application", 9, "UDP/DTLS/SCTP", ("webrtc-datachannel",), mid="1")
    answer = answered(propose(negotiation(), session(audio("0"), application)))
    assert (answer.media[1].port, answer.media[1].mid, answer.media[1].formats) == (0, "1", ("webrtc-datachannel",))
    assert answer.groups == (("BUNDLE", ("0",)),)


def test_spelled_out_ice_and_dtls_stand_in_every_accepted_section_and_nothing_else_is_new() -> None:
    refused = replace(video("2"), codecs=video("2").codecs[:1], formats=("102",))
    plan = propose(negotiation(), session(audio("0", "sendonly"), video("1", "sendonly"), refused)).plan
    short, long = (write(plan, FINGERPRINT, CANDIDATES, 500) for write in (answer.write, answer.write_spelled_out))
    repeated = {line for line in short.split("\r\n") if line.startswith(("a=ice-", "a=fingerprint", "a=setup"))}
    repeated.remove("a=ice-lite")
    first, sound, picture, rejected = long.split("m=")
    assert all(line in section for line in repeated for section in (first, sound, picture))
    assert len(repeated) == 4 and not any(line in rejected for line in repeated)
    head, *sections = short.split("m=")
    told = [[line for line in part.split("\r\n") if line not in repeated] for part in (sound, picture, rejected)]
    assert first == head and told == [part.split("\r\n") for part in sections]
