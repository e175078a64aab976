"""SDP offers to negotiate about: the real ones of `tests/sdp`, and small ones made of sections."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from sfu import channel
from sfu.errors import BadOffer
from sfu.signalling import sdp
from sfu.signalling.negotiation import Candidate, Negotiation, Proposal

OFFERS = {path.stem: path.read_bytes().decode() for path in sorted(Path(__file__).parent.glob("sdp/*.sdp"))}
FINGERPRINT = channel.Fingerprint("sha-256", ":".join(["AB"] * 32))
CANDIDATES = [Candidate("127.0.0.1", 7000), Candidate("::1", 7000)]
FIRST_SSRC = 1_000
TWCC = "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01"
MID = "urn:ietf:params:rtp-hdrext:sdes:mid"


def negotiation(camera_codec: str = "VP8", *, audio_red: bool = False) -> Negotiation:
    ssrcs, tracks, credentials = itertools.count(FIRST_SSRC), itertools.count(1), itertools.count()
    return Negotiation(
        draw_credentials=lambda: (("local", "local1", "local2", "local3")[next(credentials)], "p" * 24),
        draw_ssrc=lambda: next(ssrcs),
        draw_track=lambda: next(tracks),
        camera_codec=camera_codec,
        audio_red=audio_red,
    )


def audio(mid: str, direction: str = "recvonly") -> sdp.MediaSection:
    return sdp.MediaSection(
        kind="audio",
        port=9,
        protocol="UDP/TLS/RTP/SAVPF",
        formats=("111", "63", "126"),
        mid=mid,
        direction=direction,
        rtcp_mux=True,
        codecs=(
            sdp.Codec(111, "opus", 48_000, 2, {"stereo": "1"}, frozenset({"transport-cc", "nack"})),
            sdp.Codec(63, "red", 48_000, 2, {"111/111": ""}),
            sdp.Codec(126, "telephone-event", 8_000),
        ),
        extensions=(
            sdp.Extension(4, MID),
            sdp.Extension(3, TWCC),
            sdp.Extension(1, "urn:ietf:params:rtp-hdrext:ssrc-audio-level"),
            sdp.Extension(2, "http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time"),
        ),
    )


FEEDBACK = frozenset({"nack", "nack pli", "ccm fir", "transport-cc", "goog-remb"})


def video(mid: str, direction: str = "recvonly") -> sdp.MediaSection:
    return sdp.MediaSection(
        kind="video",
        port=9,
        protocol="UDP/TLS/RTP/SAVPF",
        formats=("102", "103", "96", "97"),
        mid=mid,
        direction=direction,
        rtcp_mux=True,
        rtcp_rsize=True,
        codecs=(
            sdp.Codec(102, "H264", 90_000, 1, {"packetization-mode": "1", "profile-level-id": "42e01f"}, FEEDBACK),
            sdp.Codec(103, "rtx", 90_000, 1, {"apt": "102"}),
            sdp.Codec(96, "VP8", 90_000, 1, {}, FEEDBACK),
            sdp.Codec(97, "rtx", 90_000, 1, {"apt": "96"}),
        ),
        extensions=(
            sdp.Extension(4, MID),
            sdp.Extension(3, TWCC),
            sdp.Extension(13, "urn:3gpp:video-orientation"),
            sdp.Extension(2, "http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time"),
            sdp.Extension(5, "http://www.webrtc.org/experiments/rtp-hdrext/playout-delay"),
            sdp.Extension(10, "urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id", "sendonly"),
            sdp.Extension(11, "urn:ietf:params:rtp-hdrext:sdes:repaired-rtp-stream-id"),
        ),
    )


def session(*media: sdp.MediaSection) -> sdp.SessionDescription:
    mids = tuple(one.mid for one in media if one.mid is not None and not one.rejected)
    return sdp.SessionDescription(
        groups=(("BUNDLE", mids),),
        ice_ufrag="remote",
        ice_pwd="r" * 24,
        fingerprints=(sdp.Fingerprint("sha-256", ":".join(["01"] * 32)),),
        setup="actpass",
        media=media,
    )


def propose(
    peer: Negotiation,
    offer: sdp.SessionDescription,
    sources: Mapping[str, str] = {},
    pairs: Sequence[tuple[str, str]] = (),
) -> Proposal:
    return peer.offer(str(offer), dict(sources), list(pairs))


def answered(proposal: Proposal) -> sdp.SessionDescription:
    return sdp.parse(proposal.answer(FINGERPRINT, CANDIDATES))


def refusal(
    offer: sdp.SessionDescription, sources: Mapping[str, str] = {}, pairs: Sequence[tuple[str, str]] = ()
) -> str:
    with pytest.raises(BadOffer) as caught:
        propose(negotiation(), offer, sources, pairs)
    return caught.value.reason
