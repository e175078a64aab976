"""What real browsers sent to a running server, kept to make mutants of. `capture_browsers.py` records it.

Only the way from the browser to the server is kept, where no datagram holds an address. The keys of the recorded
sessions stand beside what was sealed with them: the sessions are over, and only so can a mutant be sealed again
with the keys of a test's own session and get behind the authentication.
"""

from __future__ import annotations

from pathlib import Path

import msgspec

from sfu import channel
from sfu.routing.kernel.srtp import Session
from sfu.routing.tables import Profile

FOLDER = Path(__file__).resolve().parent / "recorded"
BROWSERS = ("chromium", "firefox")


class Recorded(msgspec.Struct, frozen=True):
    """One peer connection. `description` is what its offer became; `key` and `salt` are those it sealed with."""

    browser: str
    description: channel.Describe
    profile: str
    key: bytes
    salt: bytes
    datagrams: tuple[bytes, ...]


class Opened(msgspec.Struct, frozen=True):
    """A recorded packet in clear."""

    plain: bytes
    rtcp: bool


def load() -> list[Recorded]:
    """All that was recorded."""
    decoder = msgspec.msgpack.Decoder(list[Recorded])
    return [one for browser in BROWSERS for one in decoder.decode((FOLDER / f"{browser}.msgpack").read_bytes())]


def opened(recorded: Recorded) -> list[Opened]:
    """Its RTP and RTCP in clear, in order. Raises ValueError where one does not open."""
    keys = (recorded.key, recorded.salt)
    session = Session(Profile[recorded.profile].value, *keys, *keys)
    found = []
    highest: dict[int, int] = {}
    for datagram in filter(is_media, recorded.datagrams):
        if is_rtcp(datagram):
            plain = session.open_rtcp(datagram)
        else:
            ssrc, sequence = int.from_bytes(datagram[8:12], "big"), int.from_bytes(datagram[2:4], "big")
            before = highest.get(ssrc, sequence)
            index = max(0, before + (sequence - before + 0x8000) % 0x10000 - 0x8000)
            highest[ssrc] = max(before, index)
            plain = session.open_rtp(datagram, index)
        if plain is None:
            raise ValueError(f"a recorded datagram of {recorded.browser} does not open")
        found.append(Opened(plain, is_rtcp(datagram)))
    return found


def is_media(datagram: bytes) -> bool:
    """RTP or RTCP, by RFC 7983."""
    return 128 <= datagram[0] <= 191


def is_rtcp(datagram: bytes) -> bool:
    """By RFC 5761."""
    return is_media(datagram) and 192 <= datagram[1] <= 223
