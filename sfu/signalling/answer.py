"""Writes an SDP answer from what was decided. ICE and DTLS stand once, at session level (S5): 12 % smaller."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Final

from sfu import channel
from sfu.signalling import codecs, sdp

# All streams of a server share one clock, which is what one CNAME says (RFC 7022); which of them a
# browser plays in step is told by the msid stream.
CNAME: Final = "stentor"
# RFC 8445 5.1.2: the recommended type preference of a host candidate, and RTP's component.
_HOST_PREFERENCE: Final = 126
_COMPONENT: Final = 1
_LOCAL_PREFERENCE_MAX: Final = 65_535
# Of a client's limit, kept for its microphone: Opus in stereo with RTX stays below. More: pictures suffer for nothing.
_SOUND_KBPS: Final = 64
# Below it Chromium sends no picture that one could look at, and a share could come out negative.
_PICTURE_KBPS_MIN: Final = 50


@dataclass(frozen=True, slots=True)
class Candidate:
    """A local UDP address. Its place in the list gives its priority: earlier is better."""

    address: str
    port: int


@dataclass(frozen=True, slots=True)
class SectionPlan:
    """The decision on one m-section of the offer; without a codec it is rejected."""

    offered: sdp.MediaSection
    codec: codecs.Agreed | None = None
    direction: str = "inactive"
    extensions: tuple[sdp.Extension, ...] = ()
    rids: tuple[str, ...] = ()
    slot: channel.SlotDescription | None = None
    stream: str = ""


@dataclass(frozen=True, slots=True)
class AnswerPlan:
    """All of an answer but the worker's part (fingerprint and candidates)."""

    session_id: int
    version: int
    ice_ufrag: str
    ice_pwd: str
    setup: str
    extmap_allow_mixed: bool
    bundle: tuple[str, ...]
    sections: tuple[SectionPlan, ...]


def write(plan: AnswerPlan, fingerprint: channel.Fingerprint, candidates: Sequence[Candidate], max_kbps: int) -> str:
    """The answer. Candidates and their end stand in every section: aiortc never starts otherwise (S6)."""
    return str(_description(plan, fingerprint, candidates, max_kbps))


def write_spelled_out(
    plan: AnswerPlan, fingerprint: channel.Fingerprint, candidates: Sequence[Candidate], max_kbps: int
) -> str:
    """The answer with ICE and DTLS in every accepted section as well: GStreamer's webrtcbin looks nowhere else."""
    short = _description(plan, fingerprint, candidates, max_kbps)
    transport = partial(
        replace, ice_ufrag=short.ice_ufrag, ice_pwd=short.ice_pwd, fingerprints=short.fingerprints, setup=short.setup
    )
    return str(replace(short, media=tuple(one if one.rejected else transport(one) for one in short.media)))


def _description(
    plan: AnswerPlan, fingerprint: channel.Fingerprint, candidates: Sequence[Candidate], max_kbps: int
) -> sdp.SessionDescription:
    bandwidth_bps = _picture_bps(plan.sections, max_kbps)
    return sdp.SessionDescription(
        origin=f"- {plan.session_id} {plan.version} IN IP4 127.0.0.1",
        groups=(("BUNDLE", plan.bundle),) if plan.bundle else (),
        ice_lite=True,
        ice_ufrag=plan.ice_ufrag,
        ice_pwd=plan.ice_pwd,
        fingerprints=(sdp.Fingerprint(fingerprint.algorithm, fingerprint.value),),
        setup=plan.setup,
        extmap_allow_mixed=plan.extmap_allow_mixed,
        msid_semantic="WMS *",
        media=tuple(_section(section, candidates, bandwidth_bps) for section in plan.sections),
    )


