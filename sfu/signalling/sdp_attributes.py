"""One reader for each SDP line and attribute that is understood: `FIELDS` and `ATTRIBUTES` dispatch by name.

A reader puts its value into a `Block`, or raises Unreadable with what is wrong; the caller adds the line.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

from sfu.signalling.sdp_values import Extension, Fingerprint, Rid, SimulcastRid, SimulcastStreams, SsrcGroup, is_rtp

SSRC_MAX: Final = 2**32 - 1
# RFC 8285: 1-255 in packets, 4096-4351 for an id to be chosen later.
EXTENSION_ID_MAX: Final = 4351
DIRECTIONS: Final = ("sendrecv", "sendonly", "recvonly", "inactive")
SETUPS: Final = ("actpass", "active", "passive", "holdconn")
_TOKEN: Final = frozenset("!#$%&'*+-.0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ^_`abcdefghijklmnopqrstuvwxyz{|}~")
_RID: Final = frozenset("-0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz")


class Unreadable(ValueError):
    """A known line that cannot be read; `_read_block` adds the line's number."""


@dataclass(slots=True)
class Block:
    """What was read so far of the session part or of one m-section."""

    origin: str = "- 0 0 IN IP4 127.0.0.1"
    name: str = "-"
    connection: str = "IN IP4 0.0.0.0"
    groups: list[tuple[str, tuple[str, ...]]] = field(default_factory=list)
    ice_lite: bool = False
    msid_semantic: str = ""
    mid: str | None = None
    direction: str = ""
    ice_ufrag: str | None = None
    ice_pwd: str | None = None
    fingerprints: list[Fingerprint] = field(default_factory=list)
    setup: str | None = None
    rtcp_mux: bool = False
    rtcp_rsize: bool = False
    extmap_allow_mixed: bool = False
    bundle_only: bool = False
    end_of_candidates: bool = False
    codec_lines: list[tuple[int, str]] = field(default_factory=list)  # with their numbers, not yet read
    rtpmaps: dict[int, tuple[str, int, int]] = field(default_factory=dict)
    fmtps: dict[int, dict[str, str]] = field(default_factory=dict)
    feedback: dict[int, set[str]] = field(default_factory=dict)  # -1 = every payload type
    extensions: list[Extension] = field(default_factory=list)
    rids: list[Rid] = field(default_factory=list)
    simulcast: dict[str, SimulcastStreams] = field(default_factory=dict)
    ssrcs: dict[int, dict[str, str]] = field(default_factory=dict)
    ssrc_groups: list[SsrcGroup] = field(default_factory=list)
    msids: list[str] = field(default_factory=list)
    candidates: list[str] = field(default_factory=list)


def _number(text: str, what: str, largest: int) -> int:
    """Digits only: `int()` alone would take "1_0", "+1" and other scripts' digits, and refuse very long ones."""
    if not (text.isascii() and text.isdigit() and len(text) <= 10) or int(text) > largest:
        raise Unreadable(f"the {what} is not a number from 0 to {largest}")
    return int(text)


def _token(text: str, what: str, allowed: frozenset[str] = _TOKEN) -> str:
    if not text or not allowed.issuperset(text):
        raise Unreadable(f"the {what} is empty or has a character that is not allowed")
    return text


def _one_of(text: str, what: str, choices: tuple[str, ...]) -> str:
    if text not in choices:
        raise Unreadable(f"the {what} is none of {', '.join(choices)}")
    return text


def _printable(text: str, what: str) -> str:
    """One word of visible ASCII, as ice-char and its neighbours in the wild are."""
    if not text or not text.isascii() or not text.isprintable() or " " in text:
        raise Unreadable(f"the {what} is empty or has a character that is not allowed")
    return text


def _head(value: str, what: str) -> tuple[str, str]:
    """The first word and the rest, which must not be missing."""
    word, _, rest = value.partition(" ")
    if not word or not rest.strip():
        raise Unreadable(f"the {what} is cut short")
    return word, rest.strip()


def media_line(value: str) -> tuple[str, int, str, tuple[str, ...]]:
    """Kind, port, protocol and formats of `m=`."""
    parts = value.split()
    if len(parts) < 4:
        raise Unreadable("an m-line needs kind, port, protocol and a format")
    kind = _token(parts[0], "kind")
    port = _number(parts[1].partition("/")[0], "port", 65_535)
    protocol = "/".join(_token(part, "protocol") for part in parts[2].split("/"))
    formats = tuple(dict.fromkeys(_token(part, "format") for part in parts[3:]))
    if is_rtp(protocol):
        formats = tuple(dict.fromkeys(str(_number(text, "payload type", 127)) for text in formats))
    return kind, port, protocol, formats


def _read_group(block: Block, value: str) -> None:
    semantics, *mids = value.split() or [""]
    block.groups.append((_token(semantics, "group"), tuple(_token(mid, "mid") for mid in mids)))


def _read_fingerprint(block: Block, value: str) -> None:
    algorithm, digest = _head(value, "fingerprint")
    pairs = digest.upper().split(":")
    if not all(len(pair) == 2 and set(pair) <= set("0123456789ABCDEF") for pair in pairs):
        raise Unreadable("the fingerprint is not hex pairs with colons")
    block.fingerprints.append(Fingerprint(_token(algorithm.lower(), "hash"), ":".join(pairs)))


def _read_rtpmap(block: Block, value: str) -> None:
    word, rest = _head(value, "rtpmap")
    name, *numbers = rest.split("/")
    if not 1 <= len(numbers) <= 2:
        raise Unreadable("the rtpmap is not name/clock[/channels]")
    clock_rate = _number(numbers[0], "clock rate", 10_000_000)
    channels = _number(numbers[1], "number of channels", 255) if len(numbers) == 2 else 1
    block.rtpmaps[_number(word, "payload type", 127)] = (_token(name, "codec"), clock_rate, channels)


