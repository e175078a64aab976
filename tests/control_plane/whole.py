"""`stentor serve` with its control plane, as `make run` starts it, for the tests of the whole."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import subprocess
import sys
from pathlib import Path

import httpx2
import psutil

from tests.servers import ROOT, Server, eventually, free_port, plain_environment

# Issue: a suspension ends a running room within seconds.
ENDED_WITHIN_S = 5.0


def serving(folder: Path, database: str = "", *, test_mode: bool = False) -> tuple[Server, str]:
    """A server to be started, and the address of its control plane. `database` as control.database; in `test_mode` the
    clock stands until it is set forward."""
    port = free_port(socket.SOCK_STREAM)
    arguments = ["--control-enabled", "true", "--control-port", str(port), "--control-folder", str(folder)]
    if database:
        arguments += ["--control-database", database]
    if test_mode:
        arguments += ["--control-test-mode", "true"]
    return Server(*arguments), f"http://localhost:{port}"


def planes(server: Server) -> list[psutil.Process]:
    """The control plane's processes that run."""
    found = []
    for one in psutil.Process(server.pid).children():
        with contextlib.suppress(psutil.NoSuchProcess):  # a zombie is one too
            found += [one] if "control_plane" in one.cmdline() else []
    return found


async def answers(origin: str, within_s: float = 30) -> None:
    """Returns once the control plane answers. Raises NotInTime."""

    async def look() -> bool:
        try:
            async with httpx2.AsyncClient(trust_env=False) as http:
                return (await http.get(f"{origin}/api/v1/openapi.json")).status_code == 200
        except httpx2.TransportError:
            return False

    await eventually(look, within_s=within_s, what="the control plane answers")


async def appoint(email: str, folder: Path, database: str = "") -> None:
    """`stentor appoint`."""
    command = [sys.executable, "-m", "sfu", "appoint", "--email", email, "--control-folder", str(folder)]
    if database:
        command += ["--control-database", database]
    await asyncio.to_thread(
        subprocess.run, command, cwd=ROOT, env=plain_environment(), check=True, stdout=subprocess.DEVNULL
    )
