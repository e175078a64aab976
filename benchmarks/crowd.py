"""[I/O] Thousands of viewers of one room, in processes of their own: join, look, and report as browsers do."""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import sys
import time
from collections.abc import AsyncIterator
from typing import Any

from benchmarks.viewer import FEEDBACKS_PER_S, Viewer
from sfu.contract import Grant, load_key, sign

ROOM = "crowd"
SHARED_KEY = "a key for the benchmark alone, nothing else"
PROCESSES = 2
# Joins under way at once in each process: enough to keep two cores busy, few enough that none waits long.
ABREAST = 8


# -- the viewers' processes --


async def _part() -> None:
    """Obeys lines of JSON on standard input: {"join": [tokens]}, {"view": participant}; each answered by one line."""
    crowd: list[Viewer] = []
    url, seed = json.loads(await asyncio.to_thread(sys.stdin.readline))
    chance = random.Random(seed)
    abreast = asyncio.Semaphore(ABREAST)
    reports = asyncio.create_task(_report(crowd))

    async def join(token: str) -> str:
        async with abreast:
            try:
                crowd.append(await Viewer.join(url, token, random.Random(chance.randrange(1 << 62))))
            except Exception as error:
                return f"{type(error).__name__}: {error}"
        return ""

    async def view(viewer: Viewer, participant: str) -> None:
        async with abreast:
            await viewer.view(participant)

    while line := await asyncio.to_thread(sys.stdin.readline):
        order = json.loads(line)
        if "join" in order:
            failed = [error for error in await asyncio.gather(*map(join, order["join"])) if error]
            print(json.dumps(failed), flush=True)
        else:
            await asyncio.gather(*(view(viewer, order["view"]) for viewer in crowd))
            print(json.dumps([]), flush=True)
    reports.cancel()


async def _report(crowd: list[Viewer]) -> None:
    """Each viewer's reports, spread over the second."""
    loop = asyncio.get_running_loop()
    parts = 20
    for tick in range(1 << 40):
        due = loop.time() + 1 / parts
        for viewer in crowd[tick % parts :: parts]:
            viewer.report()
        for viewer in crowd[tick % (parts // FEEDBACKS_PER_S) :: parts // FEEDBACKS_PER_S]:
            viewer.feed_back(time.monotonic_ns() // 1000)
        await asyncio.sleep(max(0.0, due - loop.time()))


class Crowd:
    """The viewers of all processes."""

    def __init__(self, children: list[asyncio.subprocess.Process], names: str) -> None:
        self._children = children
        self._names = names
        self._drawn = 0

    @classmethod
    @contextlib.asynccontextmanager
    async def at(cls, url: str, names: str) -> AsyncIterator[Crowd]:
        """`names`: how the viewers' names begin."""
        children = [
            await asyncio.create_subprocess_exec(
                sys.executable, "-m", "benchmarks.crowd",
                stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, limit=1 << 26,
            )
            for _ in range(PROCESSES)
        ]  # fmt: skip
        try:
            crowd = cls(children, names)
            for seed, child in enumerate(children):
                await _tell(child, [url, seed])
            yield crowd
        finally:
            for child in children:
                with contextlib.suppress(ProcessLookupError):
                    child.kill()
                await child.wait()

    async def join(self, count: int) -> list[str]:
        """So many more join; what went wrong, by viewer."""
        tokens = [token(f"{self._names}{self._drawn + number}", ()) for number in range(count)]
        self._drawn += count
        shares = [tokens[start :: len(self._children)] for start in range(len(self._children))]
        return await self._all([{"join": share} for share in shares])

    async def view(self, participant: str) -> None:
        """Everybody looks at the participant's camera."""
        await self._all([{"view": participant}] * len(self._children))

    async def _all(self, orders: list[Any]) -> list[str]:
        for child, order in zip(self._children, orders, strict=True):
            await _tell(child, order)
        return [error for child in self._children for error in await _answer(child)]


async def _tell(child: asyncio.subprocess.Process, order: Any) -> None:
    assert child.stdin is not None
    child.stdin.write(json.dumps(order).encode() + b"\n")
    await child.stdin.drain()


async def _answer(child: asyncio.subprocess.Process) -> list[str]:
    assert child.stdout is not None
    line = await child.stdout.readline()
    if not line:
        raise RuntimeError("a process of viewers has ended")
    answer: list[str] = json.loads(line)
    return answer


def token(name: str, publish: tuple[Any, ...]) -> str:
    """A grant for the room, signed with the key that the server must be started with."""
    key = load_key(SHARED_KEY, key_id="stentor-1", issuer="stentor", audience="stentor-sfu")
    now = time.time()
    return sign(Grant(room=ROOM, identity=name, name=name, publish=publish, expires_at=now + 3600), key, now)


if __name__ == "__main__":
    asyncio.run(_part())
