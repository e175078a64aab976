"""An SDP as values, and how the values are written; `sfu.signalling.sdp` reads them.

Unknown attributes are not kept, so `str(parse(text))` is shorter than `text`, but it parses to the same values.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field


def is_rtp(protocol: str) -> bool:
    """Whether an m-line's protocol carries RTP, so that its formats are payload types."""
    return "RTP" in protocol.upper().split("/")


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """`a=fingerprint` (RFC 8122): algorithm in lower case, value as upper-case hex pairs with colons."""

    algorithm: str
    value: str


@dataclass(frozen=True, slots=True)
class Codec:
    """One payload type. `fmtp` keys are lower case; a parameter without `=` has the value ""."""

    payload_type: int
    name: str
    clock_rate: int
    channels: int = 1
    fmtp: Mapping[str, str] = field(default_factory=dict)
    rtcp_fb: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Extension:
    """`a=extmap` (RFC 8285). `direction` is "" where none is written (it then applies both ways)."""

    id: int
    uri: str
    direction: str = ""
    attributes: str = ""


@dataclass(frozen=True, slots=True)
class Rid:
    """`a=rid` (RFC 8851). `restrictions` is kept as written."""

    id: str
    direction: str
    restrictions: str = ""


@dataclass(frozen=True, slots=True)
class SimulcastRid:
    """One alternative of a simulcast stream; `paused` is the `~` before it (RFC 8853)."""

    id: str
    paused: bool = False


# Streams in the order written; each holds its alternatives, the preferred first.
SimulcastStreams = tuple[tuple[SimulcastRid, ...], ...]


@dataclass(frozen=True, slots=True)
class Ssrc:
    """All `a=ssrc` lines of one SSRC (RFC 5576); an attribute without a value has ""."""

    ssrc: int
    attributes: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class SsrcGroup:
    semantics: str
    ssrcs: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class MediaSection:
    """One m-section. `None` means that the attribute does not stand there, nor at session level."""

    kind: str
    port: int
    protocol: str
    formats: tuple[str, ...]
    connection: str = "IN IP4 0.0.0.0"
    bandwidth_bps: int = 0  # b=TIAS (RFC 3890) of an answer; 0 = does not stand there. Offers' are not read.
    mid: str | None = None
    direction: str = "sendrecv"
    ice_ufrag: str | None = None
    ice_pwd: str | None = None
    fingerprints: tuple[Fingerprint, ...] = ()
    setup: str | None = None
    rtcp_mux: bool = False
    rtcp_rsize: bool = False
    extmap_allow_mixed: bool = False
    bundle_only: bool = False
    codecs: tuple[Codec, ...] = ()
    extensions: tuple[Extension, ...] = ()
    rids: tuple[Rid, ...] = ()
    simulcast_send: SimulcastStreams = ()
    simulcast_recv: SimulcastStreams = ()
    ssrcs: tuple[Ssrc, ...] = ()
    ssrc_groups: tuple[SsrcGroup, ...] = ()
    msids: tuple[str, ...] = ()
    candidates: tuple[str, ...] = ()
    end_of_candidates: bool = False

    @property
    def payload_types(self) -> tuple[int, ...]:
        """The formats of an RTP section as numbers; empty for any other."""
        return tuple(int(text) for text in self.formats) if is_rtp(self.protocol) else ()

    @property
    def rejected(self) -> bool:
        """Port 0 is a rejection, except beside `a=bundle-only` (RFC 9143): Firefox writes it on every line but one."""
        return self.port == 0 and not self.bundle_only

    def __str__(self) -> str:
        return "".join(line + "\r\n" for line in _section_lines(self))


@dataclass(frozen=True, slots=True)
class SessionDescription:
    """A whole offer or answer. Session-level ICE and DTLS are kept here and filled into `media` by `parse`."""

    origin: str = "- 0 0 IN IP4 127.0.0.1"
    name: str = "-"
    groups: tuple[tuple[str, tuple[str, ...]], ...] = ()  # ("BUNDLE", mids)
    ice_lite: bool = False
    ice_ufrag: str | None = None
    ice_pwd: str | None = None
    fingerprints: tuple[Fingerprint, ...] = ()
    setup: str | None = None
    direction: str = "sendrecv"
    extmap_allow_mixed: bool = False
    extensions: tuple[Extension, ...] = ()
    msid_semantic: str = ""
    media: tuple[MediaSection, ...] = ()

    def __str__(self) -> str:
        head = "".join(line + "\r\n" for line in _session_lines(self))
        return head + "".join(str(section) for section in self.media)


