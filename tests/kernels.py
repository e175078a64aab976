"""One publisher and its viewers on the kernel's tables, in both builds, behind one small interface.

`Compiled` drives the real kernel by datagrams over loopback, stepped by hand on a clock of the test's;
`Interpreted` runs the dual-source loops as plain Python. Both return what each slot was sent.
"""

from __future__ import annotations

import socket
import types
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sfu.channel import Extensions
from sfu.routing import tables
from sfu.routing.commands import Commands, Row
from sfu.routing.kernel.srtp import Session
from sfu.routing.kernel.step import Kernel
from tests.interpreted import Bytes, State, load

LIMITS = tables.Limits(
    peers=256, rooms=8, tracks=64, layers=64, slots=512, ring=64, audio_ring=16, commands=2048, events=2048
)
MID, RID, TWCC, LEVEL = 4, 10, 3, 1
VIDEO_PT, RTX_PT, AUDIO_PT = 96, 97, 111
PARSE = load()


@dataclass(frozen=True)
class Media:
    """A media packet as a publisher makes it; `tag` is the payload behind the VP8 descriptor."""

    layer: int
    index: int
    timestamp: int
    picture_id: int = 0
    tl0: int = 0
    temporal: int = 0
    key_frame: bool = False
    frame_start: bool = True
    marker: bool = True
    tag: bytes = b""
    level: int = 20


@dataclass(frozen=True)
class Delivered:
    """A packet as a viewer got it."""

    slot: int
    index: int
    timestamp: int
    marker: bool
    picture_id: int
    tl0: int
    tag: bytes
    repair_of: int = -1  # the original sequence number of an RTX packet
    payload_type: int = 0


def vp8_payload(media: Media) -> bytes:
    """A VP8 payload with a 15-bit picture id, TL0PICIDX and temporal id, then the tag as its frame."""
    first = 0x80 | (0x10 if media.frame_start else 0)
    descriptor = bytes([first, 0xE0, 0x80 | media.picture_id >> 8 & 127, media.picture_id & 255, media.tl0 & 255])
    descriptor += bytes([media.temporal << 6 | 0x20])
    head = (
        b"\x10\x02\x00\x9d\x01\x2a" + (320).to_bytes(2, "little") + (180).to_bytes(2, "little")
        if media.key_frame and media.frame_start
        else b"\x11"
    )
    return descriptor + head + media.tag


# What a first packet of a key frame, a first one of another frame, and any other packet begin with. The key frames are
# of 320 x 180, and "#" separates the tag.
HEADS: Mapping[tables.Codec, tuple[bytes, bytes, bytes]] = {
    tables.Codec.H264: (bytes.fromhex("6742e01fda05067e74"), b"\x41", b"\x7c\x45"),
    tables.Codec.VP9: (bytes.fromhex("8c804d824983422013f00b30"), b"\xc8\x80\x4d\x86", b"\xc0\x80\x4d"),
    tables.Codec.AV1: (bytes.fromhex("180800000043fc04fc02ce"), b"\x10\x30", b"\x90"),
}


def payload_of(codec: tables.Codec, media: Media) -> bytes:
    """The packet's payload, as an encoder of that codec might have made it."""
    if codec is tables.Codec.OPUS:
        return media.tag
    if codec is tables.Codec.VP8:
        return vp8_payload(media)
    key, first, other = HEADS[codec]
    return (key if media.key_frame and media.frame_start else first if media.frame_start else other) + b"#" + media.tag


