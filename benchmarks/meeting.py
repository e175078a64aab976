"""[I/O] A meeting of 40 in which everybody speaks in turn and looks at everybody: `python -m benchmarks.meeting`.

Each person speaks for 1.2 s and must be heard by all others with at most one frame of 20 ms lost. Each one's eight
slots roll over all others, two seconds a page; each must show the asked person for at least a second, in order and
without a gap. Stamps in every packet prove who it was. Prints one line a check, the CPU of node and worker, and
`N passed, N failed` last.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import random
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import psutil

from benchmarks.client import LightClient, Publish
from benchmarks.meeting_judge import PAGE_S, SPEECH_S, Result, Step, judge, plan
from benchmarks.sending import Layer
from tests.servers import Server

LAYERS = (Layer("q", 320, 180, 60), Layer("h", 640, 360, 150))
SLOTS = 8
# Joining of forty takes about five seconds on two cores; the script begins for all at the same moment.
JOIN_WITHIN_S = 60.0
ROOM = "forty"


@dataclass(frozen=True)
class Part:
    """What one process of clients is told on its standard input."""

    url: str
    tokens: dict[int, str]  # of its own people
    people: int
    pages: int


async def _person(client: LightClient, number: int, part: Part, began: float) -> dict[str, Any]:
    """Speaks when it is his turn, turns the page every two seconds, and tells what he saw and heard."""
    loop = asyncio.get_running_loop()
    steps: list[Step] = []

    async def speak() -> None:
        await asyncio.sleep(began + number * SPEECH_S - loop.time())
        if client.microphone is not None:
            client.microphone.speaking = True
            await asyncio.sleep(SPEECH_S)
            client.microphone.speaking = False

    async def look() -> None:
        names = {int(one["name"]): one["participant"] for one in client.joined["participants"]}
        names |= {
            int(message["name"]): message["participant"]
            for message in client.messages
            if message["type"] == "participant" and message["event"] == "joined"
        }
        mids = [slot.mid for slot in client.video][: part.people - 1]
        for page in range(part.pages):
            await asyncio.sleep(began + page * PAGE_S - loop.time())
            shown = plan(number, page, part.people, len(mids))
            asked_us = time.monotonic_ns() // 1000
            steps.extend(Step(mid, who, asked_us) for mid, who in zip(mids, shown, strict=True))
            await client.view(
                {mid: (names[who], "camera") for mid, who in zip(mids, shown, strict=True)}, max_height=180
            )
        await asyncio.sleep(began + part.pages * PAGE_S - loop.time())

    await asyncio.gather(speak(), look())
    await asyncio.sleep(0.5)  # the last packets are on their way
    return Result.of(client, number, steps).told()


async def _part(part: Part) -> None:
    """One process: joins its people, says so, waits for the common start, plays, tells."""
    async with contextlib.AsyncExitStack() as stack:
        clients: dict[int, LightClient] = {}
        for number, token in part.tokens.items():
            publish = Publish(number, layers=LAYERS)
            client = await LightClient.join(
                part.url, token, publish=publish, audio_slots=3, video_slots=SLOTS, chance=random.Random(number)
            )
            stack.push_async_callback(client.leave)
            clients[number] = client
        print("joined", flush=True)
        began_at = float(await asyncio.to_thread(sys.stdin.readline))
        began = asyncio.get_running_loop().time() + began_at - time.time()
        results = await asyncio.gather(*(_person(client, number, part, began) for number, client in clients.items()))
        print(json.dumps(results), flush=True)


async def play(server: Server, people: int, processes: int) -> tuple[list[Result], dict[str, float]]:
    """All results, and CPU seconds of node and worker while the script ran."""
    url = f"ws://127.0.0.1:{server.http_port}/ws"
    tokens = {number: await server.token(ROOM, str(number)) for number in range(people)}
    pages = -(-round(people * SPEECH_S) // round(PAGE_S))
    children = []
    for index in range(processes):
        own = {number: token for number, token in tokens.items() if number % processes == index}
        child = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "benchmarks.meeting", "--part",
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, limit=1 << 26,
        )  # fmt: skip
        children.append(child)
        await _tell(child, json.dumps([url, own, people, pages]))
    try:
        async with asyncio.timeout(JOIN_WITHIN_S):
            for child in children:
                assert await _line(child) == "joined", "a process of clients did not join"
        print(f"{people} people have joined; {pages * PAGE_S:.0f} s to go", flush=True)
        before = _cpu(server)
        for child in children:
            await _tell(child, str(time.time() + 2))
        found = [Result.heard_of(one) for child in children for one in json.loads(await _line(child))]
        after = _cpu(server)
    finally:
        for child in children:
            with contextlib.suppress(ProcessLookupError):
                child.kill()
            await child.wait()
    return found, {name: after[name] - before[name] for name in before}


async def _tell(child: asyncio.subprocess.Process, line: str) -> None:
    if child.stdin is None:
        raise RuntimeError("no pipe to the process of clients")
    child.stdin.write(line.encode() + b"\n")
    await child.stdin.drain()


async def _line(child: asyncio.subprocess.Process) -> str:
    if child.stdout is None:
        raise RuntimeError("no pipe from the process of clients")
    return (await child.stdout.readline()).decode().strip()


def _cpu(server: Server) -> dict[str, float]:
    """User and system seconds of the node and of its worker."""
    node = psutil.Process(server.pid)
    worker = next(child for child in node.children() if "sfu.worker" in " ".join(child.cmdline()))
    return {name: sum(process.cpu_times()[:2]) for name, process in (("node", node), ("worker", worker))}


def _arguments(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.meeting", description=__doc__.split("\n")[0])
    parser.add_argument("--people", type=int, default=40, help="2 to 40 (default: %(default)s)")
    parser.add_argument("--processes", type=int, default=2, help="of clients (default: %(default)s)")
    parser.add_argument("--part", action="store_true", help=argparse.SUPPRESS)
    return parser.parse_args(arguments)


async def _main(arguments: argparse.Namespace) -> int:
    if arguments.part:
        url, tokens, people, pages = json.loads(await asyncio.to_thread(sys.stdin.readline))
        await _part(Part(url, {int(number): token for number, token in tokens.items()}, people, pages))
        return 0
    async with Server() as server:
        results, cpu = await play(server, arguments.people, arguments.processes)
        frames = await server.metric('stentor_verdicts_total{stage="departure",verdict="SENT"}')
    failed = 0
    checks = judge(results)
    for check in checks:
        failed += not check.holds
        print(f"{'ok   ' if check.holds else 'FAIL '} {check.line} ({check.found})")
    played_s = max(1.0, -(-round(arguments.people * SPEECH_S) // round(PAGE_S)) * PAGE_S)
    shares = ", ".join(f"{name} {100 * spent / played_s:.0f} % of a core" for name, spent in cpu.items())
    print(f"CPU while they spoke: {shares}; {frames:.0f} packets sent in all")
    print(f"{len(checks) - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(asyncio.run(_main(_arguments(sys.argv[1:]))))
