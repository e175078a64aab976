"""A room of people who speak, on the real kernel: each sends Opus with levels and has three ranked slots."""

from __future__ import annotations

import socket
from collections.abc import Collection

from sfu.channel import Extensions
from sfu.routing import tables
from sfu.routing.commands import Commands, Row
from sfu.routing.kernel.step import Kernel
from tests.kernels import AUDIO_PT, LEVEL, LIMITS, MID, TWCC, Delivered, Endpoint, read_media, rtp

FRAME_US = 20_000
FRAME_SAMPLES = 960
LOUD, SILENT = 20, 127  # -dBov
# Payload types of RED as people send it and as they are sent it; of Opus as they are sent it.
RED_IN, RED_OUT, OPUS_OUT = 63, 62, 109


class AudioRoom:
    """Stepped by hand on a clock of its own; `heard` collects what each person was sent."""

    def __init__(self, people: int, slots: int = 3, *, red: Collection[int] = ()) -> None:
        """`red`: those whose slots take redundant audio; everybody may send it."""
        self.red = red
        self.server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.server.bind(("127.0.0.1", 0))
        self.server.setblocking(False)
        self.kernel = Kernel(LIMITS, [self.server.fileno()])
        self.commands = Commands(self.kernel)
        self.commands.set_audio(threshold_dbov=-50, hold_ms=300, margin_db=6, margin_ms=200)
        self.now_us = 50_000_000
        self.slots = slots
        self.people = [Endpoint(number + 1) for number in range(people)]
        self.index = [100 + 7 * number for number in range(people)]
        self.base = [(1 << 20) * number for number in range(people)]
        self.lives = [1] * people
        for number in range(people):
            self.enter(number)
        self.step()

    def enter(self, number: int) -> None:
        """Person `number` comes in: his keys, his microphone, his slots."""
        peer, endpoint = Row(number, 1), self.people[number]
        address, port = endpoint.socket.getsockname()
        self.commands.add_peer(peer, 0, 7, Extensions(mid=MID, transport_cc=TWCC, audio_level=LEVEL), b"p")
        self.commands.set_path(peer, peer, 0, address, port, current=True)
        self.commands.set_keys(peer, 1, endpoint.keys)
        self.add_microphone(number)
        for slot in range(self.slots):
            self.commands.add_slot(
                Row(number * 8 + slot, 1), peer, kind=tables.Kind.AUDIO, codec=tables.Codec.OPUS, payload_type=OPUS_OUT,
                rtx_payload_type=0, clock_rate=48000, ssrc=1000 + number * 8 + slot, rtx_ssrc=0, ranked=True,
                first_numbers=50, first_timestamp=777, mid=b"%d" % slot,
                red_payload_type=RED_OUT if number in self.red else 0,
            )  # fmt: skip

    def add_microphone(self, number: int) -> None:
        self.commands.add_track(
            Row(number, self.lives[number]), Row(number, 1), kind=tables.Kind.AUDIO, codec=tables.Codec.OPUS,
            payload_type=AUDIO_PT, rtx_payload_type=0, clock_rate=48000, nack=False, mid=b"m", red_payload_type=RED_IN,
        )  # fmt: skip
        self.commands.add_layer(
            Row(number, self.lives[number]), Row(number, self.lives[number]), ssrc=0, rtx_ssrc=0, rid=b""
        )

    def close(self) -> None:
        self.server.close()
        for endpoint in self.people:
            endpoint.close()

    def step(self, elapsed_us: int = 0) -> None:
        self.now_us += elapsed_us
        self.kernel.step(0, self.now_us)
        self.kernel.take_events(2048)

    def speak(
        self, levels: dict[int, int | None], elapsed_us: int = FRAME_US, payload: tuple[int, bytes] | None = None
    ) -> dict[int, list[Delivered]]:
        """20 ms: each of these people sends a frame at this level (None = no level extension); what each one got.

        `payload`: another payload type and payload than a frame of Opus that names its sender.
        """
        for number, level in levels.items():
            elements = [(MID, b"m")] + ([] if level is None else [(LEVEL, bytes([level]))])
            timestamp = self.base[number] + (self.now_us + elapsed_us) * 48 // 1000 // FRAME_SAMPLES * FRAME_SAMPLES
            tag = b"%d:%d" % (number, self.index[number])
            kind, body = payload or (AUDIO_PT, tag)
            packet = rtp(kind, self.index[number], timestamp, 500 + number, body, marker=False, elements=elements)
            sealed = self.people[number].srtp.seal_rtp(packet, self.index[number])
            self.people[number].socket.sendto(sealed, self.server.getsockname())
            self.index[number] += 1
        self.step(elapsed_us)
        return self.heard()

    def heard(self) -> dict[int, list[Delivered]]:
        found: dict[int, list[Delivered]] = {}
        for number, endpoint in enumerate(self.people):
            for datagram in endpoint.datagrams():
                opened = endpoint.open(datagram)
                if opened is not None:
                    ssrc, index, plain = opened
                    slot = ssrc - 1000 - number * 8
                    found.setdefault(number, []).append(read_media(plain, slot, index, repair=False, video=False))
        return found

    def for_ms(self, duration_ms: int, levels: dict[int, int | None]) -> dict[int, list[Delivered]]:
        """The same people at the same levels for a while; all that each one got."""
        found: dict[int, list[Delivered]] = {}
        for _ in range(duration_ms // 20):
            for number, packets in self.speak(levels).items():
                found.setdefault(number, []).extend(packets)
        return found


def voices(packets: list[Delivered]) -> dict[int, set[int]]:
    """slot -> whose voice it carried."""
    found: dict[int, set[int]] = {}
    for packet in packets:
        found.setdefault(packet.slot, set()).add(int(packet.tag.split(b":")[0]))
    return found
