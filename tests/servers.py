"""A real server as a process of its own, on free ports of 127.0.0.1, for tests and acceptance scripts."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import socket
import ssl
import sys
import tempfile
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

from sfu.config import ENVIRONMENT_PREFIX
from tests.netns import SERVER, Namespace, Network

ROOT = Path(__file__).resolve().parent.parent
# A cold start compiles every .pyc on a busy machine; a healthy one takes about a second.
READY_S = 30.0
STOP_S = 10.0  # the server promises 5
POLL_S = 0.05

T = TypeVar("T")


def plain_environment() -> dict[str, str]:
    """The environment without what the tests are told by it (STENTOR_TEST_POSTGRESQL, ...): a server takes what begins
    like that for its settings, and refuses what it does not know."""
    return {name: value for name, value in os.environ.items() if not name.startswith(ENVIRONMENT_PREFIX)}


class NotInTime(AssertionError):
    """Something that had to become true did not."""


async def eventually(
    look: Callable[[], Awaitable[T | None]], *, within_s: float, what: str, every_s: float = POLL_S
) -> T:
    """The first answer of `look` that is neither None nor False. Raises NotInTime with `what` and the last answer."""
    clock = asyncio.get_running_loop().time
    until = clock() + within_s
    while True:
        seen = await look()
        if seen is not None and seen is not False:
            return seen
        if clock() >= until:
            raise NotInTime(f"not within {within_s:g} s: {what}")
        await asyncio.sleep(every_s)


def free_port(kind: socket.SocketKind) -> int:
    """A port that was free a moment ago on every local address."""
    with socket.socket(socket.AF_INET, kind) as probe:
        probe.bind(("", 0))
        port: int = probe.getsockname()[1]
        return port


class Server:
    """`async with Server() as server`: started, ready, and stopped by SIGTERM at the end.

    `log` is the file that holds all it wrote. Leaving the block raises NotInTime when it did not end in time
    (it is killed then) and AssertionError when it ended with a fault of its own.
    """

    def __init__(
        self,
        *arguments: str,
        authority: Path | None = None,
        namespace: Namespace | None = None,
        host: str = "localhost",
    ) -> None:
        """`authority`: the certificate by which the server is believed; None = it speaks plain HTTP.
        `namespace`: the network it runs in. `host`: how a browser calls it."""
        self._authority = authority
        self._namespace = namespace
        self._host = host
        self.http_port = free_port(socket.SOCK_STREAM)
        self.media_port = free_port(socket.SOCK_DGRAM)
        self._arguments = arguments
        self._process: asyncio.subprocess.Process | None = None
        handle, name = tempfile.mkstemp(prefix="stentor-server-", suffix=".log")
        os.close(handle)
        self.log = Path(name)

    @property
    def origin(self) -> str:
        """As a browser calls it: `localhost` is a secure context."""
        return f"{self._scheme}://{self._host}:{self.http_port}"

    @property
    def _scheme(self) -> str:
        return "http" if self._authority is None else "https"

    @property
    def pid(self) -> int:
        if self._process is None:
            raise RuntimeError("the server is not started")
        return self._process.pid

    async def start(self) -> Self:
        with self.log.open("wb") as out:
            self._process = await asyncio.create_subprocess_exec(
                *(self._namespace.prefix if self._namespace is not None else ()),
                *(sys.executable, "-m", "sfu", "serve", "--dev"),
                *("--http-port", str(self.http_port), "--media-port", str(self.media_port)),
                *("--control-enabled", "false"),
                *self._arguments,
                cwd=ROOT,
                stdout=out,
                stderr=asyncio.subprocess.STDOUT,
                env={**plain_environment(), "PYTHONUNBUFFERED": "1"},
            )
        try:
            await eventually(self._ready, within_s=READY_S, what="/readyz answers 200")
        except (NotInTime, RuntimeError) as error:
            await self.kill()
            raise RuntimeError(f"the server did not start: {error}\n{self.tail()}") from error
        return self

    async def _ready(self) -> bool:
        if self._process is None or self._process.returncode is not None:
            raise RuntimeError("the process has ended")
        try:
            return (await self.get("/readyz"))[0] == 200
        except OSError:
            return False

    async def stop(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        if process.returncode is None:
            process.send_signal(signal.SIGTERM)
        try:
            code = await asyncio.wait_for(process.wait(), STOP_S)
        except TimeoutError:
            process.kill()
            await process.wait()
            raise NotInTime(f"the server did not end within {STOP_S:g} s of SIGTERM\n{self.tail()}") from None
        if code not in (0, -signal.SIGTERM):
            raise AssertionError(f"the server ended with code {code}\n{self.tail()}")

    async def kill(self) -> None:
        """SIGKILL to the node alone; it may be started again."""
        process, self._process = self._process, None
        if process is not None and process.returncode is None:
            process.kill()
            await process.wait()

    async def __aenter__(self) -> Self:
        return await self.start()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    def tail(self, lines: int = 40) -> str:
        """The end of the log, for a failed test's report."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])

    async def get(self, path: str) -> tuple[int, str]:
        """Status and body of a GET. Raises OSError while nobody listens."""
        return await self._ask(urllib.request.Request(f"{self._scheme}://127.0.0.1:{self.http_port}{path}"))

    async def token(self, room: str, name: str) -> str:
        """A join grant from the development door. Raises AssertionError when it is refused."""
        request = urllib.request.Request(
            f"{self._scheme}://127.0.0.1:{self.http_port}/dev/token",
            data=json.dumps({"room": room, "name": name}).encode(),
            headers={"content-type": "application/json"},
        )
        status, body = await self._ask(request)
        if status != 200:
            raise AssertionError(f"POST /dev/token answered {status}: {body}")
        return str(json.loads(body)["token"])

    async def _ask(self, request: urllib.request.Request) -> tuple[int, str]:
        if self._namespace is not None:
            return await self._namespace.inside(lambda: fetch(request, self._authority))
        return await asyncio.to_thread(fetch, request, self._authority)

    async def metric(self, line: str) -> float:
        """The value of one sample of /metrics, named as it stands there with its labels; 0 when it is not there."""
        _, text = await self.get("/metrics")
        for sample in text.splitlines():
            if sample.startswith(line + " "):
                return float(sample.rsplit(" ", 1)[1])
        return 0.0


@contextlib.asynccontextmanager
async def server_in(wires: Network, folder: Path, *arguments: str, host: str = SERVER[0]) -> AsyncIterator[Server]:
    """`--lan` in a network of its own: HTTPS with a certificate kept in `folder`, every address of that network."""
    server = Server(
        *("--lan", "--http-certificate-folder", str(folder), *arguments),
        authority=folder / "certificate.pem",
        namespace=wires.server,
        host=host,
    )
    async with server:
        yield server


def fetch(request: urllib.request.Request, authority: Path | None = None) -> tuple[int, str]:
    """Status and body; over HTTPS only what `authority` vouches for is believed. Raises OSError."""
    # No proxy: the environment of a build machine often names one.
    handlers: list[urllib.request.BaseHandler] = [urllib.request.ProxyHandler({})]
    if authority is not None:
        handlers.append(urllib.request.HTTPSHandler(context=ssl.create_default_context(cafile=str(authority))))
    door = urllib.request.build_opener(*handlers)
    try:
        with door.open(request, timeout=5) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as refused:
        return refused.code, refused.read().decode(errors="replace")