def _picture_bps(sections: Sequence[SectionPlan], max_kbps: int) -> int:
    """What each picture that the client publishes may take of its limit; 0 = as much as it likes."""
    pictures = sum(map(_publishes_picture, sections))
    return max(_PICTURE_KBPS_MIN, (max_kbps - _SOUND_KBPS) // pictures) * 1000 if max_kbps and pictures else 0


def _publishes_picture(plan: SectionPlan) -> bool:
    return plan.codec is not None and plan.offered.kind == "video" and plan.direction in ("recvonly", "sendrecv")


def candidate_line(index: int, candidate: Candidate) -> str:
    """The value of `a=candidate` (RFC 8839) of the index-th address."""
    local_preference = max(0, _LOCAL_PREFERENCE_MAX - index)
    priority = (_HOST_PREFERENCE << 24) + (local_preference << 8) + (256 - _COMPONENT)
    return f"{index + 1} {_COMPONENT} udp {priority} {candidate.address} {candidate.port} typ host"


def _section(plan: SectionPlan, candidates: Sequence[Candidate], picture_bps: int) -> sdp.MediaSection:
    if plan.codec is None:
        return _rejected(plan.offered)
    offered, codec = plan.offered, plan.codec
    port, connection = _default_destination(candidates)
    return sdp.MediaSection(
        kind=offered.kind,
        port=port,
        protocol=offered.protocol,
        formats=tuple(str(one.payload_type) for one in _codecs(codec)),
        connection=connection,
        bandwidth_bps=picture_bps if _publishes_picture(plan) else 0,
        mid=offered.mid,
        direction=plan.direction,
        rtcp_mux=True,
        rtcp_rsize=offered.rtcp_rsize,
        extmap_allow_mixed=offered.extmap_allow_mixed,
        codecs=_codecs(codec),
        extensions=plan.extensions,
        rids=tuple(sdp.Rid(rid, "recv") for rid in plan.rids),
        simulcast_recv=tuple((sdp.SimulcastRid(rid),) for rid in plan.rids),
        ssrcs=_ssrcs(plan.slot),
        ssrc_groups=_ssrc_groups(plan.slot),
        msids=(f"{plan.stream} track-{offered.mid}",) if plan.slot else (),
        candidates=tuple(candidate_line(index, candidate) for index, candidate in enumerate(candidates)),
        end_of_candidates=True,
    )


def _rejected(offered: sdp.MediaSection) -> sdp.MediaSection:
    """Port 0 and one format, since an m-line must have one (RFC 3264 6)."""
    return sdp.MediaSection(
        kind=offered.kind,
        port=0,
        protocol=offered.protocol,
        formats=offered.formats[:1],
        mid=offered.mid,
        direction="inactive",
    )


def _default_destination(candidates: Sequence[Candidate]) -> tuple[int, str]:
    """RFC 8839 4.2.1.2: m= and c= name one of the candidates; port 9 where there is none."""
    if not candidates:
        return 9, "IN IP4 0.0.0.0"
    address = candidates[0].address
    try:
        version = ipaddress.ip_address(address).version
    except ValueError:
        version = 4  # a host name
    return candidates[0].port, f"IN IP{version} {address}"


def _codecs(codec: codecs.Agreed) -> tuple[sdp.Codec, ...]:
    media = sdp.Codec(
        codec.payload_type, codec.name, codec.clock_rate, codec.channels, dict(codec.fmtp), codec.feedback
    )
    number = str(codec.payload_type)
    if codec.rtx_payload_type:
        return media, sdp.Codec(codec.rtx_payload_type, "rtx", codec.clock_rate, fmtp={"apt": number})
    if codec.red_payload_type:
        red = sdp.Codec(codec.red_payload_type, "red", codec.clock_rate, codec.channels, {f"{number}/{number}": ""})
        # The first one is what a browser sends.
        return (red, media) if codec.red_first else (media, red)
    return (media,)


def _ssrcs(slot: channel.SlotDescription | None) -> tuple[sdp.Ssrc, ...]:
    numbers = (slot.ssrc, slot.rtx_ssrc) if slot else ()
    return tuple(sdp.Ssrc(number, {"cname": CNAME}) for number in numbers if number)


def _ssrc_groups(slot: channel.SlotDescription | None) -> tuple[sdp.SsrcGroup, ...]:
    """Without FID Firefox loses RTX (S1)."""
    return (sdp.SsrcGroup("FID", (slot.ssrc, slot.rtx_ssrc)),) if slot and slot.rtx_ssrc else ()
