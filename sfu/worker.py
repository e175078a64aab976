"""[I/O] One media worker: binds the sockets, starts the kernel, shakes hands, obeys the node.

Started with exec by the node: `python -m sfu.worker --channel-fd N --config JSON`. Ends when told to, or when
the channel closes: a worker without a node serves nobody.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import logging
import os
import random
import socket
import sys
import time
from collections.abc import Callable

import msgspec
import uvloop

from sfu import channel, logs
from sfu.errors import StentorError
from sfu.interfaces import local_addresses
from sfu.process import process_use
from sfu.routing import tables
from sfu.routing.commands import Commands, Row
from sfu.routing.inspection import inspect, octets
from sfu.routing.loop import Fact, KernelThread
from sfu.routing.measures import Measures
from sfu.routing.router import Router
from sfu.routing.rows import FreeRows
from sfu.transport.dtls import Certificate, DtlsContext, DtlsStep
from sfu.transport.handshakes import Handshakes
from sfu.transport.ice import Path
from sfu.transport.sockets import BoundSocket, granted, open_sockets
from sfu.wire import sockaddr
from sfu.worker_config import WorkerConfig

log = logging.getLogger("stentor.worker")

# The grain of the worker's own timers: DTLS retransmissions, repeated key-frame requests.
TICK_S = 0.05
MEASURE_S = 0.5
# Paths one peer may have at once (IceLite holds the same limit).
PATHS_PER_PEER = 16


class Worker:
    """Joins channel, transport and router; decides nothing that they can decide."""

    def __init__(self, config: WorkerConfig, writer: asyncio.StreamWriter) -> None:
        self._config = config
        self._writer = writer
        addresses = config.addresses or tuple(local_addresses())
        self._sockets: list[BoundSocket] = open_sockets(addresses, config.port)
        self._certificate = Certificate.generate(time.time())
        self._handshakes = Handshakes(DtlsContext(self._certificate), self._send_datagram)
        limits = tables.Limits()
        self._thread = KernelThread(limits, [bound.socket.fileno() for bound in self._sockets], self._on_fact)
        self._kernel = self._thread.kernel
        self._commands = Commands(self._kernel)
        self._router = Router(self._commands, self._kernel.arrays, limits, random.SystemRandom())
        self._path_rows = FreeRows("paths", limits.paths)
        self._paths: dict[int, dict[Path, Row]] = {}  # oldest first
        self._current: dict[int, Row] = {}  # the path on which the peer's media leaves
        self._stopping = asyncio.Event()
        self._fences: dict[int, asyncio.Future[None]] = {}
        self._fenced = itertools.count(1)
        self._lag_ms = 0.0
        self._measures = Measures(self._kernel.arrays, time.monotonic())
        self._facts: dict[int, Callable[[Fact, float], list[channel.Event]]] = {
            tables.Event.STUN: self._on_stun,
            tables.Event.DTLS: self._on_dtls,
            tables.Event.PATH: self._on_path,
            tables.Event.ENCRYPTED: self._on_encrypted,
            tables.Event.PLI: self._on_key_frame_request,
            tables.Event.FIR: self._on_key_frame_request,
            tables.Event.RETIRED: self._on_retired,
            tables.Event.FENCED: self._on_fenced,
            tables.Event.SWITCHED: lambda f, now: self._router.switched(Row(f.row, f.generation), Row(f.a, f.b)),
            tables.Event.LAYER: lambda f, now: self._router.layer_seen(Row(f.row, f.generation), f.a, now),
            tables.Event.LEVELS: lambda f, now: self._router.level(f.row, f.b, f.c),
            tables.Event.LEFT: lambda f, now: self._router.left(Row(f.row, f.generation)),
        }
        self._orders: dict[type[channel.Command], Callable[[channel.Command], None]] = {
            channel.View: self._on_view,
            channel.Limit: self._on_limit,
            channel.Mute: self._on_mute,
            channel.Close: self._on_close,
            channel.Snapshot: self._on_snapshot,
            channel.Inspect: self._on_inspect,
            channel.Meter: self._on_meter,
            channel.Stop: lambda command: self._stopping.set(),
        }

    # -- life -----------------------------------------------------------------------------------------

    async def run(self, reader: asyncio.StreamReader) -> None:
        """Serve until told to stop or the node is gone."""
        audio = self._config.audio
        self._commands.set_audio(
            threshold_dbov=audio.threshold_dbov, hold_ms=audio.free_ms,
            margin_db=audio.louder_db, margin_ms=audio.louder_ms,
        )  # fmt: skip
        self._thread.start()
        self._tell(
            channel.WorkerReady(
                worker=self._config.number,
                pid=os.getpid(),
                addresses=tuple((bound.address, bound.port) for bound in self._sockets),
                fingerprint=self._certificate.fingerprint,
            )
        )
        tasks = [asyncio.create_task(self._obey(reader)), asyncio.create_task(self._keep_time())]
        stop = asyncio.create_task(self._stopping.wait())
        await asyncio.wait([*tasks, stop], return_when=asyncio.FIRST_COMPLETED)
        for task in (*tasks, stop):
            task.cancel()
        results = await asyncio.gather(*tasks, return_exceptions=True)
        await self._thread.stop()
        for result in results:
            if isinstance(result, Exception):
                raise result

    async def _obey(self, reader: asyncio.StreamReader) -> None:
        while (command := await channel.read_command(reader)) is not None:
            if isinstance(command, channel.Describe):
                await self._describe(command)
            else:
                self._orders[type(command)](command)
            self._commands.drain()
            await self._writer.drain()
        self._stopping.set()

    async def _keep_time(self) -> None:
        """The worker's one timer."""
        measured_at = now = time.monotonic()
        while True:
            await asyncio.sleep(TICK_S)  # the timer itself; nothing waits for a result here
            self._lag_ms = max(self._lag_ms, (time.monotonic() - now - TICK_S) * 1000)
            now = time.monotonic()
            for peer, step in self._handshakes.due(now):
                self._after_handshake(peer, step, now)
            self._router.due_requests(now)
            self._measures.tick(now)
            if now - measured_at >= MEASURE_S:
                self._tell(*self._router.measure_layers(now - measured_at, now))
                self._tell(*self._router.silence(int(now * 1e6), int(self._config.path_silent_s * 1e6)))
                measured_at = now
            self._commands.drain()
            await self._writer.drain()

    def _tell(self, *events: channel.Event) -> None:
        for event in events:
            self._writer.write(channel.encode(event))

    # -- the node's commands --------------------------------------------------------------------------

    async def _describe(self, command: channel.Describe) -> None:
        now = time.monotonic()
        try:
            self._handshakes.open(command, now)
            events = self._router.describe(command, now)
        except StentorError as error:
            if command.peer not in self._router.peers:
                self._handshakes.close(command.peer)
            self._tell(channel.Refused(request=command.request, code=error.code, reason=error.reason))
            return
        await self._applied()
        self._tell(*events, channel.Done(request=command.request))

    async def _applied(self) -> None:
        """Return when the kernel has carried out every command so far; those that find no room go with the timer."""
        number = next(self._fenced)
        fenced = self._fences[number] = asyncio.get_running_loop().create_future()
        self._commands.fence(number)
        self._commands.drain()
        await fenced

    def _on_fenced(self, fact: Fact, now: float) -> list[channel.Event]:
        fenced = self._fences.pop(fact.a)
        if not fenced.done():  # given up by who waited: the worker is stopping
            fenced.set_result(None)
        return []

    def _on_view(self, command: channel.Command) -> None:
        assert isinstance(command, channel.View)
        self._tell(*self._router.view(command, time.monotonic()))

    def _on_limit(self, command: channel.Command) -> None:
        assert isinstance(command, channel.Limit)
        self._router.limit(command)

    def _on_mute(self, command: channel.Command) -> None:
        assert isinstance(command, channel.Mute)
        self._router.mute(command)

    def _on_close(self, command: channel.Command) -> None:
        assert isinstance(command, channel.Close)
        self._tell(channel.Metered(0, octets(self._router, self._kernel.arrays, command.peer)))
        self._handshakes.close(command.peer)
        self._current.pop(command.peer, None)
        for row in self._paths.pop(command.peer, {}).values():
            self._commands.drop_path(row)
        self._tell(*self._router.close(command.peer))

    def _on_snapshot(self, command: channel.Command) -> None:
        assert isinstance(command, channel.Snapshot)
        self._tell(
            self._measures.counters(
                command.request,
                rows=self._router.rows_used(),
                handshakes=self._handshakes.verdicts,
                buffers=granted(self._sockets),
                process=process_use(),
                loop_lag_ms=self._lag_ms,
            )
        )
        self._lag_ms = 0.0

    def _on_inspect(self, command: channel.Command) -> None:
        assert isinstance(command, channel.Inspect)
        self._tell(inspect(command, self._router, self._kernel.arrays, self._paths_of, time.monotonic()))

    def _on_meter(self, command: channel.Command) -> None:
        assert isinstance(command, channel.Meter)
        self._tell(channel.Metered(command.request, octets(self._router, self._kernel.arrays)))

    def _paths_of(self, peer: int) -> tuple[int, str]:
        """How many paths a peer has, and the family of the one that its media takes."""
        known, current = self._paths.get(peer, {}), self._current.get(peer)
        taken = next((path for path, row in known.items() if row == current), None)
        return len(known), "" if taken is None else "ipv6" if ":" in taken.address else "ipv4"

    # -- the kernel's facts ---------------------------------------------------------------------------

    def _on_fact(self, fact: Fact) -> None:
        handle = self._facts.get(fact.kind)
        if handle is not None:
            self._tell(*handle(fact, time.monotonic()))
            self._commands.drain()

    def _on_stun(self, fact: Fact, now: float) -> list[channel.Event]:
        path = Path(fact.socket, *sockaddr.unpack(fact.address))
        checked = self._handshakes.ice.receive(fact.data, path, now)
        self._handshakes.count(checked.verdict)
        peer = self._router.peers.get(checked.peer) if checked.peer is not None else None
        moved = peer is not None and (checked.new_path or checked.nominated)
        if peer is not None and moved:
            self._know_path(peer.number, peer.row, path, nominated=checked.nominated)
            # Before the answer leaves: what the peer sends on hearing it must find the path known.
            self._commands.drain()
        for datagram in checked.send:
            self._send_datagram(path, datagram)
        step = self._handshakes.path_known(peer.number, path, now) if peer is not None and moved else None
        if peer is not None and step is not None:
            self._after_handshake(peer.number, step, now)
        return []

    def _know_path(self, number: int, peer: Row, path: Path, *, nominated: bool) -> None:
        """Give the kernel the path; the oldest goes where a peer has too many."""
        known = self._paths.setdefault(number, {})
        if path not in known:
            if not self._path_rows.free:
                self._handshakes.count("paths_full")
                return
            if len(known) >= PATHS_PER_PEER:
                current = self._current.get(number)
                self._commands.drop_path(known.pop(next(at for at in known if known[at] != current)))
            known[path] = self._path_rows.take()
        if nominated or number not in self._current:
            self._current[number] = known[path]
        self._commands.set_path(known[path], peer, path.socket, path.address, path.port, current=nominated)

    def _on_path(self, fact: Fact, now: float) -> list[channel.Event]:
        """The kernel answered a nomination and moved the peer's media to a path that it knew."""
        row = Row(fact.row, fact.generation)
        for number, known in self._paths.items():
            if row in known.values():
                self._current[number] = row
        return []

    def _on_dtls(self, fact: Fact, now: float) -> list[channel.Event]:
        peer = self._router.peer_at(Row(fact.row, fact.generation))
        if peer is None:
            return []
        path = Path(fact.socket, *sockaddr.unpack(fact.address))
        step = self._handshakes.receive(peer.number, path, fact.data, now)
        if step is not None:
            self._after_handshake(peer.number, step, now)
        return []

    def _on_encrypted(self, fact: Fact, now: float) -> list[channel.Event]:
        peer = self._router.peer_at(Row(fact.row, fact.generation))
        if peer is not None:
            self._handshakes.confirmed(peer.number)
        return []

    def _after_handshake(self, peer: int, step: DtlsStep, now: float) -> None:
        if step.keys is not None:
            keys = step.keys
            material = keys.receive_key + keys.receive_salt + keys.send_key + keys.send_salt
            self._tell(*self._router.connected(peer, keys.profile, material, now))
            # Before our last flight leaves: what the peer sends on hearing it must find the keys at work.
            self._commands.drain()
        self._handshakes.send(peer, step)
        if step.failed is not None:
            self._tell(channel.PeerFailed(peer=peer, code="media_failed", reason=step.failed))

    def _on_key_frame_request(self, fact: Fact, now: float) -> list[channel.Event]:
        self._router.key_frame_wanted(Row(fact.row, fact.generation), now)
        return []

    def _on_retired(self, fact: Fact, now: float) -> list[channel.Event]:
        row = Row(fact.row, fact.b)
        if fact.a == tables.Command.DROP_PATH:
            self._path_rows.retire(row)
        else:
            self._router.retired(RETIRED_TABLES[fact.a], row)
        return []

    def _send_datagram(self, path: Path, datagram: bytes) -> None:
        """STUN and DTLS leave by the socket they came in by; what does not fit now is lost, as UDP may."""
        try:
            self._sockets[path.socket].socket.sendto(datagram, (path.address, path.port))
        except OSError as error:
            self._handshakes.count("send_failed")
            log.debug("a handshake datagram was not sent: %s", error.strerror)


