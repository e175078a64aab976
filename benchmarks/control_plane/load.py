"""[I/O] The load: a process of its own, so that whoever measures does not share an interpreter with what he measures.

It obeys lines of JSON on standard input, one order after the other, and answers on standard output.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import sys
import time
from collections.abc import AsyncIterator, Iterator, Sequence

import msgspec
import uvloop

from benchmarks.control_plane.asking import Answered, Ask, Line
from control_plane.accounts.passwords import Passwords
from sfu import companion

LINE_BYTES_MAX = 1 << 24


class Walk(msgspec.Struct, frozen=True, kw_only=True, tag="walk"):
    """One visitor asks one thing after the other, again and again, with a pause between.

    `beside` is sent at once when he begins; he walks until all of it is answered, and `for_s` seconds at least.
    """

    asks: list[Ask]
    pause_s: float
    for_s: float
    beside: list[Ask] = []


class Arrive(msgspec.Struct, frozen=True, kw_only=True, tag="arrive"):
    """Each ask at its time, on a connection of its own, whether or not those before it were answered."""

    asks: list[Ask]
    at_s: list[float]


class Hash(msgspec.Struct, frozen=True, kw_only=True, tag="hash"):
    """A password hashed, alone, at the cost of service. Answered by the seconds that it took."""


class Walked(msgspec.Struct, frozen=True, kw_only=True):
    """What a Walk found. `last_s`: when the last of `beside` was answered, from their sending on."""

    walked: list[Answered]
    beside: list[Answered]
    last_s: float


class _Walker:
    """Keeps its connections, one for each source address, and its place in the round."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._lines: dict[str, Line] = {}
        self._turns: dict[tuple[str, ...], Iterator[int]] = {}

    async def walk(self, order: Walk) -> Walked:
        began = time.monotonic()
        sent = [asyncio.create_task(Line(self._port, ask.source).ask(ask)) for ask in order.beside]
        walked: list[Answered] = []
        turns = self._turns.setdefault(tuple(ask.name for ask in order.asks), itertools.count())
        if not order.asks:
            await asyncio.wait(sent)
        while order.asks and (time.monotonic() - began < order.for_s or not all(task.done() for task in sent)):
            ask = order.asks[next(turns) % len(order.asks)]
            line = self._lines.setdefault(ask.source, Line(self._port, ask.source))
            walked.append(await line.ask(ask))
            await asyncio.sleep(order.pause_s)
        beside = [task.result() for task in sent]
        return Walked(walked=walked, beside=beside, last_s=max((one.at_s for one in beside), default=began) - began)


async def _arrive(port: int, order: Arrive) -> AsyncIterator[Answered]:
    began = time.monotonic()

    async def come(ask: Ask, at_s: float) -> Answered:
        await asyncio.sleep(began + at_s - time.monotonic())
        line = Line(port, ask.source)
        try:
            return await line.ask(ask, keep_text=True)
        finally:
            line.close()

    tasks = [asyncio.create_task(come(ask, at_s)) for ask, at_s in zip(order.asks, order.at_s, strict=True)]
    for task in asyncio.as_completed(tasks):
        yield await task


async def _obey() -> None:
    port = int(sys.argv[1])
    walker, passwords = _Walker(port), Passwords()
    out = sys.stdout.buffer
    while line := await asyncio.to_thread(sys.stdin.buffer.readline):
        order = msgspec.json.decode(line, type=Walk | Arrive | Hash)
        if isinstance(order, Hash):
            began = time.monotonic()
            passwords.hash("a long enough pass phrase")
            out.write(msgspec.json.encode(time.monotonic() - began) + b"\n")
        elif isinstance(order, Walk):
            out.write(msgspec.json.encode(await walker.walk(order)) + b"\n")
        else:
            async for one in _arrive(port, order):
                out.write(msgspec.json.encode(one) + b"\n")
                out.flush()
        out.flush()


# -- the side of whoever measures --


class Load:
    """`async with Load.at(port) as load`."""

    def __init__(self, child: asyncio.subprocess.Process) -> None:
        self._child = child

    @classmethod
    @contextlib.asynccontextmanager
    async def at(cls, port: int) -> AsyncIterator[Load]:
        child = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "benchmarks.control_plane.load", str(port)),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            limit=LINE_BYTES_MAX,
            env=companion.environment(os.environ),  # so that its hash is the server's
        )
        try:
            yield cls(child)
        finally:
            with contextlib.suppress(ProcessLookupError):
                child.kill()
            await child.wait()

    async def walk(self, asks: Sequence[Ask], *, pause_s: float, for_s: float, beside: Sequence[Ask] = ()) -> Walked:
        await self._tell(Walk(asks=list(asks), pause_s=pause_s, for_s=for_s, beside=list(beside)))
        return msgspec.json.decode(await self._line(), type=Walked)

    async def one_hash_s(self) -> float:
        """How long one hash takes now, with nothing beside it that we know of."""
        await self._tell(Hash())
        return msgspec.json.decode(await self._line(), type=float)

    async def arrive(self, asks: Sequence[Ask], at_s: Sequence[float]) -> AsyncIterator[Answered]:
        """Answers as they come, with their text."""
        await self._tell(Arrive(asks=list(asks), at_s=list(at_s)))
        for _ in asks:
            yield msgspec.json.decode(await self._line(), type=Answered)

    async def _tell(self, order: Walk | Arrive | Hash) -> None:
        if self._child.stdin is None:
            raise RuntimeError("the load has no pipe")
        self._child.stdin.write(msgspec.json.encode(order) + b"\n")
        await self._child.stdin.drain()

    async def _line(self) -> bytes:
        line = b"" if self._child.stdout is None else await self._child.stdout.readline()
        if not line:
            raise RuntimeError("the process of the load has ended")
        return line


if __name__ == "__main__":
    uvloop.run(_obey())