def _read_fmtp(block: Block, value: str) -> None:
    word, rest = _head(value, "fmtp")
    parameters = block.fmtps.setdefault(_number(word, "payload type", 127), {})
    for part in rest.split(";"):
        key, _, setting = part.partition("=")
        if key.strip():
            parameters[key.strip().lower()] = setting.strip()


def _read_feedback(block: Block, value: str) -> None:
    word, rest = _head(value, "rtcp-fb")
    payload_type = -1 if word == "*" else _number(word, "payload type", 127)
    block.feedback.setdefault(payload_type, set()).add(" ".join(rest.split()))


def _read_extension(block: Block, value: str) -> None:
    word, rest = _head(value, "extmap")
    number, slash, direction = word.partition("/")
    uri, _, attributes = rest.partition(" ")
    if slash:
        _one_of(direction, "direction", DIRECTIONS)
    identifier = _number(number, "extension id", EXTENSION_ID_MAX)
    if identifier == 0:
        raise Unreadable("the extension id is 0")
    block.extensions.append(Extension(identifier, _printable(uri, "extension URI"), direction, attributes.strip()))


def _read_rid(block: Block, value: str) -> None:
    word, rest = _head(value, "rid")
    direction, _, restrictions = rest.partition(" ")
    _one_of(direction, "direction", ("send", "recv"))
    block.rids.append(Rid(_token(word, "rid", _RID), direction, restrictions.strip()))


def _read_simulcast(block: Block, value: str) -> None:
    words = value.split()
    if len(words) not in (2, 4):
        raise Unreadable("a=simulcast is not `send LIST`, `recv LIST` or both")
    for direction, streams in zip(words[::2], words[1::2], strict=True):
        _one_of(direction, "direction", ("send", "recv"))
        if direction in block.simulcast:
            raise Unreadable(f"a=simulcast says `{direction}` twice")
        block.simulcast[direction] = tuple(
            tuple(_simulcast_rid(word) for word in stream.split(",")) for stream in streams.split(";")
        )


def _simulcast_rid(word: str) -> SimulcastRid:
    return SimulcastRid(_token(word.removeprefix("~"), "rid", _RID), word.startswith("~"))


def _read_ssrc(block: Block, value: str) -> None:
    """`a=ssrc:1 foo` (an attribute without a value) is legal; `a=ssrc:1` alone is taken, too."""
    word, _, rest = value.partition(" ")
    attributes = block.ssrcs.setdefault(_number(word, "SSRC", SSRC_MAX), {})
    name, _, setting = rest.strip().partition(":")
    if name.strip():
        attributes[name.strip()] = setting.strip()


def _read_ssrc_group(block: Block, value: str) -> None:
    semantics, *words = value.split() or [""]
    ssrcs = tuple(_number(word, "SSRC", SSRC_MAX) for word in words)
    block.ssrc_groups.append(SsrcGroup(_token(semantics, "group"), ssrcs))


def _text(name: str) -> Callable[[Block, str], None]:
    """A reader that keeps the value as it stands, if there is any."""

    def read(block: Block, value: str) -> None:
        if value:
            setattr(block, name, value)

    return read


def _word(name: str, what: str, allowed: frozenset[str] | None = None) -> Callable[[Block, str], None]:
    def read(block: Block, value: str) -> None:
        setattr(block, name, _token(value, what, allowed) if allowed else _printable(value, what))

    return read


def _flag(name: str) -> Callable[[Block, str], None]:
    def read(block: Block, value: str) -> None:
        setattr(block, name, True)

    return read


def _list(name: str) -> Callable[[Block, str], None]:
    def read(block: Block, value: str) -> None:
        if value:
            getattr(block, name).append(value)

    return read


def _direction(direction: str) -> Callable[[Block, str], None]:
    def read(block: Block, value: str) -> None:
        block.direction = direction

    return read


def _read_setup(block: Block, value: str) -> None:
    block.setup = _one_of(value.lower(), "setup", SETUPS)


FIELDS: Final[Mapping[str, Callable[[Block, str], None]]] = {
    "o": _text("origin"),
    "s": _text("name"),
    "c": _text("connection"),
}
ATTRIBUTES: Final[Mapping[str, Callable[[Block, str], None]]] = {
    "group": _read_group,
    "ice-lite": _flag("ice_lite"),
    "msid-semantic": _text("msid_semantic"),
    "mid": _word("mid", "mid", _TOKEN),
    "ice-ufrag": _word("ice_ufrag", "ice-ufrag"),
    "ice-pwd": _word("ice_pwd", "ice-pwd"),
    "fingerprint": _read_fingerprint,
    "setup": _read_setup,
    "rtcp-mux": _flag("rtcp_mux"),
    "rtcp-rsize": _flag("rtcp_rsize"),
    "extmap-allow-mixed": _flag("extmap_allow_mixed"),
    "bundle-only": _flag("bundle_only"),
    "end-of-candidates": _flag("end_of_candidates"),
    "rtpmap": _read_rtpmap,
    "fmtp": _read_fmtp,
    "rtcp-fb": _read_feedback,
    "extmap": _read_extension,
    "rid": _read_rid,
    "simulcast": _read_simulcast,
    "ssrc": _read_ssrc,
    "ssrc-group": _read_ssrc_group,
    "msid": _list("msids"),
    "candidate": _list("candidates"),
    **{direction: _direction(direction) for direction in DIRECTIONS},
}
