"""A media worker without media: speaks `sfu.channel` over a socket pair, in the process of the test."""

from __future__ import annotations

import asyncio
import socket
from typing import TypeVar

from sfu import channel
from sfu.worker_config import WorkerConfig
from sfu.workers import Launched

FINGERPRINT = channel.Fingerprint("sha-256", ":".join(["AB"] * 32))
COUNTERS = channel.Counters(
    request=0,
    arrivals={"FORWARDED": 7},
    departures={"SENT": 5},
    packets={"received": 7, "sent": 5},
    octets={"received": 700, "sent": 500},
    rows={"peers": 1},
    counters={"handshakes": 2},
    loop_lag_ms=3.0,
    kernel_busy_share=0.25,
    forward_latency=channel.Histogram(bounds_s=(0.001, 0.002), counts=(3, 1, 1), sum_s=0.012),
    round_trips=channel.Histogram(bounds_s=(0.001, 0.002), counts=(0, 2, 1), sum_s=0.009),
    socket_buffer_bytes={"receive": 8192, "send": 4096},
    process=channel.ProcessUse(cpu_s=1.5, resident_bytes=2048, open_files=9, open_files_max=1024),
)
PEER = channel.InspectedPeer(
    peer=7, room=3, state="connected", paths=2, family="ipv6", srtp="AEAD_AES_128_GCM", silent_ms=20, rtt_ms=1.5,
    told_lost=4, received_packets=100, sent_packets=200, max_kbps=0,
    tracks=(channel.InspectedTrack(5, "video", "VP8", False, (channel.InspectedLayer("q", 180, 90_000, True),)),),
    slots=(channel.InspectedSlot("2", "video", "VP8", 9, 180, 0, "h", 0, "waiting_for_key_frame", 0),),
)  # fmt: skip
Wanted = TypeVar("Wanted", bound=channel.Command)


class FakeWorker:
    """Launches itself again and again; `commands` holds all that every life of it was told."""

    def __init__(self) -> None:
        self.commands: list[channel.Command] = []
        self.lives = 0
        self.answers_describes = True
        self.answers_snapshots = True
        self.refuses_with: tuple[str, str] | None = None
        self.stopped = False
        self.held: list[channel.Describe] = []
        self._news = asyncio.Condition()
        self._writer: asyncio.StreamWriter | None = None
        self._ended = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def launch(self, config: WorkerConfig) -> Launched:
        ours, theirs = socket.socketpair()
        self.lives += 1
        self._ended = asyncio.Event()
        self._task = asyncio.ensure_future(self._live(theirs, config))
        return Launched(self, ours)

    async def wait(self) -> int:
        await self._ended.wait()
        return 0

    def kill(self) -> None:
        if self._task is not None:
            self._task.cancel()
        self._ended.set()

    def die(self) -> None:
        """As after SIGKILL: the channel is closed without a word."""
        assert self._writer is not None
        self._writer.transport.abort()

    def say(self, event: channel.Event) -> None:
        assert self._writer is not None
        self._writer.write(channel.encode(event))

    async def told(self, kind: type[Wanted], count: int = 1) -> list[Wanted]:
        """All commands of one kind, as soon as there are `count`."""

        def found() -> list[Wanted]:
            return [command for command in self.commands if isinstance(command, kind)]

        async with asyncio.timeout(5), self._news:
            await self._news.wait_for(lambda: len(found()) >= count)
        return found()

    async def _live(self, own: socket.socket, config: WorkerConfig) -> None:
        reader, self._writer = await asyncio.open_unix_connection(sock=own)
        addresses = (("192.0.2.7", 7000), ("127.0.0.1", 7000))
        self.say(channel.WorkerReady(config.number, 1, addresses, FINGERPRINT))
        try:
            while (command := await channel.read_command(reader)) is not None:
                self._answer(command)
                async with self._news:
                    self.commands.append(command)
                    self._news.notify_all()
                if isinstance(command, channel.Stop):
                    self.stopped = True
                    break
        finally:
            self._writer.close()
            self._ended.set()

    def _answer(self, command: channel.Command) -> None:
        match command:
            case channel.Describe(request=request):
                if self.refuses_with is not None:
                    self.say(channel.Refused(request, *self.refuses_with))
                elif self.answers_describes:
                    self.say(channel.Done(request))
                else:
                    self.held.append(command)
            case channel.Inspect(request=request, after=after) if self.answers_snapshots:
                self.say(channel.Inspection(request, () if after else (PEER,), 0 if after else PEER.peer))
            case channel.Snapshot(request=request) if self.answers_snapshots:
                counters = {name: getattr(COUNTERS, name) for name in COUNTERS.__struct_fields__}
                self.say(channel.Counters(**{**counters, "request": request}))
