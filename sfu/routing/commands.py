"""The only writer of the command ring: one method a command, with the meaning of its numbers.

A full ring makes commands wait here, in order, until `drain` finds room; the caller awaits that before
it acknowledges anything (`pending`).
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Protocol

from sfu.channel import Extensions
from sfu.routing.tables import Command
from sfu.wire import sockaddr


class CommandRing(Protocol):
    """What of the kernel this module uses."""

    def push(self, kind: int, row: int, generation: int, numbers: tuple[int, ...], data: bytes) -> bool: ...

    def wake(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Row:
    """A row and which life of it is meant; a stale one is refused by the kernel and counted."""

    row: int
    generation: int


# A client keeps its limit on average, and without headers and repairs. Lower: honest senders lose packets.
LIMIT_BPS_OF_A_KBPS = 1250


class Commands:
    """Fills the ring; keeps order when it is full."""

    def __init__(self, ring: CommandRing) -> None:
        self._ring = ring
        self._waiting: deque[tuple[int, int, int, tuple[int, ...], bytes]] = deque()
        self._unread = False  # commands were pushed that the kernel has not been woken for
        self.pushed = 0

    @property
    def pending(self) -> bool:
        """Whether commands wait for room in the ring."""
        return bool(self._waiting)

    def drain(self) -> None:
        """Move waiting commands into the ring, as far as there is room, and wake the kernel if there are any for it."""
        while self._waiting and self._ring.push(*self._waiting[0]):
            self._waiting.popleft()
            self.pushed += 1
            self._unread = True
        if self._unread:  # waking costs more than a command does
            self._unread = False
            self._ring.wake()

    def _push(self, kind: Command, at: Row, numbers: tuple[int, ...] = (), data: bytes = b"") -> None:
        if not self._waiting and self._ring.push(int(kind), at.row, at.generation, numbers, data):
            self.pushed += 1
            self._unread = True
        else:
            self._waiting.append((int(kind), at.row, at.generation, numbers, data))

    def fence(self, number: int) -> None:
        """Answered by the event FENCED with this number once all commands before it have been carried out."""
        self._push(Command.FENCE, Row(0, 0), (number,))

    def add_peer(self, peer: Row, room: int, sender_ssrc: int, extensions: Extensions, password: bytes) -> None:
        """A new peer, or new extension ids of a known one. `password`: our ice-pwd, for answers on known paths."""
        ids = (
            extensions.mid, extensions.rid, extensions.repaired_rid, extensions.transport_cc,
            extensions.audio_level, extensions.video_orientation,
        )  # fmt: skip
        self._push(Command.ADD_PEER, peer, (room, sender_ssrc, *ids), password)

    def set_path(self, path: Row, peer: Row, socket: int, address: str, port: int, *, current: bool) -> None:
        """Packets from this address belong to the peer; `current`: media leaves there from now on."""
        numbers = (peer.row, peer.generation, socket, int(current))
        self._push(Command.SET_PATH, path, numbers, sockaddr.pack(address, port))

    def drop_path(self, path: Row) -> None:
        self._push(Command.DROP_PATH, path)

    def set_keys(self, peer: Row, profile: int, keys: bytes) -> None:
        """`keys`: receive key, receive salt, send key, send salt, one behind the other."""
        self._push(Command.SET_KEYS, peer, (profile,), keys)

    def add_track(
        self, track: Row, peer: Row, *, kind: int, codec: int, payload_type: int, rtx_payload_type: int,
        clock_rate: int, nack: bool, mid: bytes, red_payload_type: int = 0,
    ) -> None:  # fmt: skip
        numbers = (
            peer.row, peer.generation, kind, codec, payload_type, rtx_payload_type, clock_rate, int(nack),
            red_payload_type,
        )  # fmt: skip
        self._push(Command.ADD_TRACK, track, numbers, mid)

    def add_layer(self, layer: Row, track: Row, *, ssrc: int, rtx_ssrc: int, rid: bytes) -> None:
        """`ssrc` 0 = bound by the first packets' MID and RID."""
        self._push(Command.ADD_LAYER, layer, (track.row, track.generation, ssrc, rtx_ssrc), rid)

    def add_slot(
        self, slot: Row, peer: Row, *, kind: int, codec: int, payload_type: int, rtx_payload_type: int,
        clock_rate: int, ssrc: int, rtx_ssrc: int, ranked: bool, first_numbers: int, first_timestamp: int, mid: bytes,
        red_payload_type: int = 0,
    ) -> None:  # fmt: skip
        """`first_numbers`: 64 random bits for the first index, RTX index, picture id, TL0PICIDX."""
        numbers = (
            peer.row, peer.generation, kind, codec, payload_type, rtx_payload_type, clock_rate,
            ssrc, rtx_ssrc, int(ranked), first_numbers, first_timestamp, red_payload_type,
        )  # fmt: skip
        self._push(Command.ADD_SLOT, slot, numbers, mid)

    def want(self, slot: Row, layer: Row | None, temporal: int = 3) -> None:
        """The slot shall carry this layer from its next key frame on; None = nothing, at once."""
        numbers = (layer.row, layer.generation, temporal) if layer else (-1, 0, temporal)
        self._push(Command.WANT, slot, numbers)

    def mute(self, track: Row, *, muted: bool) -> None:
        self._push(Command.MUTE, track, (int(muted),))

    def drop_slot(self, slot: Row) -> None:
        self._push(Command.DROP_SLOT, slot)

    def drop_track(self, track: Row) -> None:
        self._push(Command.DROP_TRACK, track)

    def drop_peer(self, peer: Row) -> None:
        self._push(Command.DROP_PEER, peer)

    def send_rtcp(self, peer: Row, packet: bytes) -> None:
        """A compound packet in clear, of at most 256 bytes."""
        self._push(Command.SEND_RTCP, peer, (), packet)

    def set_limit(self, peer: Row, max_kbps: int) -> None:
        """What the peer may send; 0 = no limit."""
        self._push(Command.SET_LIMIT, peer, (max_kbps * LIMIT_BPS_OF_A_KBPS,))

    def set_rate(self, peer: Row, rate_bps: int) -> None:
        """The pacer's rate; 0 = send now."""
        self._push(Command.SET_RATE, peer, (rate_bps,))

    def set_audio(self, *, threshold_dbov: int, hold_ms: int, margin_db: int, margin_ms: int) -> None:
        """The four constants of the audio slots; the threshold as a negative level."""
        self._push(Command.SET_AUDIO, Row(0, 0), (127 + threshold_dbov, hold_ms * 1000, margin_db, margin_ms * 1000))