RETIRED_TABLES: dict[int, str] = {
    tables.Command.DROP_PEER: "peers",
    tables.Command.DROP_TRACK: "tracks",
    tables.Command.DROP_LAYER: "layers",
    tables.Command.DROP_SLOT: "slots",
}


async def serve(channel_fd: int, config: WorkerConfig) -> int:
    """Speak the channel over this inherited socket until the end; the exit status."""
    reader, writer = await asyncio.open_unix_connection(sock=socket.socket(fileno=channel_fd))
    try:
        await Worker(config, writer).run(reader)
    except channel.ChannelError as error:
        log.error("the channel is broken: %s", error)
        return 1
    finally:
        writer.close()
    return 0


def main() -> int:
    parser = argparse.ArgumentParser(description="One media worker; the node starts it.")
    parser.add_argument("--channel-fd", type=int, required=True, help="inherited Unix socket that speaks sfu.channel")
    parser.add_argument("--config", required=True, help="WorkerConfig as JSON")
    arguments = parser.parse_args()
    # Ctrl-C goes to the whole group of the terminal; the node decides when its workers end. Not a session of its own:
    # Linux shares the cores between sessions (autogroup), and one alone waited up to 100 ms for others that were busy.
    os.setpgid(0, 0)
    config = msgspec.json.decode(arguments.config, type=WorkerConfig)
    logs.start(config.log_level, config.log_format)
    return uvloop.run(serve(arguments.channel_fd, config))


if __name__ == "__main__":
    sys.exit(main())
