"""What a light client's slots were sent: repairs asked for, content checked, every gap counted. Pure: `now_us` in.

What bears no stamp is wrong, unless somebody is there who cannot stamp, as an encoder of libwebrtc: then a slot keeps
it (`keeps_foreign`), and foreign.py decodes it and says who it was.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from aiortc.codecs.vpx import VpxPayloadDescriptor

from benchmarks import packets, stamps
from benchmarks.packets import Rtp

# As Chromium: at once, again each 50 ms or so, and given up when a key frame is the better cure.
NACK_AGAIN_US = 50_000
NACK_TIMES = 8
GIVEN_UP_US = 500_000
# A jump that no loss makes: the stream began again.
JUMP_MAX = 1000
# As the server limits them, and as Chromium does.
PLI_EVERY_US = 300_000
# In the place of a participant: the stretch is without stamps.
FOREIGN = -1


@dataclass(slots=True)
class _Missing:
    since_us: int
    asked_us: int = 0
    times: int = 0


@dataclass
class Shown:
    """A stretch in which a slot carried one layer of one source. Times in microseconds of the receiver's clock."""

    participant: int
    source: str
    layer: int
    first_us: int
    last_us: int
    first_frame: int
    last_frame: int
    frames: int = 1


@dataclass(frozen=True, slots=True)
class Foreign:
    """A packet without a stamp. `number` is its extended sequence number, `stretch` the place in `Slot.shown`."""

    at_us: int
    number: int
    timestamp: int
    payload: bytes
    stretch: int = 0


@dataclass(frozen=True)
class Report:
    """The sums of one slot. Wrong content, numbers that went back and unsteady pictures must be 0 for ever."""

    packets: int
    lost: int
    recovered: int
    wrong_content: int
    backwards: int
    broken_pictures: int
    longest_gap_ms: float


