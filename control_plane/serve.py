"""[I/O] The control plane's process: `python -m control_plane`, started by `stentor serve` (sfu.companion).

One line of JSON on standard input says all settings (sfu.control.Told). It answers "listening" on standard
output once it may be asked, and ends, finishing what it does, when standard input is closed.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import socket
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import msgspec
import uvicorn
import uvloop

import sfu
from control_plane import standing
from control_plane.assembly import CannotStart, DatabaseAway, build
from control_plane.clock import Clock, SystemClock
from sfu import logs
from sfu.control import Told

log = logging.getLogger("stentor.control")
# What is open when the server ends gets so long; nothing is lost by cutting it.
HTTP_STOP_WITHIN_S = 3
RUNNER_STOP_WITHIN_S = 5.0


def _clock(told: Told) -> Clock:
    """The machine's; in test mode one that stands. Raises CannotStart."""
    if not told.control.test_mode:
        return SystemClock()
    if not told.dev:
        raise CannotStart("control.test_mode is for --dev alone")
    folder = Path(told.folder)
    try:
        clock = standing.clock_of(folder, SystemClock())
    except (OSError, ValueError) as error:
        raise CannotStart(f"{folder / standing.FILE} cannot be used: delete it") from error
    log.warning("test mode: the clock stands", extra=logs.fields(now=clock.now().isoformat()))
    return clock


class _HttpServer(uvicorn.Server):
    """uvicorn without signal handlers of its own."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


async def _serve(told: Told) -> None:
    bound = socket.socket(fileno=told.listen_fd)
    log.info("control plane starts", extra=logs.fields(version=sfu.__version__, dev=told.dev))
    clock = _clock(told)
    built = build(told, clock)
    runner = built.runner
    http = _HttpServer(
        uvicorn.Config(
            built.app,
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=bool(told.control.url),
            timeout_graceful_shutdown=HTTP_STOP_WITHIN_S,
        )
    )
    ending, loop = asyncio.Event(), asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, ending.set)
    loop.add_signal_handler(signal.SIGINT, lambda: None)  # the server decides when we end

    def parent_gone() -> None:
        sys.stdin.buffer.read()
        loop.call_soon_threadsafe(ending.set)

    threading.Thread(target=parent_gone, daemon=True).start()
    runner.start()
    built.auditor.start()
    serving = asyncio.ensure_future(http.serve(sockets=[bound]))
    print("listening", flush=True)
    engine, port = built.store.engine.dialect.name, bound.getsockname()[1]
    log.info("listening", extra=logs.fields(control_port=port, database=engine))
    await asyncio.wait([serving, asyncio.ensure_future(ending.wait())], return_when=asyncio.FIRST_COMPLETED)
    log.info("stopping")
    http.should_exit = True
    await serving
    if not await asyncio.to_thread(runner.stop, RUNNER_STOP_WITHIN_S):
        log.warning("a step was not finished in time; it will be taken again")
    built.auditor.stop(RUNNER_STOP_WITHIN_S)
    built.close()


def main() -> int:
    """The exit code: 2 = it cannot be started as told, 1 = not now; the reason is on standard error."""
    try:
        told = msgspec.json.decode(sys.stdin.buffer.readline(), type=Told)
    except msgspec.DecodeError:
        sys.stderr.write("python -m control_plane is started by `stentor serve`; it reads its settings from there\n")
        return 2
    logs.start(told.log_level, told.log_format)
    # What it did is said by an event of our own.
    logging.getLogger("alembic").setLevel(logging.WARNING)
    try:
        uvloop.run(_serve(told))
    except CannotStart as error:
        log.error("the control plane is not started", extra=logs.fields(why=str(error)))
        return 2
    except DatabaseAway as error:
        log.error("the control plane does not start yet", extra=logs.fields(why=str(error)))
        return 1
    return 0
