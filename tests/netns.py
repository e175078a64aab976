"""Two network namespaces joined by a cable: a server's and a client's, with four addresses each. Needs root.

The kernel's own stack, so addresses can go away and cables can be pulled as in life, and nothing of it touches the
machine's network.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import subprocess
import threading
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import TypeVar

import pytest

CLONE_NEWNET = 0x40000000  # <sched.h>
SERVER = ("10.99.1.1", "10.99.2.1", "fd99:1::1", "fd99:2::1")
CLIENT = ("10.99.1.2", "10.99.2.2", "fd99:1::2", "fd99:2::2")
DEVICE = "cable"

T = TypeVar("T")


@dataclass(frozen=True)
class Namespace:
    """One network of its own, by the name that ip(8) knows it by."""

    name: str

    @property
    def prefix(self) -> tuple[str, ...]:
        """The words before a command that shall run in it."""
        return ("ip", "netns", "exec", self.name)

    def ip(self, *words: str) -> None:
        """ip(8) in it. Raises CalledProcessError."""
        _ip("-netns", self.name, *words)

    async def inside(self, function: Callable[[], T]) -> T:
        """The result of `function`, run by a thread in the namespace; sockets that it opens stay there."""
        loop = asyncio.get_running_loop()
        done: asyncio.Future[T] = loop.create_future()

        def run() -> None:
            try:
                enter(self.name)
                result = function()
            except BaseException as error:
                loop.call_soon_threadsafe(_fail, done, error)
            else:
                loop.call_soon_threadsafe(_settle, done, result)

        # A thread of its own, since a pool's would stay in the namespace.
        threading.Thread(target=run, daemon=True).start()
        return await done


@dataclass(frozen=True)
class Network:
    server: Namespace
    client: Namespace


def enter(name: str) -> None:
    """Moves the calling thread into the namespace. Raises OSError."""
    handle = os.open(f"/run/netns/{name}", os.O_RDONLY)
    try:
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.setns(handle, CLONE_NEWNET) != 0:
            number = ctypes.get_errno()
            raise OSError(number, f"setns: {os.strerror(number)}")
    finally:
        os.close(handle)


def _settle(done: asyncio.Future[T], result: T) -> None:
    if not done.cancelled():
        done.set_result(result)


def _fail(done: asyncio.Future[T], error: BaseException) -> None:
    if not done.cancelled():
        done.set_exception(error)


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True, text=True)


@contextlib.asynccontextmanager
async def network() -> AsyncIterator[Network]:
    """The two, joined and with their addresses; all of it is gone afterwards."""
    if os.geteuid() != 0:
        pytest.skip("network namespaces need root (issue 3: paths are tested where the build runs as root)")
    made = Network(Namespace(f"stentor-s-{os.getpid()}"), Namespace(f"stentor-c-{os.getpid()}"))
    with contextlib.ExitStack() as stack:
        for one in (made.server, made.client):
            _ip("netns", "add", one.name)
            stack.callback(_ip, "netns", "delete", one.name)
            one.ip("link", "set", "lo", "up")
        _ip(*("link", "add", DEVICE, "netns", made.server.name, "type", "veth"),
            *("peer", "name", DEVICE, "netns", made.client.name))  # fmt: skip
        for one, addresses in ((made.server, SERVER), (made.client, CLIENT)):
            # The kernel's own link-local address comes a second or two after the cable, and Chromium then drops all
            # requests that are under way (ERR_NETWORK_CHANGED).
            one.ip("link", "set", DEVICE, "addrgenmode", "none")
            for address in addresses:
                # No waiting for a duplicate of an address that nobody else can have.
                long = (f"{address}/64", "nodad") if ":" in address else (f"{address}/24",)
                one.ip("address", "add", *long, "dev", DEVICE)
            one.ip("link", "set", DEVICE, "up")
        yield made
