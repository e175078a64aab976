"""Offer in, answer out, for one peer connection (RFC 8829, 9143; the S and F rules of the wire).

Pure: SSRCs and track numbers are drawn by the functions given; what the worker must know comes back as
a Proposal. An offer that cannot be answered raises BadOffer and leaves everything as it was.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from sfu import channel
from sfu.contract import Policy
from sfu.draws import Draws
from sfu.errors import Internal
from sfu.signalling import answer, codecs, offer_rules, sdp
from sfu.signalling.answer import Candidate
from sfu.signalling.sdp import parse

__all__ = ["Candidate", "Negotiation", "Proposal", "for_policy"]

AUDIO_CODEC: Final = "opus"
# What a publisher may send at most; the kernel keeps one ring per layer. A fourth layer is answered away.
LAYERS_MAX: Final = 3
# How often a colliding SSRC is drawn again. A collision is 1 in 10^7, so more only hides a broken source.
SSRC_DRAWS_MAX: Final = 100
# (the client publishes, the client receives) -> our direction. A section that does neither is rejected,
# which stops the browser's transceiver for good: a slot that is to rest stays recvonly and shows nothing.
# By (publishes, receives).
_ANSWERED_DIRECTION: Final = {
    (True, True): "sendrecv",
    (True, False): "recvonly",
    (False, True): "sendonly",
    (False, False): "inactive",
}


@dataclass(frozen=True, slots=True)
class Proposal:
    """What one offer came to. `sources` names the track of each source that is published.

    `refused` says by mid why a source is not taken: "codec" = the section has not the room's codec.
    """

    tracks: tuple[channel.TrackDescription, ...]
    slots: tuple[channel.SlotDescription, ...]
    sources: Mapping[str, int]
    ice: channel.IceParameters
    fingerprints: tuple[channel.Fingerprint, ...]
    dtls_server: bool
    extensions: channel.Extensions
    plan: answer.AnswerPlan
    refused: Mapping[str, str] = field(default_factory=dict)

    def describe(self, *, request: int, peer: int, room: int, max_kbps: int) -> channel.Describe:
        """The command that makes it so in the worker. The answer leaves after its Done (rule 1)."""
        return channel.Describe(
            request=request,
            peer=peer,
            room=room,
            ice=self.ice,
            fingerprints=self.fingerprints,
            dtls_server=self.dtls_server,
            extensions=self.extensions,
            tracks=self.tracks,
            slots=self.slots,
            max_kbps=max_kbps,
        )

    def answer(self, fingerprint: channel.Fingerprint, candidates: Sequence[Candidate], max_kbps: int = 0) -> str:
        """The SDP answer, with the worker's fingerprint and addresses, the preferred address first.

        `max_kbps` is what the client may send in all (0 = no limit); its pictures are told their share of it.
        """
        return answer.write(self.plan, fingerprint, candidates, max_kbps)


@dataclass(frozen=True, slots=True)
class _Outgoing:
    """The SSRCs of a slot. `rtx_ssrc` 0 = RTX was never negotiated."""

    kind: str
    ssrc: int
    rtx_ssrc: int = 0


@dataclass(frozen=True, slots=True)
class _State:
    """What an answered offer leaves for the next one."""

    local: tuple[str, str]  # our ufrag and pwd
    version: int = 0
    remote: offer_rules.Remote | None = None
    tracks: Mapping[str, int] = field(default_factory=dict)  # mid -> track number
    sources: Mapping[str, str] = field(default_factory=dict)  # mid -> source
    slots: Mapping[str, _Outgoing] = field(default_factory=dict)  # mid -> SSRCs
    used: frozenset[int] = frozenset()  # every SSRC ever given out: a (key, SSRC, index) is sealed once


class Negotiation:
    """The SDP side of one peer connection; as many offers as the client likes, one after the other."""

    def __init__(
        self,
        *,
        draw_credentials: Callable[[], tuple[str, str]],
        draw_ssrc: Callable[[], int],
        draw_track: Callable[[], int],
        camera_codec: str = "VP8",
        audio_red: bool = False,
    ) -> None:
        """`draw_credentials` gives a fresh (ufrag, pwd), `draw_ssrc` random 32-bit numbers, `draw_track` new numbers.

        `camera_codec` is the room's, one of codecs.CAMERA_CODECS; another one raises Internal. `audio_red`: publishers
        are asked for redundant audio, else only those send it who offer it first.
        """
        if camera_codec not in codecs.CAMERA_CODECS:
            raise Internal(f"the room's camera codec {camera_codec!r} is none of {', '.join(codecs.CAMERA_CODECS)}")
        self._draw_credentials = draw_credentials
        local = draw_credentials()
        # RFC 8866 5.2 wants a session id that is the connection's own and stays; the first fragment is drawn by chance.
        self._session_id = int.from_bytes(local[0].encode()[:7])
        self._draw_ssrc = draw_ssrc
        self._draw_track = draw_track
        self._codecs = {"audio": AUDIO_CODEC, "video": camera_codec}
        self._audio_red = audio_red
        self._state = _State(local)

    def offer(self, sdp: str, sources: Mapping[str, str], pairs: Iterable[tuple[str, str]]) -> Proposal:
        """Decide on an offer. `sources` says by mid what is published, `pairs` which (audio, video) slots go together.

        Raises BadOffer, with nothing changed; the reason is meant for the developer of the client.
        """
        return self.propose(parse(sdp), sources, pairs)

    def propose(
        self, session: sdp.SessionDescription, sources: Mapping[str, str], pairs: Iterable[tuple[str, str]]
    ) -> Proposal:
        """As `offer`, for an offer that has been read."""
        live = offer_rules.live_sections(session)
        published = offer_rules.sources_by_mid(session, live, sources, self._state.sources)
        sections = {one.mid or "": self._section(one, published.get(one.mid or "", "")) for one in live}
        accepted = {mid: plan for mid, plan in sections.items() if plan.codec is not None}
        remote = offer_rules.remote_side(session, set(accepted), self._state.remote)
        offer_rules.check_one_number_space(
            [plan.offered for plan in accepted.values()], [plan.codec for plan in accepted.values() if plan.codec]
        )
        tracks = tuple(self._track(accepted[mid], mid) for mid in accepted if _is_taken(accepted[mid]))
        offer_rules.check_ssrcs(tracks)
        outgoing, used = self._outgoing(session, accepted)
        partners = offer_rules.partners(session, {mid: one.kind for mid, one in outgoing.items()}, pairs)
        slots = {mid: _slot(accepted[mid], mid, one, partners) for mid, one in outgoing.items()}
        local = self._credentials(remote)
        plan = self._plan(session, sections, slots, remote, local)
        numbers = {track.mid: track.track for track in tracks}
        names = {mid: source for mid, source in published.items() if mid in numbers}
        self._state = _State(local, plan.version, remote, numbers, names, outgoing, used)
        return Proposal(
            tracks=tracks,
            slots=tuple(slots.values()),
            sources={source: numbers[mid] for mid, source in names.items()},
            ice=channel.IceParameters(*local, remote.ice_ufrag, remote.ice_pwd),
            fingerprints=remote.fingerprints,
            dtls_server=remote.dtls_server,
            extensions=_extension_ids(accepted.values()),
            plan=plan,
            refused={mid: "codec" for mid in published if mid not in numbers},
        )

    def _credentials(self, remote: offer_rules.Remote) -> tuple[str, str]:
        """Ours: new ones when the client's are (an ICE restart, RFC 8839 4.4.2), else those that stand."""
        before = self._state.remote
        restarts = before is not None and (before.ice_ufrag, before.ice_pwd) != (remote.ice_ufrag, remote.ice_pwd)
        return self._draw_credentials() if restarts else self._state.local

    def _section(self, section: sdp.MediaSection, source: str) -> answer.SectionPlan:
        """Codec, direction, layers and extensions of a live section that publishes `source` ("" = nothing).

        Without a codec it will be rejected. An inactive one is answered inactive, and a slot without the room's codec
        by one that it has: port 0 would stop the browser's transceiver for good.
        """
        receives = section.direction in ("recvonly", "sendrecv")
        idle = section.direction == "inactive"
        name = self._codecs.get(section.kind)
        agreed = codecs.choose(section, name) if name and (source or receives or idle) else None
        publishes = bool(source) and agreed is not None
        if agreed is None and name and (receives or idle):
            agreed = codecs.choose_any(section, name)
        if agreed is None:
            return answer.SectionPlan(section)
        offer_rules.check_transport(section)
        if section.kind == "audio":
            agreed = self._sound(section, agreed, source, receives=receives)
        if not codecs.offers_extension(section, "transport_cc"):
            agreed = replace(agreed, feedback=agreed.feedback - {"transport-cc"})
        rids = _layers(section) if publishes else ()
        extensions = codecs.agree_extensions(
            section,
            track=publishes,
            slot=receives,
            simulcast=bool(rids),
            transport_cc="transport-cc" in agreed.feedback,
        )
        direction = _ANSWERED_DIRECTION[publishes, receives]
        return answer.SectionPlan(section, agreed, direction, tuple(one for _, one in extensions), rids)

    def _sound(self, section: sdp.MediaSection, agreed: codecs.Agreed, source: str, *, receives: bool) -> codecs.Agreed:
        """Opus as both sides wish it. Every slot takes RED; a publisher sends it where it or the room asks for it."""
        offered = codecs.offered_fmtp(section, agreed.payload_type)
        music = source == "screen_audio"
        fmtp = codecs.opus_fmtp(offered, stereo=music, publishes=bool(source), receives=receives)
        first = agreed.red_payload_type != 0 and bool(source) and (agreed.red_first or self._audio_red)
        red = agreed.red_payload_type if first or receives else 0
        return replace(agreed, fmtp=(*agreed.fmtp, *fmtp.items()), red_payload_type=red, red_first=first)

    def _track(self, plan: answer.SectionPlan, mid: str) -> channel.TrackDescription:
        codec = plan.codec
        if codec is None:
            raise Internal("a track without a codec")
        return channel.TrackDescription(
            track=self._state.tracks.get(mid) or self._draw_track(),
            mid=mid,
            kind=plan.offered.kind,
            codec=codec.name,
            payload_type=codec.payload_type,
            clock_rate=codec.clock_rate,
            rtx_payload_type=codec.rtx_payload_type,
            red_payload_type=codec.red_payload_type if codec.red_first else 0,
            rids=plan.rids,
            ssrcs=_bound_ssrcs(plan.offered, plan.rids, rtx=codec.rtx_payload_type != 0),
            nack="nack" in codec.feedback,
        )

    def _outgoing(
        self, session: sdp.SessionDescription, accepted: Mapping[str, answer.SectionPlan]
    ) -> tuple[dict[str, _Outgoing], frozenset[int]]:
        """The SSRCs of every slot: those it had (S5), else new ones that neither side ever used here."""
        foreign = {one.ssrc for section in session.media for one in section.ssrcs}
        used = set(self._state.used)
        outgoing: dict[str, _Outgoing] = {}
        for mid, plan in accepted.items():
            if plan.direction not in ("sendonly", "sendrecv") or plan.codec is None:
                continue
            one = self._state.slots.get(mid)
            if one is None or one.kind != plan.offered.kind:
                one = _Outgoing(plan.offered.kind, self._new_ssrc(used, foreign))
            if plan.codec.rtx_payload_type and not one.rtx_ssrc:
                one = replace(one, rtx_ssrc=self._new_ssrc(used, foreign))
            outgoing[mid] = one
        return outgoing, frozenset(used)

    def _new_ssrc(self, used: set[int], foreign: set[int]) -> int:
        for _ in range(SSRC_DRAWS_MAX):
            ssrc = self._draw_ssrc()
            if 0 < ssrc <= 0xFFFFFFFF and ssrc not in used and ssrc not in foreign:
                used.add(ssrc)
                return ssrc
        raise Internal("no unused SSRC could be drawn")

    def _plan(
        self,
        session: sdp.SessionDescription,
        sections: Mapping[str, answer.SectionPlan],
        slots: Mapping[str, channel.SlotDescription],
        remote: offer_rules.Remote,
        local: tuple[str, str],
    ) -> answer.AnswerPlan:
        """The answer's sections in the offer's order, and its BUNDLE group: whatever is accepted (S4)."""

        def planned(section: sdp.MediaSection) -> answer.SectionPlan:
            plan = answer.SectionPlan(section) if section.rejected else sections[section.mid or ""]
            slot = slots.get(section.mid or "") if plan.codec else None
            return replace(plan, slot=slot, stream=_stream(slot)) if slot else plan

        return answer.AnswerPlan(
            version=self._state.version + 1,
            session_id=self._session_id,
            ice_ufrag=local[0],
            ice_pwd=local[1],
            setup="passive" if remote.dtls_server else "active",
            extmap_allow_mixed=session.extmap_allow_mixed,
            bundle=tuple(mid for mid in offer_rules.bundle_mids(session) if mid in sections and sections[mid].codec),
            sections=tuple(planned(section) for section in session.media),
        )


