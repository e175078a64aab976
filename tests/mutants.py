"""Mutants of recorded datagrams: seeded, without end. Most are sealed anew, so that they get behind the tag."""

from __future__ import annotations

import hashlib
import hmac
import random
import zlib
from collections import deque
from collections.abc import Callable, Sequence
from typing import TypeVar

from sfu.routing.kernel.srtp import Session
from sfu.routing.tables import PACKET_BYTES, STREAMS_PER_PEER
from tests.captures import Recorded, is_media, is_rtcp, opened

# Bytes that length, count and flag fields fear most.
EXTREMES = (0x00, 0x01, 0x0F, 0x1F, 0x7F, 0x80, 0x90, 0xBF, 0xC0, 0xFE, 0xFF)
# What the tag and the SRTCP index add; a sealed mutant must still fit the kernel's buffer.
SEALED_MAX = PACKET_BYTES - 36
REMEMBERED = 64

T = TypeVar("T")
Mutation = Callable[[bytearray, bytes, random.Random], bytearray]


def pick(chance: random.Random, among: Sequence[T]) -> T:
    """As Random.choice, in a third of its time."""
    return among[int(chance.random() * len(among))]


def below(chance: random.Random, limit: int) -> int:
    """As Random.randrange, in a third of its time."""
    return int(chance.random() * limit)


def flip(octets: bytearray, other: bytes, chance: random.Random) -> bytearray:
    """One to eight bits, half of the time in the first 24 bytes."""
    for _ in range(chance.randrange(1, 9)):
        reach = min(24, len(octets)) if chance.random() < 0.5 else len(octets)
        octets[int(chance.random() * reach)] ^= 1 << below(chance, 8)
    return octets


def truncate(octets: bytearray, other: bytes, chance: random.Random) -> bytearray:
    return octets[: below(chance, len(octets) + 1)]


def extend(octets: bytearray, other: bytes, chance: random.Random) -> bytearray:
    return octets + chance.randbytes(chance.randrange(1, 400))


def exaggerate(octets: bytearray, other: bytes, chance: random.Random) -> bytearray:
    """A header field at an extreme: one, two or four bytes."""
    at = chance.randrange(min(32, len(octets)))
    for step in range(pick(chance, (1, 2, 4))):
        if at + step < len(octets):
            octets[at + step] = pick(chance, EXTREMES)
    return octets


def splice(octets: bytearray, other: bytes, chance: random.Random) -> bytearray:
    """The head of one and the tail of another."""
    return octets[: below(chance, len(octets) + 1)] + other[below(chance, len(other) + 1) :]


def lie(octets: bytearray, other: bytes, chance: random.Random) -> bytearray:
    """The lengths and counts of RTP and RTCP: CSRCs or blocks, extension words, element length, padding, RTCP words."""
    place = below(chance, 5)
    if place == 0 and octets:
        octets[0] = octets[0] & 0xE0 | below(chance, 32)
    elif place == 1 and len(octets) >= 16:
        octets[0] |= 0x10
        words = pick(chance, (0, 1, 3, 90, 400, 0xFFFF))
        octets[12:16] = pick(chance, (b"\xbe\xde", b"\x10\x00")) + words.to_bytes(2, "big")
    elif place == 2 and len(octets) >= 17:
        octets[16] = octets[16] & 0xF0 | below(chance, 16)
    elif place == 3 and octets:
        octets[0] |= 0x20
        octets[-1] = pick(chance, EXTREMES)
    elif len(octets) >= 4:
        octets[2:4] = pick(chance, (0, 1, 2, 0x00FF, 0x7FFF, 0xFFFF)).to_bytes(2, "big")
    return octets


def keep(octets: bytearray, other: bytes, chance: random.Random) -> bytearray:
    """As it was: mutants shall meet a stream that runs."""
    return octets


MUTATIONS: tuple[Mutation, ...] = (flip, truncate, extend, exaggerate, splice, lie, lie, keep, keep)


