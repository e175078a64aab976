"""[I/O] Those who are in: a process of its own that takes grants and goes into the media server with them, for real.

WebSocket, Chromium's offer, ICE and DTLS (benchmarks.viewer); nobody sends or is sent media. It obeys lines of JSON,
one for each grant, and answers each when that session stands or has failed, in whatever order they come to an end.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import sys
import time
from collections.abc import AsyncIterator

import msgspec
import uvloop

from benchmarks.viewer import Viewer

SEED = 4
NICE = 10


class Enter(msgspec.Struct, frozen=True, kw_only=True):
    """`source`: the address he comes from, as when he asked for the grant."""

    token: str
    source: str


class Entered(msgspec.Struct, frozen=True, kw_only=True):
    """`error` "" = the session stands: answered, and the DTLS handshake done."""

    took_ms: float
    error: str = ""


async def _obey() -> None:
    # People bring machines of their own: ours shall not take the server's, as far as one machine can do that.
    os.nice(NICE)
    url, chance = sys.argv[1], random.Random(SEED)
    viewers: list[Viewer] = []
    tasks: set[asyncio.Task[None]] = set()

    async def enter(order: Enter) -> None:
        began, error = time.monotonic(), ""
        try:
            drawn = random.Random(chance.randrange(1 << 62))
            viewers.append(await Viewer.join(url, order.token, drawn, source=order.source))
        except Exception as fault:  # whatever it was, it is what this one found
            error = f"{type(fault).__name__}: {fault}"
        told = Entered(took_ms=1000 * (time.monotonic() - began), error=error)
        sys.stdout.buffer.write(msgspec.json.encode(told) + b"\n")
        sys.stdout.buffer.flush()

    while line := await asyncio.to_thread(sys.stdin.buffer.readline):
        task = asyncio.create_task(enter(msgspec.json.decode(line, type=Enter)))
        tasks.add(task)
        task.add_done_callback(tasks.discard)
    await asyncio.gather(*tasks)
    await asyncio.gather(*(viewer.leave() for viewer in viewers))


class Inside:
    """`async with Inside.at(url) as inside`: `enter` some, then `entered` as many. All leave at the end."""

    LEFT_WITHIN_S = 30.0

    def __init__(self, child: asyncio.subprocess.Process) -> None:
        self._child = child

    @classmethod
    @contextlib.asynccontextmanager
    async def at(cls, url: str) -> AsyncIterator[Inside]:
        child = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "benchmarks.control_plane.inside", url),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        try:
            yield cls(child)
            if child.stdin is not None:
                child.stdin.close()
            async with asyncio.timeout(cls.LEFT_WITHIN_S):
                await child.wait()
        finally:
            with contextlib.suppress(ProcessLookupError):
                child.kill()
            await child.wait()

    def enter(self, token: str, source: str) -> None:
        """Does not wait."""
        if self._child.stdin is None:
            raise RuntimeError("the process of those inside has no pipe")
        self._child.stdin.write(msgspec.json.encode(Enter(token=token, source=source)) + b"\n")

    async def entered(self, count: int) -> list[Entered]:
        """The next so many that stand or have failed. Raises RuntimeError when the process has ended."""
        found = []
        for _ in range(count):
            line = b"" if self._child.stdout is None else await self._child.stdout.readline()
            if not line:
                raise RuntimeError("the process of those inside has ended")
            found.append(msgspec.json.decode(line, type=Entered))
        return found


if __name__ == "__main__":
    uvloop.run(_obey())
