"""The offer of a light client, and what it must know of the answer. Pure text in, values out."""

from __future__ import annotations

import re
from dataclasses import dataclass

OPUS, VP8, RTX = 111, 96, 97
MID, RID, REPAIRED_RID, TWCC, LEVEL = 1, 2, 3, 4, 5
_EXTENSIONS = {
    MID: "urn:ietf:params:rtp-hdrext:sdes:mid",
    RID: "urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id",
    REPAIRED_RID: "urn:ietf:params:rtp-hdrext:sdes:repaired-rtp-stream-id",
    TWCC: "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01",
    LEVEL: "urn:ietf:params:rtp-hdrext:ssrc-audio-level",
}


@dataclass(frozen=True)
class Section:
    """One m-section that is offered. `sends` with `rids` is simulcast."""

    mid: str
    kind: str
    sends: bool
    rids: tuple[str, ...] = ()


@dataclass(frozen=True)
class Answered:
    """One m-section of the answer; an SSRC of 0 = there is none."""

    mid: str
    kind: str
    accepted: bool
    ssrc: int
    rtx_ssrc: int


@dataclass(frozen=True)
class Answer:
    """`remote` is the first candidate's address."""

    remote: tuple[str, int]
    ufrag: str
    pwd: str
    fingerprint: str
    sections: tuple[Answered, ...]


class BadAnswer(ValueError):
    """The answer lacks something; the text says what."""


def write(sections: list[Section], ufrag: str, pwd: str, fingerprint: str) -> str:
    """An SDP offer (RFC 8829) with all sections in one BUNDLE group."""
    lines = [
        "v=0",
        "o=- 1 1 IN IP4 127.0.0.1",
        "s=-",
        "t=0 0",
        "a=group:BUNDLE " + " ".join(section.mid for section in sections),
        "a=extmap-allow-mixed",
    ]
    for section in sections:
        lines += _section(section)
        lines += [f"a=ice-ufrag:{ufrag}", f"a=ice-pwd:{pwd}", f"a=fingerprint:sha-256 {fingerprint}"]
        lines += ["a=setup:actpass", "a=rtcp-mux", "a=rtcp-rsize"]
    return "\r\n".join(lines) + "\r\n"


def _section(section: Section) -> list[str]:
    video = section.kind == "video"
    formats = (VP8, RTX) if video else (OPUS,)
    extensions = (MID, RID, REPAIRED_RID, TWCC) if video else (MID, TWCC, LEVEL)
    lines = [
        f"m={section.kind} 9 UDP/TLS/RTP/SAVPF {' '.join(map(str, formats))}",
        "c=IN IP4 0.0.0.0",
        f"a=mid:{section.mid}",
        "a=sendonly" if section.sends else "a=recvonly",
        *(f"a=extmap:{number} {_EXTENSIONS[number]}" for number in extensions),
    ]
    if video:
        lines += [f"a=rtpmap:{VP8} VP8/90000", f"a=rtpmap:{RTX} rtx/90000", f"a=fmtp:{RTX} apt={VP8}"]
        lines += [f"a=rtcp-fb:{VP8} {feedback}" for feedback in ("transport-cc", "ccm fir", "nack", "nack pli")]
    else:
        lines += [f"a=rtpmap:{OPUS} opus/48000/2", f"a=rtcp-fb:{OPUS} transport-cc"]
        lines += [f"a=fmtp:{OPUS} minptime=10;useinbandfec=1"]
    if section.rids:
        lines += [f"a=rid:{rid} send" for rid in section.rids] + [f"a=simulcast:send {';'.join(section.rids)}"]
    return lines


def read(sdp: str) -> Answer:
    """Raises BadAnswer."""
    found = re.search(r"a=candidate:\S+ 1 udp \d+ (\S+) (\d+) typ host", sdp)
    if not found:
        raise BadAnswer("no UDP candidate")
    sections = tuple(_answered(block) for block in re.split(r"(?m)^m=", sdp)[1:])
    return Answer(
        (found[1], int(found[2])), _value(sdp, "ice-ufrag"), _value(sdp, "ice-pwd"),
        _value(sdp, "fingerprint").split()[1].upper(), sections,
    )  # fmt: skip


def _value(sdp: str, name: str) -> str:
    found = re.search(rf"(?m)^a={name}:(.*?)\r?$", sdp)
    if not found:
        raise BadAnswer(f"no a={name}")
    return found[1]


def _answered(block: str) -> Answered:
    kind, port = block.split()[:2]
    ssrcs = list(dict.fromkeys(int(number) for number in re.findall(r"(?m)^a=ssrc:(\d+) ", block)))
    group = re.search(r"a=ssrc-group:FID (\d+) (\d+)", block)
    pair = (int(group[1]), int(group[2])) if group else (ssrcs[0] if ssrcs else 0, 0)
    return Answered(_value(block, "mid"), kind, port != "0", *pair)
