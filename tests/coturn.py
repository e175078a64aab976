"""A real coturn on loopback, as a process of its own, for tests."""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import socket
import tempfile
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

from sfu.certificate import keep
from tests.netns import Namespace
from tests.servers import eventually, free_port

SECRET = "a secret of coturn and Stentor"


@dataclass(frozen=True)
class Coturn:
    """URLs by the transport towards it: udp, tcp, tls. `port` is that of the first two."""

    urls: dict[str, str]
    port: int


@contextlib.asynccontextmanager
async def coturn(address: str = "127.0.0.1", namespace: Namespace | None = None) -> AsyncIterator[Coturn]:
    """At an address of loopback or of `namespace`. Relays to loopback, which only a test's may."""
    port, tls_port = free_port(socket.SOCK_STREAM), free_port(socket.SOCK_STREAM)
    with tempfile.TemporaryDirectory(prefix="stentor-coturn-") as folder:
        made = keep(Path(folder), ["localhost"], [address], datetime.datetime.now(datetime.UTC))
        options = {
            "listening-ip": address, "relay-ip": address,
            "listening-port": port, "tls-listening-port": tls_port, "cert": made.certificate, "pkey": made.key,
            "realm": "stentor.test", "static-auth-secret": SECRET,
            "pidfile": Path(folder) / "pid", "userdb": Path(folder) / "db",
        }  # fmt: skip
        flags = ("use-auth-secret", "fingerprint", "no-cli", "allow-loopback-peers", "no-dtls", "no-software-attribute")
        process = await asyncio.create_subprocess_exec(
            *(() if namespace is None else namespace.prefix),
            *("turnserver", "-n", "--log-file=stdout"),
            *(f"--{name}={value}" for name, value in options.items()),
            *(f"--{flag}" for flag in flags),
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
        )
        try:

            def knock() -> None:
                for one in (port, tls_port):
                    socket.create_connection((address, one), 1).close()

            async def listens() -> bool:
                with contextlib.suppress(OSError):
                    await (asyncio.to_thread(knock) if namespace is None else namespace.inside(knock))
                    return True
                return False

            await eventually(listens, within_s=15, what="coturn listens")
            yield Coturn(
                {
                    "udp": f"turn:{address}:{port}?transport=udp",
                    "tcp": f"turn:{address}:{port}?transport=tcp",
                    "tls": f"turns:{address}:{tls_port}?transport=tcp",
                },
                port,
            )
        finally:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()
