"""SDP text to values (RFC 8866, 8829 and friends). Nothing is decided here; `str()` of the values writes them.

`parse` raises nothing but BadOffer. What it does not know it ignores; what it knows and cannot read
is an error that names the line. Attributes that stand at session level as a default (ICE, DTLS,
direction, header extensions) are filled into each m-section, so a reader never looks in two places.
Every step is linear in the text; there are no regular expressions with repetition inside repetition.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Final

from sfu.errors import BadOffer
from sfu.signalling.sdp_attributes import ATTRIBUTES, FIELDS, Block, Unreadable, media_line
from sfu.signalling.sdp_values import (
    Codec,
    Extension,
    Fingerprint,
    MediaSection,
    Rid,
    SessionDescription,
    SimulcastRid,
    Ssrc,
    SsrcGroup,
    is_rtp,
)

__all__ = [
    "Codec",
    "Extension",
    "Fingerprint",
    "MediaSection",
    "Rid",
    "SessionDescription",
    "SimulcastRid",
    "Ssrc",
    "SsrcGroup",
    "is_rtp",
    "parse",
]

# Chromium's offer with 39 slots is 210 kB; more only lets a stranger buy our CPU with a cheap message.
SDP_BYTES_MAX: Final = 512 * 1024
# 39 slots, 4 sources and some stopped lines are 50. Each m-section costs about 5 kB of answer.
MEDIA_SECTIONS_MAX: Final = 128
# Chromium writes about 130 lines per video section, and as many candidates as it has networks.
SECTION_LINES_MAX: Final = 1_000
# One reason quotes at most so much of what the stranger wrote.
QUOTE_LENGTH_MAX: Final = 80

# A hundred lines on codecs are two thirds of a slot, and all slots of all browsers of one kind have the same, so what
# they come to is kept. More of them, or longer ones than browsers write, would only be a stranger's.
CODEC_TEXTS_KEPT: Final = 64
CODEC_TEXT_KEPT_MAX: Final = 8 * 1024
_CODEC_LINES: Final = ("a=rtpmap:", "a=fmtp:", "a=rtcp-fb:")

# RFC 3551: payload types that may stand in an m-line without an a=rtpmap.
STATIC_CODECS: Final[Mapping[int, tuple[str, int]]] = {
    0: ("PCMU", 8000),
    3: ("GSM", 8000),
    8: ("PCMA", 8000),
    9: ("G722", 8000),
    13: ("CN", 8000),
    18: ("G729", 8000),
}


def parse(text: str) -> SessionDescription:
    """The values of an SDP text. Raises BadOffer, whose reason names the line, and nothing else.

    Limits: SDP_BYTES_MAX bytes, MEDIA_SECTIONS_MAX m-sections, SECTION_LINES_MAX lines in each.
    """
    _check_size(text)
    blocks: list[list[tuple[int, str]]] = [[]]
    for number, line in enumerate(text.split("\n"), start=1):
        line = line.rstrip("\r")
        if line.startswith("m="):
            if len(blocks) > MEDIA_SECTIONS_MAX:
                raise BadOffer(f"the SDP has more than {MEDIA_SECTIONS_MAX} m-sections")
            blocks.append([])
        if line.strip():
            blocks[-1].append((number, line))
            if len(blocks[-1]) > SECTION_LINES_MAX:
                raise BadOffer(f"SDP line {number}: more than {SECTION_LINES_MAX} lines in one section")
    if not blocks[0] or blocks[0][0][1].strip() != "v=0":
        raise BadOffer("the SDP does not begin with v=0")
    session = _read_block(blocks[0], Block())
    media = tuple(_section(_read_block(block, Block(), first=1), block[0], session) for block in blocks[1:])
    return SessionDescription(
        origin=session.origin,
        name=session.name,
        groups=tuple(session.groups),
        ice_lite=session.ice_lite,
        ice_ufrag=session.ice_ufrag,
        ice_pwd=session.ice_pwd,
        fingerprints=tuple(session.fingerprints),
        setup=session.setup,
        direction=session.direction or "sendrecv",
        extmap_allow_mixed=session.extmap_allow_mixed,
        extensions=tuple(session.extensions),
        msid_semantic=session.msid_semantic,
        media=media,
    )


def _check_size(text: str) -> None:
    try:
        size = len(text) if len(text) > SDP_BYTES_MAX else len(text.encode())
    except UnicodeEncodeError as error:
        raise BadOffer("the SDP is not valid Unicode") from error
    if size > SDP_BYTES_MAX:
        raise BadOffer(f"the SDP is larger than {SDP_BYTES_MAX} bytes")


def _read_block(lines: list[tuple[int, str]], block: Block, first: int = 0) -> Block:
    for number, line in lines[first:]:
        if line.startswith(_CODEC_LINES):
            block.codec_lines.append((number, line))
            continue
        if len(line) < 2 or line[1] != "=":
            raise BadOffer(f"SDP line {number} is not of the form x=...: {_quote(line)}")
        if line[0] == "a":
            name, _, value = line[2:].partition(":")
            reader = ATTRIBUTES.get(name.strip())
        else:
            reader, value = FIELDS.get(line[0]), line[2:]
        if reader is None:
            continue
        try:
            reader(block, value.strip())
        except Unreadable as error:
            raise BadOffer(f"SDP line {number}: {error}: {_quote(line)}") from error
    return block


def _section(block: Block, head: tuple[int, str], session: Block) -> MediaSection:
    """An m-section with the session's defaults filled in."""
    number, line = head
    try:
        kind, port, protocol, formats = media_line(line[2:])
    except Unreadable as error:
        raise BadOffer(f"SDP line {number}: {error}: {_quote(line)}") from error
    return MediaSection(
        kind=kind,
        port=port,
        protocol=protocol,
        formats=formats,
        connection=block.connection,
        mid=block.mid,
        direction=block.direction or session.direction or "sendrecv",
        ice_ufrag=block.ice_ufrag if block.ice_ufrag is not None else session.ice_ufrag,
        ice_pwd=block.ice_pwd if block.ice_pwd is not None else session.ice_pwd,
        fingerprints=tuple(block.fingerprints or session.fingerprints),
        setup=block.setup or session.setup,
        rtcp_mux=block.rtcp_mux,
        rtcp_rsize=block.rtcp_rsize,
        extmap_allow_mixed=block.extmap_allow_mixed,
        bundle_only=block.bundle_only,
        codecs=_codecs(formats, block) if is_rtp(protocol) else (),
        extensions=tuple(block.extensions or session.extensions),
        rids=tuple(block.rids),
        simulcast_send=block.simulcast.get("send", ()),
        simulcast_recv=block.simulcast.get("recv", ()),
        ssrcs=tuple(Ssrc(ssrc, attributes) for ssrc, attributes in block.ssrcs.items()),
        ssrc_groups=tuple(block.ssrc_groups),
        msids=tuple(block.msids),
        candidates=tuple(block.candidates),
        end_of_candidates=block.end_of_candidates,
    )


