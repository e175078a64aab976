"""What a light client publishes: streams of stamped packets with numbers, history, reports. Pure: `now_us` in.

With a reel and a voice (reels.py) the packets carry what a true encoder made, so that decoders see and hear somebody.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from benchmarks import packets, stamps
from benchmarks.offer import LEVEL, MID, OPUS, REPAIRED_RID, RID, RTX, TWCC, VP8
from benchmarks.packets import Rtp

# Chromium's history for repairs is about a second; at 1 Mbit/s that is 110 packets.
HISTORY = 512
# Chromium silently ignores what comes within 300 ms of the last key frame.
KEY_FRAME_GRACE_US = 300_000
PACKET_BYTES = 1150
FRAME_US = 20_000
FPS = 25
NTP_EPOCH_S = 2_208_988_800
SPEAKING_LEVEL, SILENT_LEVEL = 20, 127  # -dBov


@dataclass(frozen=True)
class Layer:
    """A simulcast layer; rid "" = the only one."""

    rid: str
    width: int
    height: int
    kbps: int


THREE_LAYERS = (Layer("q", 320, 180, 100), Layer("h", 640, 360, 300), Layer("f", 1280, 720, 900))
ONE_LAYER = (Layer("", 640, 360, 300),)


class Film(Protocol):
    """Encoded pictures; reels.Reel."""

    @property
    def layers(self) -> Sequence[Sequence[bytes]]: ...
    def next_group(self, place: int) -> int: ...


class Sound(Protocol):
    """Encoded sound; reels.Voice."""

    def frame(self, speaking: bool, since: int) -> bytes: ...


@dataclass
class Stream:
    """One SSRC: sequence numbers, the packets of the last second, and the totals for its SR."""

    ssrc: int
    mid: str
    payload_type: int
    clock_rate: int
    rid: str = ""
    rtx_ssrc: int = 0
    sequence: int = 0
    rtx_sequence: int = 0
    first_us: int = 0
    packets: int = 0
    octets: int = 0
    repaired: int = 0
    history: OrderedDict[int, Rtp] = field(default_factory=OrderedDict)

    def timestamp(self, now_us: int) -> int:
        return (now_us - self.first_us) * self.clock_rate // 1_000_000 + self.ssrc % 100_000

    def packet(self, timestamp: int, payload: bytes, *, marker: bool, level: int | None = None) -> Rtp:
        """The next packet; kept for repairs."""
        extensions = {MID: self.mid.encode()}
        if self.rid:
            extensions[RID] = self.rid.encode()
        if level is not None:
            extensions[LEVEL] = bytes([level])
        made = Rtp(self.payload_type, self.sequence & 0xFFFF, timestamp, self.ssrc, marker, payload, extensions)
        self.sequence += 1
        self.packets += 1
        self.octets += len(payload)
        if self.rtx_ssrc:
            self.history[made.sequence] = made
            if len(self.history) > HISTORY:
                self.history.popitem(last=False)
        return made

    def repair(self, sequence: int) -> Rtp | None:
        """The packet again, as RTX (RFC 4588); None when it is no longer kept."""
        old = self.history.get(sequence)
        if old is None:
            return None
        extensions = {MID: self.mid.encode()}
        if self.rid:
            extensions[REPAIRED_RID] = self.rid.encode()
        payload = old.sequence.to_bytes(2, "big") + old.payload
        made = Rtp(RTX, self.rtx_sequence & 0xFFFF, old.timestamp, self.rtx_ssrc, old.marker, payload, extensions)
        self.rtx_sequence += 1
        self.repaired += 1
        return made

    def report(self, now_us: int, unix_us: int) -> bytes:
        ntp_s = NTP_EPOCH_S + unix_us / 1_000_000
        return packets.sender_report(self.ssrc, ntp_s, self.timestamp(now_us), self.packets, self.octets)


class Camera:
    """All layers of one picture source. With a film, `groups` tells at which frame which place of it began."""

    def __init__(
        self,
        participant: int,
        source: str,
        mid: str,
        layers: tuple[Layer, ...],
        first_ssrc: int,
        film: Film | None = None,
        fps: int = FPS,
    ) -> None:
        self.participant, self.source, self.layers, self.fps = participant, source, layers, fps
        self.streams = [
            Stream(first_ssrc + 2 * at, mid, VP8, 90_000, layer.rid, first_ssrc + 2 * at + 1)
            for at, layer in enumerate(layers)
        ]
        self.frame = 0
        self.key_frames = 0
        self.groups: list[tuple[int, int, int]] = []  # frame, place, sent at (us)
        self._film = film
        self._place = -1
        self._wants_key = True
        self._key_at_us = -KEY_FRAME_GRACE_US

    def ask_key_frame(self, now_us: int) -> None:
        if now_us - self._key_at_us >= KEY_FRAME_GRACE_US:
            self._wants_key = True

    def frame_of_all_layers(self, now_us: int) -> Iterator[Rtp]:
        """The packets of the next frame."""
        key, self._wants_key = self._wants_key, False
        if self._film is not None:
            key = self._wind(self._film, key, now_us)
        if key:
            self._key_at_us = now_us
            self.key_frames += 1
        for at, (layer, stream) in enumerate(zip(self.layers, self.streams, strict=True)):
            stream.first_us = stream.first_us or now_us
            media = self._film.layers[at][self._place] if self._film is not None else b""
            octets = layer.kbps * 125 // self.fps * (3 if key else 1)
            count = 1 if media else max(1, -(-octets // PACKET_BYTES))
            timestamp = stream.timestamp(now_us)
            for number in range(count):
                stamp = stamps.Stamp(self.participant, self.source, at, self.frame, number, count, now_us)
                size = min(PACKET_BYTES, max(80, octets // count))
                shape = (layer.width, layer.height) if key else None
                picture = self.frame & 0x7FFF
                payload = stamps.write_vp8(
                    stamp, size, picture_id=picture, tl0=self.frame & 255, key=shape, media=media
                )
                yield stream.packet(timestamp, payload, marker=number == count - 1)
        self.frame += 1

    def _wind(self, film: Film, key: bool, now_us: int) -> bool:
        """To the next place, which after a request is a key frame; true where it is one."""
        following = film.next_group(self._place) if self._place >= 0 else 0
        self._place = following if key or self._place < 0 else (self._place + 1) % len(film.layers[0])
        if self._place == following:
            self.groups.append((self.frame, self._place, now_us))
            return True
        return False


class Microphone:
    """20 ms of stamped sound at a time; silent until `speaking` is set."""

    def __init__(self, participant: int, source: str, mid: str, ssrc: int, sound: Sound | None = None) -> None:
        self.participant, self.source = participant, source
        self.stream = Stream(ssrc, mid, OPUS, 48_000)
        self.frame = 0
        self.speaking = False
        self.spoken: set[int] = set()
        self._sound = sound
        self._was, self._since = False, 0

    def next_frame(self, now_us: int) -> Rtp:
        self.stream.first_us = self.stream.first_us or now_us
        stamp = stamps.Stamp(self.participant, self.source, int(self.speaking), self.frame, sent_us=now_us)
        if self.speaking:
            self.spoken.add(self.frame)
        self._since = self._since + 1 if self.speaking == self._was else 0
        self._was = self.speaking
        media = self._sound.frame(self.speaking, self._since) if self._sound is not None else b""
        timestamp = self.frame * 960 + self.stream.ssrc % 100_000
        level = SPEAKING_LEVEL if self.speaking else SILENT_LEVEL
        self.frame += 1
        return self.stream.packet(timestamp, stamps.write_opus(stamp, 80, media), marker=False, level=level)


class Numbering:
    """Transport-wide numbers: one space for all that leaves (TWCC)."""

    def __init__(self) -> None:
        self._next = 0

    def stamp(self, packet: Rtp) -> bytes:
        number, self._next = self._next, self._next + 1
        packet.extensions[TWCC] = (number & 0xFFFF).to_bytes(2, "big")
        return packets.write_rtp(packet)