def _session_lines(session: SessionDescription) -> Iterator[str]:
    yield "v=0"
    yield f"o={session.origin}"
    yield f"s={session.name}"
    yield "t=0 0"
    if session.direction != "sendrecv":
        yield f"a={session.direction}"
    yield from (f"a=group:{' '.join((semantics, *mids))}" for semantics, mids in session.groups)
    if session.ice_lite:
        yield "a=ice-lite"
    if session.msid_semantic:
        yield f"a=msid-semantic:{session.msid_semantic}"
    if session.extmap_allow_mixed:
        yield "a=extmap-allow-mixed"
    yield from _transport_lines(session.ice_ufrag, session.ice_pwd, session.fingerprints, session.setup)
    yield from map(_extension_line, session.extensions)


def _section_lines(section: MediaSection) -> Iterator[str]:
    yield f"m={section.kind} {section.port} {section.protocol} {' '.join(section.formats)}"
    yield f"c={section.connection}"
    if section.bandwidth_bps:
        yield f"b=TIAS:{section.bandwidth_bps}"
    if section.mid is not None:
        yield f"a=mid:{section.mid}"
    yield f"a={section.direction}"
    yield from _transport_lines(section.ice_ufrag, section.ice_pwd, section.fingerprints, section.setup)
    for name in ("bundle_only", "rtcp_mux", "rtcp_rsize", "extmap_allow_mixed"):
        if getattr(section, name):
            yield f"a={name.replace('_', '-')}"
    for codec in section.codecs:
        yield from _codec_lines(codec)
    yield from map(_extension_line, section.extensions)
    for rid in section.rids:
        yield f"a=rid:{rid.id} {rid.direction} {rid.restrictions}".rstrip()
    yield from _simulcast_lines(section)
    yield from (f"a=msid:{msid}" for msid in section.msids)
    for group in section.ssrc_groups:
        yield " ".join((f"a=ssrc-group:{group.semantics}", *map(str, group.ssrcs)))
    for ssrc in section.ssrcs:
        if not ssrc.attributes:
            yield f"a=ssrc:{ssrc.ssrc}"
        for name, value in ssrc.attributes.items():
            yield f"a=ssrc:{ssrc.ssrc} {name}:{value}" if value else f"a=ssrc:{ssrc.ssrc} {name}"
    yield from (f"a=candidate:{candidate}" for candidate in section.candidates)
    if section.end_of_candidates:
        yield "a=end-of-candidates"


def _transport_lines(
    ufrag: str | None, pwd: str | None, fingerprints: tuple[Fingerprint, ...], setup: str | None
) -> Iterator[str]:
    if ufrag is not None:
        yield f"a=ice-ufrag:{ufrag}"
    if pwd is not None:
        yield f"a=ice-pwd:{pwd}"
    yield from (f"a=fingerprint:{fingerprint.algorithm} {fingerprint.value}" for fingerprint in fingerprints)
    if setup is not None:
        yield f"a=setup:{setup}"


def _codec_lines(codec: Codec) -> Iterator[str]:
    channels = f"/{codec.channels}" if codec.channels != 1 else ""
    yield f"a=rtpmap:{codec.payload_type} {codec.name}/{codec.clock_rate}{channels}"
    yield from (f"a=rtcp-fb:{codec.payload_type} {feedback}" for feedback in sorted(codec.rtcp_fb))
    parameters = ";".join(f"{key}={value}" if value else key for key, value in codec.fmtp.items())
    if parameters:
        yield f"a=fmtp:{codec.payload_type} {parameters}"


def _extension_line(extension: Extension) -> str:
    direction = f"/{extension.direction}" if extension.direction else ""
    return f"a=extmap:{extension.id}{direction} {extension.uri} {extension.attributes}".rstrip()


def _simulcast_lines(section: MediaSection) -> Iterator[str]:
    lists = [
        f"{direction} " + ";".join(",".join("~" * rid.paused + rid.id for rid in stream) for stream in streams)
        for direction, streams in (("send", section.simulcast_send), ("recv", section.simulcast_recv))
        if streams
    ]
    if lists:
        yield f"a=simulcast:{' '.join(lists)}"
