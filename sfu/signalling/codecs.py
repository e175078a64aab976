"""Which payload types and header extensions of an m-section we take. Pure; the ids stay the offer's (S3)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from sfu.signalling import sdp

# RFC 5761: with RTP and RTCP on one port these would read as RTCP.
_RTCP_PAYLOAD_TYPES: Final = range(64, 96)
# RFC 8285: the largest id that fits the two-byte form; larger ones are only placeholders.
_EXTENSION_ID_MAX: Final = 255
# goog-remb is not among them: with it Chromium would drop TWCC, which is our only estimator (S3, F5).
_VIDEO_FEEDBACK: Final = frozenset({"nack", "nack pli", "ccm fir", "transport-cc"})
_AUDIO_FEEDBACK: Final = frozenset({"transport-cc"})


@dataclass(frozen=True, slots=True)
class Agreed:
    """What is sent or received in one m-section. `rtx_payload_type` 0 = the offer has no RTX for it.

    `red_payload_type` 0 = no RED (RFC 2198); `red_first`: the client sends it rather than the plain codec.
    """

    name: str
    payload_type: int
    clock_rate: int
    channels: int = 1
    rtx_payload_type: int = 0
    feedback: frozenset[str] = frozenset()
    fmtp: tuple[tuple[str, str], ...] = ()
    red_payload_type: int = 0
    red_first: bool = False


@dataclass(frozen=True, slots=True)
class _Rule:
    """How one codec is found in an offer: the smallest `rank` wins, None = unusable."""

    kind: str
    clock_rate: int
    channels: int
    rank: Callable[[Mapping[str, str]], int | None]
    mirrored: tuple[str, ...] = ()  # fmtp keys that an answer must repeat
    fmtp: tuple[tuple[str, str], ...] = ()  # fmtp that we ask for


def _any(fmtp: Mapping[str, str]) -> int | None:
    return 0


def _profile_0(key: str) -> Callable[[Mapping[str, str]], int | None]:
    """8-bit 4:2:0, the only profile that every browser decodes."""
    return lambda fmtp: 0 if fmtp.get(key, "0") == "0" else None


def _h264(fmtp: Mapping[str, str]) -> int | None:
    """Packetization mode 1, constrained baseline first, then any baseline: what every decoder can do (RFC 7742)."""
    profile = fmtp.get("profile-level-id", "42e01f").lower()
    if fmtp.get("packetization-mode", "0") != "1" or not profile.startswith("42"):
        return None
    return 0 if profile.startswith("42e0") else 1


# minptime=10 lets a client with a fast link send short frames; in-band FEC hides a single lost packet.
_OPUS_FMTP: Final = (("minptime", "10"), ("useinbandfec", "1"))
_RULES: Final[Mapping[str, _Rule]] = {
    "opus": _Rule("audio", 48_000, 2, _any, fmtp=_OPUS_FMTP),
    "VP8": _Rule("video", 90_000, 1, _any),
    "VP9": _Rule("video", 90_000, 1, _profile_0("profile-id"), ("profile-id",)),
    "H264": _Rule("video", 90_000, 1, _h264, ("level-asymmetry-allowed", "packetization-mode", "profile-level-id")),
    "AV1": _Rule("video", 90_000, 1, _profile_0("profile"), ("profile", "level-idx", "tier")),
}
CAMERA_CODECS: Final = tuple(name for name, rule in _RULES.items() if rule.kind == "video")
# RFC 7587 section 6.1 (6 kbit/s is the least that Opus has, 510 the most): another number is nobody's wish.
_OPUS_BPS: Final = range(6_000, 510_001)


def choose(section: sdp.MediaSection, name: str) -> Agreed | None:
    """The payload type of codec `name` (one of CAMERA_CODECS or "opus") in a section; None if it has no usable one."""
    rule = _RULES[name]
    best: tuple[int, sdp.Codec] | None = None
    for codec in section.codecs:
        rank = rule.rank(codec.fmtp) if _is(codec, name, rule.clock_rate) else None
        if rank is not None and (best is None or rank < best[0]):
            best = rank, codec
    if best is None:
        return None
    codec = best[1]
    red = _red_of(section, codec) if rule.kind == "audio" else None
    mirrored = ((key, codec.fmtp[key]) for key in rule.mirrored if _is_plain(codec.fmtp.get(key, "")))
    return Agreed(
        name=name,
        payload_type=codec.payload_type,
        clock_rate=rule.clock_rate,
        channels=rule.channels,
        rtx_payload_type=_rtx_of(section, codec) if rule.kind == "video" else 0,
        feedback=codec.rtcp_fb & (_VIDEO_FEEDBACK if rule.kind == "video" else _AUDIO_FEEDBACK),
        fmtp=(*mirrored, *rule.fmtp),
        red_payload_type=red.payload_type if red else 0,
        red_first=red is not None and _precedes(section, red, codec),
    )


def choose_any(section: sdp.MediaSection, name: str) -> Agreed | None:
    """As `choose`, else another codec of the same kind: a slot must stay open even where it can show nothing."""
    kind = _RULES[name].kind
    others = (other for other, rule in _RULES.items() if rule.kind == kind and other != name)
    return next((found for each in (name, *others) if (found := choose(section, each)) is not None), None)


def opus_fmtp(offered: Mapping[str, str], *, stereo: bool, publishes: bool, receives: bool) -> dict[str, str]:
    """What an answer says of Opus beside `choose`'s own (RFC 7587 section 6.1), by what the offer says.

    Towards a publisher parameters are our wishes: what it declares of itself is what we ask for, and stereo where its
    source is music (`stereo`). Towards a viewer they tell what may come: stereo where it said that it plays it.
    """
    asked: dict[str, str] = {}
    if publishes and (stereo or "1" in (offered.get("stereo"), offered.get("sprop-stereo"))):
        asked["stereo"] = "1"
    if receives and offered.get("stereo") == "1":
        asked["sprop-stereo"] = "1"
    if publishes and offered.get("usedtx") == "1":
        asked["usedtx"] = "1"
    bps = offered.get("maxaveragebitrate", "")
    if publishes and _is_plain(bps) and bps.isdigit() and int(bps) in _OPUS_BPS:
        asked["maxaveragebitrate"] = bps
    return asked


def offered_fmtp(section: sdp.MediaSection, payload_type: int) -> Mapping[str, str]:
    """The fmtp of one payload type of the offer."""
    return next((codec.fmtp for codec in section.codecs if codec.payload_type == payload_type), {})


def _is(codec: sdp.Codec, name: str, clock_rate: int) -> bool:
    return (
        codec.name.lower() == name.lower()
        and codec.clock_rate == clock_rate
        and codec.payload_type not in _RTCP_PAYLOAD_TYPES
    )


def _is_plain(setting: str) -> bool:
    """Only short letters and digits are repeated: an answer carries no text of the client's making."""
    return 0 < len(setting) <= 16 and setting.isascii() and setting.isalnum()