def rtp(
    payload_type: int,
    sequence: int,
    timestamp: int,
    ssrc: int,
    payload: bytes,
    *,
    marker: bool,
    elements: Sequence[tuple[int, bytes]] = (),
) -> bytes:
    """An RTP packet with a one-byte extension block."""
    block = b"".join(bytes([number << 4 | len(value) - 1]) + value for number, value in elements)
    block += bytes(-len(block) % 4)
    head = bytes([0x90 if elements else 0x80, payload_type | (0x80 if marker else 0)])
    head += (
        (sequence & 0xFFFF).to_bytes(2, "big") + (timestamp & 0xFFFFFFFF).to_bytes(4, "big") + ssrc.to_bytes(4, "big")
    )
    if elements:
        head += b"\xbe\xde" + (len(block) // 4).to_bytes(2, "big") + block
    return head + payload


def read_media(
    plain: bytes, slot: int, index: int, *, repair: bool, video: bool, codec: tables.Codec = tables.Codec.VP8
) -> Delivered:
    """Take a plain packet apart with the parsers in their interpreted form."""
    header, descriptor = types.SimpleNamespace(), types.SimpleNamespace()
    assert PARSE.rtp.parse(plain, len(plain), header) == 0
    payload, repair_of = plain[header.size :], -1
    if repair:
        repair_of, payload = int.from_bytes(payload[:2], "big"), payload[2:]
    picture_id = tl0 = 0
    if video and codec is not tables.Codec.VP8:
        payload = payload[payload.index(b"#") + 1 :]
    elif video:
        assert PARSE.vp8.parse(payload, len(payload), descriptor) == 0
        picture_id, tl0 = descriptor.picture_id, descriptor.tl0
        payload = payload[descriptor.size :]
        payload = payload[10:] if payload[0] & 1 == 0 else payload[1:]
    return Delivered(
        slot, index, header.timestamp, bool(header.marker), picture_id, tl0, payload, repair_of, header.payload_type
    )


class Endpoint:
    """A peer's own side: a socket on loopback and the keys the other way round."""

    def __init__(self, number: int, profile: int = 1) -> None:
        key, salt = (32 if profile == 2 else 16), (14 if profile == 3 else 12)
        mine = bytes([number & 255, number >> 8]) + bytes(key - 2)
        theirs = bytes([number & 255, number >> 8, 1]) + bytes(key - 3)
        self.profile = profile
        self.keys = mine + bytes(salt) + theirs + bytes(salt)  # as the kernel takes them: it receives with `mine`
        self.srtp = Session(profile, theirs, bytes(salt), mine, bytes(salt))
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.socket.setblocking(False)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        self.newest: dict[int, int] = {}

    def close(self) -> None:
        self.socket.close()

    def datagrams(self) -> list[bytes]:
        found = []
        while True:
            try:
                found.append(self.socket.recv(2048))
            except BlockingIOError:
                return found

    def open(self, datagram: bytes) -> tuple[int, int, bytes] | None:
        """(SSRC, index, plain packet) of media; None for RTCP and STUN."""
        if datagram[0] >> 6 != 2 or 192 <= datagram[1] <= 223:
            return None
        ssrc, sequence = int.from_bytes(datagram[8:12], "big"), int.from_bytes(datagram[2:4], "big")
        index = PARSE.rtp.unwrap(self.newest.get(ssrc, -1), sequence)
        plain = self.srtp.open_rtp(datagram, index)
        assert plain is not None, "a packet came with a wrong tag"
        self.newest[ssrc] = max(index, self.newest.get(ssrc, -1))
        return ssrc, index, plain


class Compiled:
    """The real kernel: `layers` simulcast layers of one video track, and one viewer with one slot each."""

    def __init__(
        self,
        layers: int,
        slots: int,
        *,
        first_index: int = 100,
        profile: int = 1,
        audio: bool = False,
        codec: tables.Codec = tables.Codec.VP8,
        address: str = "127.0.0.1",
    ) -> None:
        self.server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.server.bind((address, 0))
        self.server.setblocking(False)
        self.kernel = Kernel(LIMITS, [self.server.fileno()])
        self.commands = Commands(self.kernel)
        self.now_us = 10_000_000
        self.speaking = True  # everybody gives signs of life; else who is silent for 30 s is sent nothing
        self.audio = audio
        self.facts: list[tuple[Any, ...]] = []
        self.publisher = Endpoint(0, profile)
        self.viewers = [Endpoint(number + 1, profile) for number in range(slots)]
        self.first_index = first_index
        self._add_peer(0, self.publisher)
        kind = tables.Kind.AUDIO if audio else tables.Kind.VIDEO
        self.codec = codec = tables.Codec.OPUS if audio else codec
        self.commands.add_track(
            Row(0, 1), Row(0, 1), kind=kind, codec=codec, payload_type=AUDIO_PT if audio else VIDEO_PT,
            rtx_payload_type=0 if audio else RTX_PT, clock_rate=48000 if audio else 90000, nack=not audio, mid=b"v",
        )  # fmt: skip
        for layer in range(layers):
            rid = b"" if audio else b"%d" % layer
            self.commands.add_layer(Row(layer, 1), Row(0, 1), ssrc=0, rtx_ssrc=0, rid=rid)
        for slot, viewer in enumerate(self.viewers):
            self._add_peer(slot + 1, viewer)
            self.commands.add_slot(
                Row(slot, 1), Row(slot + 1, 1), kind=kind, codec=codec, payload_type=100,
                rtx_payload_type=0 if audio else 101,
                clock_rate=48000 if audio else 90000, ssrc=1000 + slot, rtx_ssrc=0 if audio else 2000 + slot,
                ranked=False,
                first_numbers=first_index, first_timestamp=1 << 31, mid=b"%d" % slot,
            )  # fmt: skip
        self.step()

    def _add_peer(self, row: int, endpoint: Endpoint) -> None:
        extensions = Extensions(mid=MID, rid=RID, repaired_rid=11, transport_cc=TWCC, audio_level=LEVEL)
        self.commands.add_peer(Row(row, 1), 0, 7, extensions, b"password")
        address, port = endpoint.socket.getsockname()
        self.commands.set_path(Row(row, 1), Row(row, 1), 0, address, port, current=True)
        self.commands.set_keys(Row(row, 1), endpoint.profile, endpoint.keys)

    def close(self) -> None:
        self.server.close()
        for endpoint in (self.publisher, *self.viewers):
            endpoint.close()

    def step(self, elapsed_us: int = 0) -> None:
        self.now_us += elapsed_us
        if self.speaking:
            self.kernel.arrays["peers"]["received_at_us"] = self.now_us
        self.kernel.step(0, self.now_us)
        self.facts += self.kernel.take_events()

    def want(self, slot: int, layer: int, temporal: int = 3) -> None:
        self.commands.want(Row(slot, 1), Row(layer, 1) if layer >= 0 else None, temporal)
        self.step()

    def packet(self, media: Media) -> bytes:
        payload = payload_of(self.codec, media)
        elements = (
            [(MID, b"v"), (LEVEL, bytes([media.level]))] if self.audio else [(MID, b"v"), (RID, b"%d" % media.layer)]
        )
        kind = AUDIO_PT if self.audio else VIDEO_PT
        return rtp(
            kind, media.index, media.timestamp, 500 + media.layer, payload, marker=media.marker, elements=elements
        )

    def send(self, batch: Sequence[Media], elapsed_us: int = 0) -> None:
        """One burst from the publisher, received in one step."""
        for media in batch:
            self.send_datagram(self.publisher.srtp.seal_rtp(self.packet(media), media.index))
        self.step(elapsed_us)

    def send_datagram(self, datagram: bytes) -> None:
        self.publisher.socket.sendto(datagram, ("127.0.0.1", self.server.getsockname()[1]))

    def delivered(self) -> list[Delivered]:
        """What came to each viewer since the last call, slot by slot, as it came."""
        found = []
        for slot, viewer in enumerate(self.viewers):
            for datagram in viewer.datagrams():
                opened = viewer.open(datagram)
                if opened is not None:
                    ssrc, index, plain = opened
                    repair, video = ssrc >= 2000, not self.audio
                    found.append(read_media(plain, slot, index, repair=repair, video=video, codec=self.codec))
        return found

    def arrived(self, verdict: tables.Arrival) -> int:
        return int(self.kernel.arrays["arrived"][verdict])

    def departed(self, verdict: tables.Departure) -> int:
        return int(self.kernel.arrays["departed"][verdict])


class Interpreted:
    """The dual-source loops as plain Python; the ring is filled here as step.pyx does it."""

    def __init__(
        self, layers: int, slots: int, *, first_index: int = 100, codec: tables.Codec = tables.Codec.VP8
    ) -> None:
        self.loops = load()
        self.codec = codec
        self.k: Any = State(LIMITS, self._emit, lambda *fact: None)
        self.k.now_us = 10_000_000
        self.out: list[Delivered] = []
        for layer in range(layers):
            row = self.k.layers[layer]
            row.live, row.generation, row.ring_mask = 1, 1, LIMITS.ring - 1
            row.first_current = row.first_wanted = row.newest = row.oldest = row.key_frame = -1
        self.k.tracks[0].clock_rate = 90000
        for slot in range(slots):
            peer, row = self.k.peers[slot], self.k.slots[slot]
            peer.profile, peer.extension_mid, peer.extension_transport_cc = 1, MID, TWCC
            row.live, row.generation, row.peer, row.kind, row.codec = 1, 1, slot, tables.Kind.VIDEO, codec
            for field in (
                "current_layer",
                "wanted_layer",
                "next_current",
                "previous_current",
                "next_wanted",
                "previous_wanted",
            ):
                setattr(row, field, -1)
            row.dropped_picture = row.last_layer = -1
            row.last_index, row.last_picture, row.last_tl0 = first_index, 0, 0
            row.clock_rate, row.timestamp_base, row.ssrc, row.payload_type = 90000, 1 << 31, 1000 + slot, 100
            row.wanted_temporal = row.current_temporal = 3
            row.mid_length, row.mid = 1, [48 + slot % 10] + [0] * 15

    def close(self) -> None:
        return None

    def _emit(self, k: Any, s: int, p: int) -> int:
        out = Bytes(2000)
        payload = k.packets[p].payload
        size = self.loops.rewrite.rewrite(k, s, p, payload, out)
        self.loops.rewrite.remember(k, s, k.slots[s].current_layer, p)
        plain = bytes(out[:size])
        self.out.append(read_media(plain, s, k.decision[0].index, repair=False, video=True, codec=self.codec))
        return int(tables.Departure.SENT)

    def want(self, slot: int, layer: int, temporal: int = 3) -> None:
        self.loops.forward.want(self.k, slot, layer, temporal)

    def send(self, batch: Sequence[Media], elapsed_us: int = 0) -> None:
        self.k.now_us += elapsed_us
        run: list[int] = []
        running = -1
        for media in batch:
            if media.layer != running and run:
                self.loops.forward.forward(self.k, running, run, len(run))
                run = []
            running = media.layer
            row = self._keep(media)
            if row is not None:
                run.append(row)
        if run:
            self.loops.forward.forward(self.k, running, run, len(run))

    def _keep(self, media: Media) -> int | None:
        layer = self.k.layers[media.layer]
        row = int(self.loops.select.packet_row(self.k, media.layer, media.index))
        packet = self.k.packets[row]
        too_old = layer.newest >= 0 and media.index <= layer.newest - layer.ring_mask
        if too_old or (packet.index == media.index and packet.generation == 1):
            return None
        payload = payload_of(self.codec, media)
        packet.index, packet.generation, packet.arrival_us = media.index, 1, self.k.now_us
        packet.timestamp, packet.length, packet.payload = media.timestamp & 0xFFFFFFFF, len(payload), payload
        if self.codec is tables.Codec.VP8:
            packet.picture_id, packet.tl0, packet.temporal = media.picture_id, media.tl0, media.temporal
            packet.temporal_sync, packet.descriptor = 1, 2 | 4 | 8 | 16
            packet.frame_start = int(media.frame_start)
        packet.marker, packet.key_frame = int(media.marker), self._begins_key_frame(payload)
        packet.level = packet.orientation = 255
        layer.newest = max(layer.newest, media.index)
        if packet.key_frame and media.index > layer.key_frame:
            layer.key_frame, layer.key_frame_at_us = media.index, self.k.now_us
        return row

    def _begins_key_frame(self, payload: bytes) -> int:
        picture = types.SimpleNamespace()
        assert vars(self.loops)[self.codec.name.lower()].parse(payload, len(payload), picture) == 0
        return int(picture.key_frame)

    def delivered(self) -> list[Delivered]:
        found, self.out = self.out, []
        return sorted(found, key=lambda delivered: delivered.slot)
