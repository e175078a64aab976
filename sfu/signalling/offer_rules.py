"""What an offer must be before it is answered: bundled, with ICE and DTLS, in one number space. Pure.

Every function raises BadOffer with a reason for the developer of the client, or returns what it found.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from sfu import channel
from sfu.errors import BadOffer
from sfu.signalling import codecs, sdp

SOURCE_KINDS: Final[Mapping[str, str]] = {
    "camera": "video",
    "microphone": "audio",
    "screen": "video",
    "screen_audio": "audio",
}
# What an unnamed sendonly section is taken for, so that a plain WHIP client needs no `sources`.
_INFERRED: Final = {"video": "camera", "audio": "microphone"}
# The MID extension in its one-byte form holds 16 bytes (RFC 8285), as the protocol's `Mid` does.
_MID_LENGTH_MAX: Final = 16
# RFC 8829 5.1.2 and what older libraries write; DTLS-SRTP all of them.
_PROTOCOLS: Final = frozenset(
    {"UDP/TLS/RTP/SAVPF", "UDP/TLS/RTP/SAVP", "TCP/DTLS/RTP/SAVPF", "TCP/DTLS/RTP/SAVP", "RTP/SAVPF", "RTP/SAVP"}
)
# The hashes that the worker checks, with their length in bytes. MD5 and SHA-1 prove nothing any more.
_HASH_BYTES: Final = {"sha-256": 32, "sha-384": 48, "sha-512": 64}
# RFC 8839 5.4: shorter ones could be guessed, longer ones do not fit the STUN attribute.
_UFRAG_LENGTHS: Final = range(4, 257)
_PWD_LENGTHS: Final = range(22, 257)
# The wrapper of RFC 6904 stands once for each extension that may be encrypted.
_ENCRYPT_URI: Final = "urn:ietf:params:rtp-hdrext:encrypt"


@dataclass(frozen=True, slots=True)
class Remote:
    """The client's end of the transport. `dtls_server` True = the client begins the handshake."""

    ice_ufrag: str
    ice_pwd: str
    fingerprints: tuple[channel.Fingerprint, ...]
    dtls_server: bool


def bundle_mids(session: sdp.SessionDescription) -> tuple[str, ...]:
    """The mids of the one BUNDLE group, () without any. Two groups would be two transports: BadOffer."""
    groups = [mids for semantics, mids in session.groups if semantics == "BUNDLE"]
    if len(groups) > 1:
        raise BadOffer("the offer has two BUNDLE groups; use bundlePolicy max-bundle")
    return tuple(dict.fromkeys(groups[0])) if groups else ()


def live_sections(session: sdp.SessionDescription) -> list[sdp.MediaSection]:
    """The sections that are not stopped, each with a mid of its own and all in one BUNDLE group."""
    if not session.media:
        raise BadOffer("the offer has no m-section")
    named = [section.mid for section in session.media if section.mid is not None]
    if len(set(named)) != len(named):
        raise BadOffer("two m-sections of the offer have the same a=mid")
    live = [section for section in session.media if not section.rejected]
    bundled = set(bundle_mids(session))
    for section in live:
        if section.mid is None:
            raise BadOffer(f"an m={section.kind} section of the offer has no a=mid")
        if len(section.mid) > _MID_LENGTH_MAX:
            raise BadOffer(f"the mid {section.mid[:40]!r} is longer than {_MID_LENGTH_MAX} characters")
        if section.mid not in bundled:
            raise BadOffer(f"mid {section.mid!r} is in no BUNDLE group; all sections must share one transport")
    if not bundled <= set(named):
        raise BadOffer("the BUNDLE group names a mid that the offer does not have")
    return live


def check_transport(section: sdp.MediaSection) -> None:
    """A section that is to be accepted must be DTLS-SRTP with RTCP on the same port."""
    if section.protocol.upper() not in _PROTOCOLS:
        raise BadOffer(f"mid {section.mid!r}: the protocol {section.protocol[:40]!r} is not UDP/TLS/RTP/SAVPF")
    if not section.rtcp_mux:
        raise BadOffer(f"mid {section.mid!r} has no a=rtcp-mux; RTP and RTCP must share the port")


def remote_side(session: sdp.SessionDescription, accepted: set[str], before: Remote | None) -> Remote:
    """ICE, certificate and DTLS role of the section that carries the bundle.

    That is the first accepted one of the group (RFC 9143 7.3). In a later offer the others need not
    repeat them. With everything stopped the transport stays as it was.
    """
    group = bundle_mids(session)
    by_mid = {section.mid: section for section in session.media if not section.rejected}
    tagged = [by_mid[mid] for mid in sorted(group, key=lambda mid: mid not in accepted) if mid in by_mid]
    if not tagged:
        if before is None:
            raise BadOffer("every m-section of the offer is stopped (port 0)")
        return before
    section = next((one for one in tagged if one.ice_ufrag is not None and one.ice_pwd is not None), None)
    if section is None or section.ice_ufrag is None or section.ice_pwd is None:
        raise BadOffer("the offer has no ICE: a=ice-ufrag and a=ice-pwd are missing")
    if len(section.ice_ufrag) not in _UFRAG_LENGTHS or len(section.ice_pwd) not in _PWD_LENGTHS:
        raise BadOffer("a=ice-ufrag must have 4 to 256 characters, a=ice-pwd 22 to 256")
    fingerprints = _fingerprints(section)
    if before is not None and set(before.fingerprints) != set(fingerprints):
        raise BadOffer("the certificate changed; make a new peer connection")
    return Remote(section.ice_ufrag, section.ice_pwd, fingerprints, _dtls_server(section.setup, before))


