"""[I/O] Media worker processes: start, talk to, start again, stop. Decides nothing about what is said.

A worker is started with exec (never forked) as `python -m sfu.worker --channel-fd N --config JSON` and inherits one
end of a Unix socket pair, over which `sfu.channel` is spoken.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol

import msgspec

from sfu import channel, errors
from sfu.errors import WorkerLost
from sfu.logs import fields
from sfu.worker_config import WorkerConfig

log = logging.getLogger("stentor.workers")

# First and largest wait before a dead worker is started again. Shorter: one that cannot start fills the log.
RESTART_FIRST_S = 0.2
RESTART_MAX_S = 5.0
# A worker that lived so long was healthy, so the wait begins anew.
HEALTHY_AFTER_S = 10.0
# Stop is answered within a second; after this the process is killed.
STOP_WITHIN_S = 2.0
# An offer that finds no worker waits so long for the next one, which takes about a second to start; what its peer is
# told meanwhile waits behind it. Shorter: a room that lost its worker asks again and again while that one starts.
HOLD_S = 5.0
# Commands that wait: one offer of each participant that a node has at most. More: memory that strangers with a grant
# could fill, an offer being up to 100 kB.
HELD_MAX = 4096
# Commands that a worker has not read. It reads within milliseconds, or it hangs and is killed.
UNREAD_BYTES_MAX = 32 * 1024 * 1024


class Process(Protocol):
    """What is needed of asyncio.subprocess.Process."""

    async def wait(self) -> int: ...

    def kill(self) -> None: ...


@dataclass(frozen=True)
class Launched:
    """A worker that has been started, and our end of its channel."""

    process: Process
    channel: socket.socket


Launch = Callable[[WorkerConfig], Awaitable[Launched]]


async def launch(config: WorkerConfig) -> Launched:
    """Start one worker process. Raises OSError."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "sfu.worker",
            "--channel-fd",
            str(theirs.fileno()),
            "--config",
            msgspec.json.encode(config).decode(),
            pass_fds=(theirs.fileno(),),
            stdin=asyncio.subprocess.DEVNULL,
        )
    except OSError:
        ours.close()
        raise
    finally:
        theirs.close()
    return Launched(process, ours)


class Worker:
    """One media worker, whichever process it is at the moment."""

    def __init__(
        self,
        config: WorkerConfig,
        launcher: Launch,
        on_event: Callable[[Worker, channel.Event], None],
        on_lost: Callable[[Worker], None],
    ) -> None:
        self.number = config.number
        self.ready: channel.WorkerReady | None = None
        self.restarts = 0
        self._config = config
        self._launch = launcher
        self._on_event = on_event
        self._on_lost = on_lost
        self._writer: asyncio.StreamWriter | None = None
        self._held: list[channel.Command] = []
        self._giving_up: asyncio.TimerHandle | None = None
        self._stopping = False
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin; `ready` is set when the worker has said so."""
        self._task = asyncio.get_running_loop().create_task(self._keep())

    def send(self, command: channel.Command) -> None:
        """Queue a command. Raises WorkerLost when there is no worker; an offer is kept for the next one first.

        A Describe that is kept in vain is answered by a Refused of ours.
        """
        writer = self._writer
        if writer is None or self.ready is None or writer.is_closing():
            return self._hold(command)
        writer.write(channel.encode(command))
        if writer.transport.get_write_buffer_size() > UNREAD_BYTES_MAX:
            log.error("worker does not read its commands", extra=fields(worker=self.number))
            writer.transport.abort()

    def _hold(self, command: channel.Command) -> None:
        describes = isinstance(command, channel.Describe)
        # Nothing is kept but what a kept offer may need: all else names peers that died with the worker.
        if self._stopping or len(self._held) >= HELD_MAX or not (describes or self._held):
            raise WorkerLost(_NOT_THERE, retry_after_s=1.0)
        if not self._held:
            self._giving_up = asyncio.get_running_loop().call_later(HOLD_S, self._give_up)
        self._held.append(command)

    def _take_held(self) -> list[channel.Command]:
        if self._giving_up is not None:
            self._giving_up.cancel()
            self._giving_up = None
        held, self._held = self._held, []
        return held

    def _give_up(self) -> None:
        """No worker came: what waits for it is refused."""
        for command in self._take_held():
            if isinstance(command, channel.Describe):
                self._on_event(self, channel.Refused(command.request, WorkerLost.code, _NOT_THERE))

    async def stop(self) -> None:
        """End the worker and do not start it again."""
        self._stopping = True
        if self._writer is not None and not self._writer.is_closing():
            self._writer.write(channel.encode(channel.Stop()))
        if self._task is None:
            return
        # _keep ends by itself when the worker closes its end; else it is cancelled, and then kills the process.
        done, _ = await asyncio.wait({self._task}, timeout=STOP_WITHIN_S)
        if not done:
            self._task.cancel()
            await asyncio.wait({self._task})

    async def _keep(self) -> None:
        loop = asyncio.get_running_loop()
        wait_s = RESTART_FIRST_S
        while not self._stopping:
            began_at = loop.time()
            try:
                await self._live()
            except OSError as error:
                log.error("worker cannot be started: %s", error, extra=fields(worker=self.number))
            if self._stopping:
                return
            wait_s = RESTART_FIRST_S if loop.time() - began_at > HEALTHY_AFTER_S else min(RESTART_MAX_S, wait_s * 2)
            self.restarts += 1
            log.warning("worker is started again", extra=fields(worker=self.number, wait_s=round(wait_s, 1)))
            await asyncio.sleep(wait_s)

    async def _live(self) -> None:
        """One life of the process, from exec to wait."""
        launched = await self._launch(self._config)
        try:
            reader, self._writer = await asyncio.open_unix_connection(
                sock=launched.channel, limit=channel.MESSAGE_BYTES_MAX
            )
            try:
                await self._read(reader)
            except channel.ChannelError as error:
                log.error("worker broke the channel: %s", error, extra=fields(worker=self.number))
        finally:
            was_ready, self.ready = self.ready is not None, None
            if self._writer is not None:
                self._writer.close()
                self._writer = None
            if was_ready:
                self._on_lost(self)
            await self._reap(launched.process)

    async def _reap(self, process: Process) -> None:
        try:
            code = await asyncio.wait_for(process.wait(), 1.0 if self._stopping else 0.5)
        except TimeoutError:
            process.kill()
            code = await process.wait()
        except asyncio.CancelledError:
            process.kill()
            raise
        if not self._stopping:
            log.error("worker ended", extra=fields(worker=self.number, code=code))

    async def _read(self, reader: asyncio.StreamReader) -> None:
        while (event := await channel.read_event(reader)) is not None:
            if isinstance(event, channel.WorkerReady):
                self.ready = event
            self._on_event(self, event)
            if isinstance(event, channel.WorkerReady):
                for command in self._take_held():
                    self.send(command)


_NOT_THERE = "the media process is not there; try again in a moment"
_ERRORS = {kind.code: kind for kind in (errors.BadOffer, errors.MediaFailed, errors.Overloaded, errors.WorkerLost)}


def worker_error(code: str, reason: str) -> errors.StentorError:
    """A worker's code as an error of ours; one that it may not use is a fault, and its reason stays here."""
    kind = _ERRORS.get(code)
    if kind is None:
        log.error("a worker refused with the code %r: %s", code, reason)
        return errors.Internal("the media process could not do it")
    return kind(reason)
