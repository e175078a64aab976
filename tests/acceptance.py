"""The frame of `make accept-...`: one line a check as it is done, and a report. What is checked stands in accept_*.py.

A line says `ok`, `FAIL` or `AGAIN`, what was found, and where that tells something how long it took. A missing program
is a failure.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from tests.servers import ROOT, NotInTime, Server, eventually

BUSY_PERCENT = 90.0
CLONE_S = 600.0  # a fresh virtual environment and a kernel build over a slow network


class Checks:
    """Runs checks, says each in one line, counts."""

    def __init__(self, *, times: bool = False) -> None:
        """`times`: each line says how long it took."""
        self.passed = 0
        self.failed: list[str] = []
        self._times = times

    async def __call__(self, line: str, check: Callable[[], Awaitable[str]], *, again: bool = False) -> bool:
        """`again`: may run a second time, said aloud, when it failed while the machine was busy."""
        psutil.cpu_percent()
        began = time.monotonic()
        try:
            found = await check()
        except Exception as error:  # whatever went wrong, this line has failed and the next one is tried
            load = psutil.cpu_percent()
            if again and load > BUSY_PERCENT:
                print(f"AGAIN {line}: failed while the machine was {load:.0f} % busy ({short(error)})", flush=True)
                return await self(line, check)
            self.failed.append(line)
            print(f"FAIL  {line}: {short(error)} (machine {load:.0f} % busy)", flush=True)
            return False
        self.passed += 1
        took = f", {time.monotonic() - began:.1f} s" if self._times else ""
        print(f"ok    {line} ({found}{took})", flush=True)
        return True

    def judge(self, line: str, holds: bool, found: str) -> None:
        self.passed += holds
        if not holds:
            self.failed.append(line)
        print(f"{'ok   ' if holds else 'FAIL '} {line} ({found})", flush=True)

    def report(self) -> int:
        """The last line; the exit code."""
        print(f"{self.passed} passed, {len(self.failed)} failed")
        return 1 if self.failed else 0


def short(error: BaseException) -> str:
    return f"{type(error).__name__}: {str(error).strip()}"[:1500]


@dataclass(frozen=True)
class Part:
    """A numbered part of an issue and what proves it. `tests` are arguments of pytest, `settings` its environment."""

    line: str
    tests: tuple[str, ...]
    settings: Mapping[str, str] = field(default_factory=dict)


async def holds(part: Part) -> str:
    """pytest's last line. Raises AssertionError with the end of what it wrote when a test failed, or none ran."""
    # Those marked long too.
    return await says("-m", "pytest", "-q", "-m", "", *part.tests, settings=part.settings)


async def says(*arguments: str, settings: Mapping[str, str] | None = None) -> str:
    """The last line of a program of ours. Raises AssertionError with the end of what it wrote when it failed."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *arguments,
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env={**os.environ, **(settings or {})},
    )
    written = (await process.communicate())[0].decode(errors="replace").strip().splitlines()
    assert process.returncode == 0, "; ".join(written[-8:])
    return written[-1]


async def fresh_clone_runs(http_port: int, *arguments: str, then: Callable[[], Awaitable[str]] | None = None) -> str:
    """`make run` in a clone of the last commit prints an address that answers. `arguments` of `stentor serve`, `then`
    what must hold as well while it runs."""
    with tempfile.TemporaryDirectory(prefix="stentor-clone-") as folder:
        clone, log = Path(folder) / "stentor", Path(folder) / "log"
        await asyncio.to_thread(subprocess.run, ["git", "clone", "--quiet", str(ROOT), str(clone)], check=True)
        told = " ".join(("--http-port", str(http_port), *arguments))
        environment = {
            name: value for name, value in os.environ.items() if name not in ("MAKEFLAGS", "MAKELEVEL", "MFLAGS")
        }
        with log.open("wb") as out:
            make = await asyncio.create_subprocess_exec(
                "make",
                "run",
                f"ARGS={told}",
                cwd=clone,
                stdout=out,
                stderr=out,
                env=environment,
                start_new_session=True,
            )
        try:

            async def address() -> str | None:
                if make.returncode is not None:
                    raise AssertionError(f"make run ended with {make.returncode}: {log.read_text()[-800:]}")
                found = re.search(rf"http://\S+:{http_port}\S*", log.read_text())
                return found[0] if found else None

            printed = await eventually(address, within_s=CLONE_S, what="make run prints an address", every_s=0.5)
            server = Server()
            server.http_port = http_port

            async def answers() -> bool:
                with contextlib.suppress(OSError):
                    return (await server.get("/"))[0] == 200 and (await server.get("/readyz"))[0] == 200
                return False

            await eventually(answers, within_s=30, what="the printed address answers", every_s=0.5)
            return printed if then is None else f"{printed}, {await then()}"
        except NotInTime as late:
            raise AssertionError(f"{late}: {log.read_text()[-800:]}") from late
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(make.pid, signal.SIGTERM)
            await make.wait()