@dataclass
class Slot:
    """One recvonly m-section."""

    mid: str
    kind: str
    ssrc: int
    rtx_ssrc: int
    packets: int = 0
    lost: int = 0
    recovered: int = 0
    wrong_content: int = 0
    backwards: int = 0
    broken_pictures: int = 0
    longest_gap_us: int = 0
    newest: int = -1
    shown: list[Shown] = field(default_factory=list)
    heard: dict[int, set[int]] = field(default_factory=dict)  # participant -> frames spoken that came
    layers: Counter[tuple[int, str, int]] = field(default_factory=Counter)
    latency_us: list[int] = field(default_factory=list)
    needs_key: bool = False
    keeps_foreign: bool = False
    foreign: list[Foreign] = field(default_factory=list)
    _missing: dict[int, _Missing] = field(default_factory=dict)
    _last_us: int = 0
    _pli_us: int = -PLI_EVERY_US
    _reported: tuple[int, int] = (0, 0)  # expected, lost at the last RR
    _first: int = -1
    _sender_report: tuple[int, int] = (0, 0)  # the newest: middle of its NTP time, when it came
    _picture: int = -1
    _timestamp: int = -1

    def take(self, packet: Rtp, now_us: int) -> None:
        """A packet of the slot's SSRC."""
        number = packets.unwrap(self.newest, packet.sequence)
        if self.newest >= 0 and number <= self.newest:
            self._missing.pop(number, None)
            self._read(packet, number, now_us)
            return
        if self.newest >= 0:
            self._gap(number, now_us)
        else:
            self._first = number
        self.newest = number
        self._read(packet, number, now_us)

    def take_repair(self, packet: Rtp, now_us: int) -> None:
        """A packet of the slot's RTX SSRC."""
        if len(packet.payload) < 2:
            return
        number = packets.unwrap(self.newest, int.from_bytes(packet.payload[:2], "big"))
        if self._missing.pop(number, None) is not None:
            self.recovered += 1
            packet.payload = packet.payload[2:]
            self._read(packet, number, now_us)

    def _gap(self, number: int, now_us: int) -> None:
        if number - self.newest > JUMP_MAX:
            self.broken_pictures += 1
            return
        for missing in range(self.newest + 1, number):
            self._missing[missing] = _Missing(now_us)

    def _read(self, packet: Rtp, number: int, now_us: int) -> None:
        if not packet.payload:
            return  # padding
        self.packets += 1
        if self._last_us:
            self.longest_gap_us = max(self.longest_gap_us, now_us - self._last_us)
        self._last_us = now_us
        try:
            if self.kind == "video":
                described, stamp = stamps.read_vp8(packet.payload)
                self._picture_is_steady(described.frame_start, described.picture_id, packet, number)
            else:
                stamp = stamps.read_opus(packet.payload)
                if stamp.layer == stamps.SPEAKING:
                    self.heard.setdefault(stamp.participant, set()).add(stamp.frame)
        except stamps.NotOurs:
            if self.keeps_foreign:
                self._keep(packet, number, now_us)
            else:
                self.wrong_content += 1
            return
        self.latency_us.append(now_us - stamp.sent_us)
        if self.kind == "video":
            self._note(stamp, described.key_frame, now_us)

    def _keep(self, packet: Rtp, number: int, now_us: int) -> None:
        if self.kind == "video":
            try:
                described, _ = VpxPayloadDescriptor.parse(packet.payload)
            except ValueError:
                self.wrong_content += 1
                return
            start = bool(described.partition_start) and described.partition_id == 0
            self._picture_is_steady(start, described.picture_id or 0, packet, number)
            if not self.shown or self.shown[-1].participant != FOREIGN:
                self.shown.append(Shown(FOREIGN, "camera", 0, now_us, now_us, 0, 0, 0))
            self.shown[-1].last_us = now_us
        self.foreign.append(Foreign(now_us, number, packet.timestamp, packet.payload, len(self.shown) - 1))

    def _picture_is_steady(self, frame_start: bool, picture_id: int, packet: Rtp, number: int) -> None:
        """Picture ids rise by one from frame to frame and timestamps never go back, across every switch."""
        if number != self.newest or not frame_start:
            return
        if self._picture >= 0:
            step = (picture_id - self._picture) & 0x7FFF
            later = (packet.timestamp - self._timestamp) & 0xFFFFFFFF
            if (step != 1 and not self._missing) or later >= 1 << 31:
                self.broken_pictures += 1
        self._picture, self._timestamp = picture_id, packet.timestamp

    def _note(self, stamp: stamps.Stamp, key_frame: bool, now_us: int) -> None:
        key = (stamp.participant, stamp.source, stamp.layer)
        last = self.shown[-1] if self.shown else None
        if last is None or (last.participant, last.source, last.layer) != key:
            if last is not None and any(now_us - one.last_us < 0 for one in self.shown):
                self.backwards += 1
            if not key_frame and stamp.packet == 0:
                self.broken_pictures += 1  # a switch that no decoder could follow
            self.shown.append(Shown(*key, now_us, now_us, stamp.frame, stamp.frame))
            self.layers[key] += 1
            return
        last.last_us = now_us
        if stamp.frame > last.last_frame:
            last.last_frame = stamp.frame
            last.frames += 1
            self.layers[key] += 1
        elif stamp.frame < last.last_frame and not self.recovered:
            self.backwards += 1

    # -- what to say to the server --
    @property
    def ails(self) -> bool:
        """Whether there may be something to ask for."""
        return self.needs_key or bool(self._missing)

    def nacks(self, now_us: int) -> list[int]:
        """Numbers to be asked for now. Gives up what is too old; a picture then needs a key frame."""
        due: list[int] = []
        for number, one in list(self._missing.items()):
            if one.times >= NACK_TIMES or now_us - one.since_us > GIVEN_UP_US:
                del self._missing[number]
                self.lost += 1
                self.needs_key = self.kind == "video"
            elif self.rtx_ssrc and now_us - one.asked_us >= NACK_AGAIN_US:
                one.asked_us, one.times = now_us, one.times + 1
                due.append(number)
        return due

    def pli_due(self, now_us: int) -> bool:
        """A key frame is needed and the last request is old enough."""
        if not self.needs_key or now_us - self._pli_us < PLI_EVERY_US:
            return False
        self._pli_us, self.needs_key = now_us, False
        return True

    def sender_report(self, middle: int, now_us: int) -> None:
        """An SR of the slot came."""
        self._sender_report = (middle, now_us)

    def block(self, now_us: int) -> tuple[int, float, int, int, int, int] | None:
        """The report block of an RR since the last one; None before the first packet."""
        if self.newest < 0:
            return None
        expected, lost = self.newest - self._first + 1, self.lost + len(self._missing)
        before, self._reported = self._reported, (expected, lost)
        share = (lost - before[1]) / max(1, expected - before[0])
        middle, came_us = self._sender_report
        delay = ((now_us - came_us) << 16) // 1_000_000 if middle else 0
        return self.ssrc, share, lost, self.newest, middle, delay

    def report(self) -> Report:
        return Report(
            self.packets, self.lost, self.recovered, self.wrong_content, self.backwards, self.broken_pictures,
            self.longest_gap_us / 1000,
        )  # fmt: skip