def _fingerprints(section: sdp.MediaSection) -> tuple[channel.Fingerprint, ...]:
    if not section.fingerprints:
        raise BadOffer("the offer has no a=fingerprint; DTLS is required")
    known = [one for one in dict.fromkeys(section.fingerprints) if one.algorithm in _HASH_BYTES]
    if not known:
        raise BadOffer(f"no a=fingerprint of the offer uses {', '.join(_HASH_BYTES)}")
    for one in known:
        if len(one.value) != 3 * _HASH_BYTES[one.algorithm] - 1:
            raise BadOffer(f"the {one.algorithm} fingerprint has the wrong length")
    return tuple(channel.Fingerprint(one.algorithm, one.value) for one in known)


def _dtls_server(setup: str | None, before: Remote | None) -> bool:
    """Our role: the one we have, else passive unless the client insists on it (RFC 8842 5.3)."""
    if setup == "holdconn":
        raise BadOffer("a=setup:holdconn cannot be answered; offer a=setup:actpass")
    wanted = {"active": True, "passive": False}.get(setup or "actpass")
    if before is None:
        return True if wanted is None else wanted
    if wanted is not None and wanted != before.dtls_server:
        raise BadOffer("the DTLS role changed; make a new peer connection")
    return before.dtls_server


def check_one_number_space(sections: Sequence[sdp.MediaSection], agreed: Sequence[codecs.Agreed]) -> None:
    """In a bundle an extension id, and a payload type that we use, mean one thing (RFC 9143 9.2, 10.1)."""
    uris: dict[int, str] = {}
    ids: dict[str, int] = {}
    for extension in (one for section in sections for one in section.extensions):
        uri = extension.uri
        if uri == _ENCRYPT_URI:
            uri = f"{uri} {extension.attributes}"
        if uris.setdefault(extension.id, uri) != uri:
            raise BadOffer(f"a=extmap id {extension.id} stands for two extensions")
        if ids.setdefault(uri, extension.id) != extension.id:
            raise BadOffer(f"a=extmap {uri[:80]!r} has two ids")
    meanings: dict[int, str] = {}
    for codec in agreed:
        repair, red = f"rtx {codec.name}", f"red {codec.name}"
        numbers = (codec.payload_type, codec.name), (codec.rtx_payload_type, repair), (codec.red_payload_type, red)
        for number, meaning in numbers:
            if number and meanings.setdefault(number, meaning) != meaning:
                raise BadOffer(f"payload type {number} stands for two codecs")


def check_ssrcs(tracks: Iterable[channel.TrackDescription]) -> None:
    """An SSRC names one stream."""
    seen: set[int] = set()
    for bound in (bound for track in tracks for bound in track.ssrcs):
        for ssrc in (bound.ssrc, bound.rtx_ssrc):
            if ssrc and ssrc in seen:
                raise BadOffer(f"SSRC {ssrc} stands for two streams")
            seen.add(ssrc)


def sources_by_mid(
    session: sdp.SessionDescription,
    live: Sequence[sdp.MediaSection],
    named: Mapping[str, str],
    before: Mapping[str, str],
) -> dict[str, str]:
    """What each sending section publishes: as named, else as before, else camera and microphone."""
    _check_names(session, named)
    sending = [one for one in live if one.kind in _INFERRED and one.direction in ("sendonly", "sendrecv")]
    sources = {section.mid or "": named[section.mid or ""] for section in sending if (section.mid or "") in named}
    unnamed = [one for one in sending if one.direction == "sendonly" and one.mid not in sources]
    taken = set(named.values())
    for section in sorted(unnamed, key=lambda one: one.mid not in before):
        source = before.get(section.mid or "", _INFERRED[section.kind])
        if source in taken or SOURCE_KINDS[source] != section.kind:
            raise BadOffer(f"mid {section.mid!r} sends, and `sources` does not say what: name it there")
        sources[section.mid or ""] = source
        taken.add(source)
    return sources


def _check_names(session: sdp.SessionDescription, named: Mapping[str, str]) -> None:
    kinds = {section.mid: section.kind for section in session.media}
    for mid, source in named.items():
        if source not in SOURCE_KINDS:
            raise BadOffer(f"the source of mid {mid!r} is none of {', '.join(SOURCE_KINDS)}")
        if mid not in kinds:
            raise BadOffer(f"`sources` names mid {mid!r}, which the offer does not have")
        if kinds[mid] != SOURCE_KINDS[source]:
            raise BadOffer(f"mid {mid!r} is {kinds[mid]}, and {source} is {SOURCE_KINDS[source]}")
    if len(set(named.values())) != len(named):
        raise BadOffer("`sources` names one source twice")


def partners(
    session: sdp.SessionDescription, slots: Mapping[str, str], pairs: Iterable[tuple[str, str]]
) -> dict[str, str]:
    """mid -> mid of the slot it is lip-synced with, both ways. `slots` maps each slot's mid to its kind.

    A pair of which one is stopped or rejected is no pair, and no error.
    """
    kinds = {section.mid: section.kind for section in session.media}
    found: dict[str, str] = {}
    for audio, video in pairs:
        if kinds.get(audio) != "audio" or kinds.get(video) != "video":
            raise BadOffer(f"the pair ({audio!r}, {video!r}) is not the mid of an audio and of a video section")
        if audio in found or video in found:
            raise BadOffer(f"the pair ({audio!r}, {video!r}) has a mid that is in another pair")
        if audio in slots and video in slots:
            found |= {audio: video, video: audio}
    return found