def _rtx_of(section: sdp.MediaSection, codec: sdp.Codec) -> int:
    wanted = str(codec.payload_type)
    for rtx in section.codecs:
        if _is(rtx, "rtx", codec.clock_rate) and rtx.fmtp.get("apt") == wanted:
            return rtx.payload_type
    return 0


def _red_of(section: sdp.MediaSection, codec: sdp.Codec) -> sdp.Codec | None:
    """RED of nothing but this codec: `a=fmtp:63 111/111`. Without fmtp it would be of whatever comes."""
    for red in section.codecs:
        made_of = {part for key in red.fmtp for part in key.split("/")}
        if _is(red, "red", codec.clock_rate) and made_of == {str(codec.payload_type)}:
            return red
    return None


def _precedes(section: sdp.MediaSection, one: sdp.Codec, other: sdp.Codec) -> bool:
    formats = section.formats
    numbers = str(one.payload_type), str(other.payload_type)
    return all(number in formats for number in numbers) and formats.index(numbers[0]) < formats.index(numbers[1])


@dataclass(frozen=True, slots=True)
class _Handled:
    """A header extension that the kernel reads (`in_tracks`) or writes (`in_slots`)."""

    field: str  # its name in channel.Extensions
    kinds: tuple[str, ...]
    in_tracks: bool = True
    in_slots: bool = True
    simulcast_only: bool = False


_BOTH: Final = ("audio", "video")
# Not here on purpose: abs-send-time (brings REMB back, F5), playout-delay (ours to decide, later) and the
# dependency descriptor (comes with AV1). To take one more is to promise that the kernel handles it.
_HANDLED: Final[Mapping[str, _Handled]] = {
    "urn:ietf:params:rtp-hdrext:sdes:mid": _Handled("mid", _BOTH),
    "urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id": _Handled("rid", ("video",), in_slots=False, simulcast_only=True),
    "urn:ietf:params:rtp-hdrext:sdes:repaired-rtp-stream-id": _Handled(
        "repaired_rid", ("video",), in_slots=False, simulcast_only=True
    ),
    "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01": _Handled("transport_cc", _BOTH),
    "urn:ietf:params:rtp-hdrext:ssrc-audio-level": _Handled("audio_level", ("audio",)),
    "urn:3gpp:video-orientation": _Handled("video_orientation", ("video",)),
}
# RFC 8285: the offer's direction is the client's, the answer's is ours.
_ANSWERED: Final = {"": "", "sendrecv": "sendrecv", "sendonly": "recvonly", "recvonly": "sendonly"}


def offers_extension(section: sdp.MediaSection, field: str) -> bool:
    """Whether the section offers the extension that channel.Extensions calls `field`, in any direction."""
    return any(_HANDLED[one.uri].field == field for one in section.extensions if one.uri in _HANDLED)


def agree_extensions(
    section: sdp.MediaSection, *, track: bool, slot: bool, simulcast: bool, transport_cc: bool
) -> Iterator[tuple[str, sdp.Extension]]:
    """(field of channel.Extensions, extension as answered) of a section that is a track, a slot or both.

    `transport_cc` says whether the section's codec has that feedback: without it nobody would report.
    """
    for offered in section.extensions:
        handled = _HANDLED.get(offered.uri)
        if handled is None or section.kind not in handled.kinds or offered.id > _EXTENSION_ID_MAX:
            continue
        from_client = track and handled.in_tracks and offered.direction in ("", "sendrecv", "sendonly")
        to_client = slot and handled.in_slots and offered.direction in ("", "sendrecv", "recvonly")
        useless = (handled.simulcast_only and not simulcast) or (handled.field == "transport_cc" and not transport_cc)
        if (from_client or to_client) and not useless:
            yield handled.field, sdp.Extension(offered.id, offered.uri, _ANSWERED[offered.direction])


def field_of(uri: str) -> str:
    """The name in channel.Extensions of an extension that `agree_extensions` gave."""
    return _HANDLED[uri].field