def _layers(section: sdp.MediaSection) -> tuple[str, ...]:
    """The simulcast layers taken: the first alternative of each stream that has an `a=rid:... send` (RFC 8853).

    Layers are told apart by the RID extension alone, so without it there are none. A `~` is not
    repeated: libwebrtc would switch such a layer off for good, while the client may start it by itself.
    """
    declared = {rid.id for rid in section.rids if rid.direction == "send"}
    streams = ([one.id for one in stream if one.id in declared] for stream in section.simulcast_send)
    rids = tuple(dict.fromkeys(stream[0] for stream in streams if stream))
    return rids[:LAYERS_MAX] if codecs.offers_extension(section, "rid") else ()


def _bound_ssrcs(section: sdp.MediaSection, rids: tuple[str, ...], *, rtx: bool) -> tuple[channel.BoundSsrc, ...]:
    """The SSRCs that the offer names: one, or with simulcast one for each rid in the same order (Firefox).

    Where that order cannot be told (Chromium names none, a stranger too many) nothing is bound here:
    the packets' own RID binds them.
    """
    repairs = {group.ssrcs[0]: group.ssrcs[1] for group in section.ssrc_groups if _repairs(group, "FID")}
    secondary = {group.ssrcs[1] for group in section.ssrc_groups if _repairs(group, "FID", "FEC-FR", "FEC")}
    media = [one.ssrc for one in section.ssrcs if one.ssrc and one.ssrc not in secondary]
    offered = [rid.id for rid in section.rids if rid.direction == "send"] if rids else [""]
    if not rids:
        media = media[:1]
    if len(media) != len(offered):
        return ()
    return tuple(
        channel.BoundSsrc(ssrc, repairs.get(ssrc, 0) if rtx else 0, rid)
        for ssrc, rid in zip(media, offered, strict=True)
        if not rids or rid in rids
    )


