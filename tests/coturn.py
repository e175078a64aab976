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
from tests.servers import eventually, free_port

SECRET = "a secret of coturn and Stentor"


@dataclass(frozen=True)
class Coturn:
    """URLs by the transport towards it: udp, tcp, tls."""

    urls: dict[str, str]


@contextlib.asynccontextmanager
async def coturn() -> AsyncIterator[Coturn]:
    """Relays to loopback, which only a test's may."""
    port, tls_port = free_port(socket.SOCK_STREAM), free_port(socket.SOCK_STREAM)
    with tempfile.TemporaryDirectory(prefix="stentor-coturn-") as folder:
        made = keep(Path(folder), ["localhost"], ["127.0.0.1"], datetime.datetime.now(datetime.UTC))
        options = {
            "listening-ip": "127.0.0.1", "relay-ip": "127.0.0.1",
            "listening-port": port, "tls-listening-port": tls_port, "cert": made.certificate, "pkey": made.key,
            "realm": "stentor.test", "static-auth-secret": SECRET,
            "pidfile": Path(folder) / "pid", "userdb": Path(folder) / "db",
        }  # fmt: skip
        flags = ("use-auth-secret", "fingerprint", "no-cli", "allow-loopback-peers", "no-dtls", "no-software-attribute")
        process = await asyncio.create_subprocess_exec(
            "turnserver", "-n", *(f"--{name}={value}" for name, value in options.items()), *(f"--{f}" for f in flags),
            "--log-file=stdout", stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL,
        )  # fmt: skip
        try:

            async def listens() -> bool:
                with contextlib.suppress(OSError):
                    for one in (port, tls_port):
                        _, writer = await asyncio.open_connection("127.0.0.1", one)
                        writer.close()
                    return True
                return False

            await eventually(listens, within_s=15, what="coturn listens")
            yield Coturn(
                {
                    "udp": f"turn:127.0.0.1:{port}?transport=udp",
                    "tcp": f"turn:127.0.0.1:{port}?transport=tcp",
                    "tls": f"turns:localhost:{tls_port}?transport=tcp",
                }
            )
        finally:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()
