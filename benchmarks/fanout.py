"""One publisher, many viewers, on the real media kernel stepped by hand: CPU of one forwarded packet.

Everything a packet costs is counted: receiving and opening it, its way through the ring, and for each viewer choice,
rewriting, sealing with a key of its own, and the system call. What is not counted is making the packets.
"""

from __future__ import annotations

import socket
import time
from types import TracebackType
from typing import Protocol, Self

from sfu.channel import Extensions
from sfu.routing import tables
from sfu.routing.commands import Commands, Row
from sfu.routing.kernel.srtp import Session
from sfu.routing.kernel.step import Kernel

MID, RID, TWCC = 4, 10, 3
VIDEO_PT, SLOT_PT, RTX_PT = 96, 100, 101
FIRST_INDEX = 100
# One key frame, then pictures of one packet each: what a viewer costs does not hang on what is in them.
_HEAD_BYTES = 24  # RTP header, extension block with MID and RID
# Longer than any benchmark.
CONSENTED_US = 3_600_000_000


class Places(Protocol):
    """Where viewers are, and a socket that reaches them (benchmarks.rig.Rig)."""

    viewers: int

    def address(self, viewer: int) -> tuple[str, int]: ...

    def server_socket(self) -> socket.socket: ...


class Fanout:
    """`with Fanout(rig, size) as fanout`: a kernel with one track and `rig.viewers` viewers who carry it."""

    def __init__(self, rig: Places, size: int, *, publisher: tuple[str, int] | None = None) -> None:
        """`size`: bytes of the publisher's RTP packets before they are sealed. `publisher`: who sends `packets`."""
        self._viewers = rig.viewers
        self._size = size
        self._server = rig.server_socket()
        self._publisher = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._publisher.bind(("127.0.0.1", 0))
        self.door: tuple[str, int] = ("127.0.0.1", int(self._server.getsockname()[1]))
        rows = rig.viewers + 1
        limits = tables.Limits(peers=rows, slots=rows, rooms=1, tracks=1, layers=1)
        self.kernel = Kernel(limits, [self._server.fileno()])
        self._commands = Commands(self.kernel)
        self._index = FIRST_INDEX
        key, other = bytes(16), b"\1" * 16
        self._srtp = Session(1, other, bytes(12), key, bytes(12))
        host, port = self._publisher.getsockname()
        self._add_peer(0, str(host), int(port), key + bytes(12) + other + bytes(12))
        self._commands.add_track(
            Row(0, 1), Row(0, 1), kind=tables.Kind.VIDEO, codec=tables.Codec.VP8, payload_type=VIDEO_PT,
            rtx_payload_type=0, clock_rate=90_000, nack=True, mid=b"v",
        )  # fmt: skip
        self._commands.add_layer(Row(0, 1), Row(0, 1), ssrc=0, rtx_ssrc=0, rid=b"0")
        for viewer in range(rig.viewers):
            own = viewer.to_bytes(4, "big") * 4
            self._add_peer(viewer + 1, *rig.address(viewer), bytes(28) + own + bytes(12))
            self._commands.add_slot(
                Row(viewer, 1), Row(viewer + 1, 1), kind=tables.Kind.VIDEO, codec=tables.Codec.VP8,
                payload_type=SLOT_PT, rtx_payload_type=RTX_PT, clock_rate=90_000, ssrc=10_000 + viewer,
                rtx_ssrc=1_000_000 + viewer, ranked=False, first_numbers=FIRST_INDEX, first_timestamp=0, mid=b"0",
            )  # fmt: skip
            self._commands.want(Row(viewer, 1), Row(0, 1))
            self._apply()
        # Viewers who say nothing for 30 s are sent nothing (RFC 7675); these have spoken an hour ahead.
        self.kernel.arrays["peers"]["received_at_us"] = time.monotonic_ns() // 1000 + CONSENTED_US
        self.forward(1)  # the key frame, from which on all carry the track
        if publisher is not None:
            path = Row(rows, 1)
            self._commands.set_path(path, Row(0, 1), 0, *publisher, current=True)
            self._apply()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.close()
        self._publisher.close()

    def _add_peer(self, row: int, host: str, port: int, keys: bytes) -> None:
        extensions = Extensions(mid=MID, rid=RID, transport_cc=TWCC)
        self._commands.add_peer(Row(row, 1), 0, 7, extensions, b"password")
        self._commands.set_path(Row(row, 1), Row(row, 1), 0, host, port, current=True)
        self._commands.set_keys(Row(row, 1), 1, keys)
        self._apply()

    def _apply(self) -> None:
        self._commands.drain()
        self.kernel.step()
        self.kernel.take_events(4096)

    def _packet(self, index: int) -> bytes:
        """A sealed VP8 packet; the first one is a key frame."""
        picture = index & 0x7FFF
        block = bytes([MID << 4]) + b"v" + bytes([RID << 4]) + b"0"
        head = bytes([0x90, VIDEO_PT | 0x80]) + (index & 0xFFFF).to_bytes(2, "big")
        head += (index * 3000 & 0xFFFFFFFF).to_bytes(4, "big") + (500).to_bytes(4, "big")
        head += b"\xbe\xde\x00\x01" + block
        descriptor = bytes([0x90, 0xE0, 0x80 | picture >> 8, picture & 255, 1, 0x20])
        frame = b"\x10\x02\x00\x9d\x01\x2a\x40\x01\xb4\x00" if index == FIRST_INDEX else b"\x11"
        payload = descriptor + frame
        plain = head + payload + bytes(self._size - len(head) - len(payload))
        return self._srtp.seal_rtp(plain, index)

    def packets(self, count: int) -> tuple[list[bytes], int]:
        """The next sealed packets, and the sequence number under which the first of them reaches every viewer."""
        first = int(self.kernel.arrays["slots"]["last_index"][0]) + 1
        made = [self._packet(self._index + number) for number in range(count)]
        self._index += count
        return made, first & 0xFFFF

    def forward(self, packets: int) -> tuple[float, float]:
        """(CPU us of one forwarded packet, bytes of one datagram sent), over `packets` steps of one packet each."""
        sealed, _ = self.packets(packets)
        counters, departed = self.kernel.arrays["counters"], self.kernel.arrays["departed"]
        before = int(departed[tables.Departure.SENT])
        sent, octets = int(counters[tables.Counter.SENT_PACKETS]), int(counters[tables.Counter.SENT_OCTETS])
        spent_ns = 0
        clock, step = time.thread_time_ns, self.kernel.step
        for datagram in sealed:
            self._publisher.sendto(datagram, self.door)
            start = clock()
            step()
            spent_ns += clock() - start
        self.kernel.take_events(4096)
        forwarded = int(departed[tables.Departure.SENT]) - before
        if forwarded != packets * self._viewers:
            raise RuntimeError(f"{forwarded} packets were sent on, not {packets * self._viewers}: {self._verdicts()}")
        mean_octets = (int(counters[tables.Counter.SENT_OCTETS]) - octets) / (
            int(counters[tables.Counter.SENT_PACKETS]) - sent
        )
        return spent_ns / 1000 / forwarded, mean_octets

    def _verdicts(self) -> str:
        arrays = self.kernel.arrays
        arrived = {one.name: int(arrays["arrived"][one]) for one in tables.Arrival if arrays["arrived"][one]}
        departed = {one.name: int(arrays["departed"][one]) for one in tables.Departure if arrays["departed"][one]}
        return f"{arrived} {departed}"