class Participant:
    """Datagrams of one who has passed every door: what `recorded` sent, mutated, under the keys of `session`."""

    def __init__(
        self,
        recorded: Recorded,
        session: Session,
        ice: tuple[str, bytes],
        foreign: Sequence[int],
        chance: random.Random,
    ) -> None:
        """`ice`: the server's ufrag and password for this peer. `foreign`: SSRCs of others, to be stolen."""
        self._plain = opened(recorded)
        self._raw = recorded.datagrams
        self._strange = [datagram for datagram in recorded.datagrams if not is_media(datagram)]
        self._checks = [datagram for datagram in self._strange if datagram[0] < 4]
        self._flights = [datagram for datagram in self._strange if datagram[0] >= 4]
        self._session = session
        self._ice = ice
        self._foreign = tuple(foreign)
        self._chance = chance
        self._highest: dict[int, int] = {}  # of each SSRC that the server knows: the highest index, as it knows it
        self._heard: dict[int, int] = {}  # the newest number that the server sent, by SSRC
        self._repairs = _repaired_ssrcs(recorded, [each.plain for each in self._plain if not each.rtcp])
        self._sent: deque[bytes] = deque(maxlen=REMEMBERED)
        firsts = {each.plain[8:12]: each for each in reversed(self._plain) if not each.rtcp}
        self._waiting = [self._seal(bytearray(each.plain), rtcp=False) for each in firsts.values()]

    def hear(self, datagram: bytes) -> None:
        """What the server sent, so that a NACK can name it."""
        if is_media(datagram) and not is_rtcp(datagram):
            self._heard[int.from_bytes(datagram[8:12], "big")] = int.from_bytes(datagram[2:4], "big")

    def next(self) -> bytes:
        """One more. The first ones are unhurt and make each of its streams known."""
        if self._waiting:
            return self._waiting.pop()
        roll = self._chance.random()
        if roll < 0.80:
            made = self._sealed()
        elif roll < 0.85 and self._sent:
            return pick(self._chance, tuple(self._sent))
        elif roll < 0.87:
            made = self.check()
        elif roll < 0.88:
            made = self._mutated(pick(self._chance, self._strange))
        elif roll < 0.94:
            made = self.raw()
        else:
            made = self._mutated(self._sealed() or b"\x80")
        self._sent.append(made)
        return made

    def raw(self) -> bytes:
        """A mutant of what was on the wire: whatever holds a tag now holds a wrong one."""
        return self._mutated(pick(self._chance, self._raw))

    def handshake(self) -> bytes:
        """A mutant of a DTLS datagram."""
        return self._mutated(pick(self._chance, self._flights))

    def check(self) -> bytes:
        """A binding request of the browser's with mutated attributes, signed anew (RFC 8489 14.5, 14.7)."""
        recorded = pick(self._chance, self._checks)
        ufrag, password = self._ice
        name = f"{ufrag}:theirs".encode()
        attributes = b"\x00\x06" + len(name).to_bytes(2, "big") + name + bytes(-len(name) % 4)
        rest, at = b"", 20
        while at + 4 <= len(recorded):
            kind, size = int.from_bytes(recorded[at : at + 2], "big"), int.from_bytes(recorded[at + 2 : at + 4], "big")
            end = at + 4 + size + -size % 4
            rest += recorded[at:end] if kind not in (0x0006, 0x0008, 0x8028) else b""
            at = end
        attributes += rest if self._chance.random() < 0.3 else self._mutated(rest)
        attributes = attributes[: len(attributes) & ~3]
        transaction = b"\x21\x12\xa4\x42" + self._chance.randbytes(12)
        signed = b"\x00\x01" + (len(attributes) + 24).to_bytes(2, "big") + transaction + attributes
        integrity = b"\x00\x08\x00\x14" + hmac.digest(password, signed, hashlib.sha1)
        whole = b"\x00\x01" + (len(attributes) + 32).to_bytes(2, "big") + signed[4:] + integrity
        return whole + b"\x80\x28\x00\x04" + (zlib.crc32(whole) ^ 0x5354554E).to_bytes(4, "big")

    def _mutated(self, octets: bytes) -> bytes:
        if not octets:
            return octets
        other = pick(self._chance, self._raw)
        return bytes(pick(self._chance, MUTATIONS)(bytearray(octets), other, self._chance))

    def _sealed(self) -> bytes:
        """A mutant of a packet in clear, sealed; left as it is where it cannot be sealed."""
        chance = self._chance
        base = pick(chance, self._plain)
        octets = bytearray(base.plain)
        if chance.random() < 0.06 and self._foreign:
            at = 8 if not base.rtcp or chance.random() < 0.5 else 4
            octets[at : at + 4] = pick(chance, self._foreign).to_bytes(4, "big")
        elif base.rtcp:
            self._ask_for_newest(octets)
        else:
            self._resequence(octets)
        other = pick(chance, self._plain).plain
        return self._seal(pick(chance, MUTATIONS)(octets, other, chance), rtcp=base.rtcp)

    def _seal(self, octets: bytearray, *, rtcp: bool) -> bytes:
        made = bytes(octets[:SEALED_MAX])
        try:
            return self._session.seal_rtcp(made) if rtcp else self._session.seal_rtp(made, self._index(made))
        except ValueError:
            return made

    def _resequence(self, octets: bytearray) -> None:
        """The next number of its stream, now and then after a gap: recorded ones would soon be too old."""
        ssrc, chance = int.from_bytes(octets[8:12], "big"), self._chance
        number = self._highest.get(ssrc, int.from_bytes(octets[2:4], "big"))
        number += 1 if chance.random() < 0.97 else chance.randrange(-40, 60)
        octets[2:4] = (number & 0xFFFF).to_bytes(2, "big")
        repaired = self._highest.get(self._repairs.get(ssrc, 0))
        if repaired is not None:
            at = _payload_at(octets)
            octets[at : at + 2] = ((repaired - below(chance, 30)) & 0xFFFF).to_bytes(2, "big")

    def _ask_for_newest(self, octets: bytearray) -> None:
        """The NACKs (RFC 4585 6.2.1) ask for what was sent just now: what was recorded is not there any longer."""
        at = 0
        while at + 16 <= len(octets):
            heard = self._heard.get(int.from_bytes(octets[at + 8 : at + 12], "big"))
            if octets[at + 1] == 205 and octets[at] & 31 == 1 and heard is not None:
                octets[at + 12 : at + 14] = ((heard - below(self._chance, 20)) & 0xFFFF).to_bytes(2, "big")
            at += 4 + 4 * int.from_bytes(octets[at + 2 : at + 4], "big")

    def _index(self, octets: bytes) -> int:
        """The index under which the server will open it (RFC 3711 3.3.1), as far as that can be foretold."""
        ssrc, sequence = int.from_bytes(octets[8:12], "big"), int.from_bytes(octets[2:4], "big")
        before = self._highest.get(ssrc)
        index = sequence if before is None else before + (sequence - before + 0x8000) % 0x10000 - 0x8000
        if before is not None or len(self._highest) < STREAMS_PER_PEER:
            self._highest[ssrc] = max(index, before or 0)
        return max(0, index)


def _payload_at(octets: bytes | bytearray) -> int:
    """Where the payload of a recorded RTP packet begins (RFC 3550 5.1, 5.3.1)."""
    at = 12 + 4 * (octets[0] & 15)
    return at + 4 + 4 * int.from_bytes(octets[at + 2 : at + 4], "big") if octets[0] & 0x10 else at


def _repaired_ssrcs(recorded: Recorded, plain: Sequence[bytes]) -> dict[int, int]:
    """RTX SSRC -> the SSRC whose recorded numbers are nearest to those that it repeats (RFC 4588 4)."""
    types = {track.rtx_payload_type for track in recorded.description.tracks if track.rtx_payload_type}
    media = [one for one in plain if one[1] & 127 not in types]
    numbers = {int.from_bytes(one[8:12], "big"): int.from_bytes(one[2:4], "big") for one in media}
    found = {}
    for one in plain:
        at = _payload_at(one)
        if one[1] & 127 in types and len(one) - (one[-1] if one[0] & 0x20 else 0) >= at + 2:
            repeated = int.from_bytes(one[at : at + 2], "big")
            found[int.from_bytes(one[8:12], "big")] = min(numbers, key=lambda ssrc: abs(numbers[ssrc] - repeated))
    return found