def _repairs(group: sdp.SsrcGroup, *semantics: str) -> bool:
    return group.semantics in semantics and len(group.ssrcs) == 2


def _slot(plan: answer.SectionPlan, mid: str, one: _Outgoing, partners: Mapping[str, str]) -> channel.SlotDescription:
    codec = plan.codec
    if codec is None:
        raise Internal("a slot without a codec")
    return channel.SlotDescription(
        mid=mid,
        kind=one.kind,
        codec=codec.name,
        payload_type=codec.payload_type,
        clock_rate=codec.clock_rate,
        ssrc=one.ssrc,
        rtx_payload_type=codec.rtx_payload_type,
        rtx_ssrc=one.rtx_ssrc if codec.rtx_payload_type else 0,
        red_payload_type=codec.red_payload_type,
        pair=partners.get(mid, ""),
    )


def _is_taken(plan: answer.SectionPlan) -> bool:
    """Whether the section's source is published: the offer may name one that its codecs do not allow."""
    return plan.codec is not None and plan.direction in ("recvonly", "sendrecv")


def _stream(slot: channel.SlotDescription) -> str:
    """The msid stream: one for each slot (S8), a pair shares its video's so that browsers play them in step (V6)."""
    return f"slot-{slot.pair if slot.pair and slot.kind == 'audio' else slot.mid}"


def _extension_ids(plans: Iterable[answer.SectionPlan]) -> channel.Extensions:
    ids = {codecs.field_of(one.uri): one.id for plan in plans for one in plan.extensions}
    return channel.Extensions(**ids)


def for_policy(draws: Draws, policy: Policy) -> Negotiation:
    """As a room's policy wants it."""
    return Negotiation(
        draw_credentials=draws.credentials,
        draw_ssrc=draws.ssrc,
        draw_track=draws.track,
        camera_codec=policy.camera_codec,
        audio_red=policy.audio_red,
    )
