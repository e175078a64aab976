"""[I/O] What a container engine does with `-p`: a port of the host, handed on to one inside. Runs as a process.

    python -m tests.published --host 10.99.1.1 --udp 9000:7000 --tcp 9443:8443

As the engine's own proxy does it, each sender of a UDP port gets a port of its own towards the server, by which the
answers come back.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import functools
import signal
import sys
from collections.abc import AsyncIterator, Mapping
from typing import cast

from tests.netns import Namespace
from tests.relays import TcpForwarder

INSIDE = "127.0.0.1"

Address = tuple[str, int]


class _Outer(asyncio.DatagramProtocol):
    """The published port."""

    def __init__(self, server: Address) -> None:
        self._server = server
        self._ways: dict[Address, asyncio.Future[asyncio.DatagramTransport]] = {}
        self._port: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._port = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: Address) -> None:
        way = self._ways.get(addr)
        if way is None:
            way = self._ways[addr] = asyncio.ensure_future(self._open(addr))
        if way.done():
            way.result().sendto(data)
        else:
            way.add_done_callback(lambda opened: opened.result().sendto(data))

    async def _open(self, sender: Address) -> asyncio.DatagramTransport:
        assert self._port is not None
        inner = _Inner(self._port, sender)
        transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(
            lambda: inner, remote_addr=self._server
        )
        return transport


class _Inner(asyncio.DatagramProtocol):
    """One sender's way to the server."""

    def __init__(self, port: asyncio.DatagramTransport, sender: Address) -> None:
        self._port = port
        self._sender = sender

    def datagram_received(self, data: bytes, addr: Address) -> None:
        self._port.sendto(data, self._sender)


@contextlib.asynccontextmanager
async def published(
    namespace: Namespace, host: str, udp: Mapping[int, int], tcp: Mapping[int, int]
) -> AsyncIterator[None]:
    """Ports of `host` in the namespace, by those of its loopback that they lead to."""
    words = [
        f"--{kind}={outer}:{inner}" for kind, ports in (("udp", udp), ("tcp", tcp)) for outer, inner in ports.items()
    ]
    process = await asyncio.create_subprocess_exec(
        *(*namespace.prefix, sys.executable, "-m", "tests.published", "--host", host, *words),
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        assert process.stdout is not None
        async with asyncio.timeout(30):
            assert await process.stdout.readline() == b"published\n"
        yield
    finally:
        process.terminate()
        await process.wait()


def _pair(text: str) -> tuple[int, int]:
    outer, inner = text.split(":")
    return int(outer), int(inner)


async def _main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.published")
    parser.add_argument("--host", required=True)
    parser.add_argument("--udp", type=_pair, action="append", default=[])
    parser.add_argument("--tcp", type=_pair, action="append", default=[])
    asked = parser.parse_args()
    loop = asyncio.get_running_loop()
    ending = asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, ending.set)
    for outer, inner in asked.udp:
        make = functools.partial(_Outer, (INSIDE, inner))
        await loop.create_datagram_endpoint(make, local_addr=(asked.host, outer))
    for outer, inner in asked.tcp:
        await TcpForwarder((INSIDE, inner)).start(asked.host, outer)
    print("published", flush=True)
    await ending.wait()


if __name__ == "__main__":
    asyncio.run(_main())