def _codecs(formats: tuple[str, ...], block: Block) -> tuple[Codec, ...]:
    """The payload types of the m-line, in its order; those that nothing describes are left out."""
    lines = tuple(line for _, line in block.codec_lines)
    read = _read_codecs if sum(map(len, lines)) > CODEC_TEXT_KEPT_MAX else _kept_codecs
    try:
        return read(formats, lines)
    except _UnreadableAt as error:
        number, line = block.codec_lines[error.at]
        raise BadOffer(f"SDP line {number}: {error}: {_quote(line)}") from error


class _UnreadableAt(Unreadable):
    """Which of the codec lines it was."""

    def __init__(self, at: int, error: Unreadable) -> None:
        super().__init__(str(error))
        self.at = at


def _read_codecs(formats: tuple[str, ...], lines: tuple[str, ...]) -> tuple[Codec, ...]:
    block = Block()
    for at, line in enumerate(lines):
        name, _, value = line[2:].partition(":")
        try:
            ATTRIBUTES[name](block, value.strip())
        except Unreadable as error:
            raise _UnreadableAt(at, error) from error
    return tuple(_described(formats, block))


_kept_codecs = lru_cache(maxsize=CODEC_TEXTS_KEPT)(_read_codecs)


def _described(formats: tuple[str, ...], block: Block) -> Iterator[Codec]:
    everywhere = block.feedback.get(-1, set())
    for payload_type in map(int, formats):
        described = block.rtpmaps.get(payload_type)
        if described is None and payload_type in STATIC_CODECS:
            described = (*STATIC_CODECS[payload_type], 1)
        if described is not None:
            feedback = frozenset(block.feedback.get(payload_type, set()) | everywhere)
            yield Codec(payload_type, *described, block.fmtps.get(payload_type, {}), feedback)


def _quote(line: str) -> str:
    return repr(line if len(line) <= QUOTE_LENGTH_MAX else line[:QUOTE_LENGTH_MAX] + "...")
