"""[I/O] A meeting of 40 in which everybody speaks in turn and looks at everybody: `python -m benchmarks.meeting`.

36 light clients, which publish true VP8 and Opus with a stamp in every packet, and 4 of libwebrtc in Node, which decode
all they get. Each person speaks for 1.2 s and must be heard by all others with at most 20 ms lost. Each one's eight
slots roll over all others, two seconds a page; each must show the asked person for at least a second, in order and
without a gap.

Between light clients stamps prove who it was, which layer and which frame. What libwebrtc encodes or decodes is proven
by the decoded picture, which spells who and the frame's number, and by the decoded tone, of which everybody has his
own; what a jitter buffer invented counts as lost.

Prints one line a check, the CPU of node, worker and clients, and `N passed, N failed` last; the exit code is 1 when
anything failed. A server of its own is started for each round.

    python -m benchmarks.meeting                       the whole: 36 + 4 people, one round of a minute
    python -m benchmarks.meeting --rounds 3            the same three times
    python -m benchmarks.meeting --people 9 --wrtc 1   a quick look

The first run encodes the films of the light clients (about a second each) and keeps them in build/reels.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import re
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import psutil

from benchmarks import wrtc_part
from benchmarks.decoded import Winding
from benchmarks.meeting_judge import PAGE_S, SPEECH_S, Check, Result, Script, judge, totals
from tests.servers import ROOT, Server

# Encoding of films where none are kept yet, joining of forty (about five seconds on two cores), and results.
READY_WITHIN_S = 300.0
JOIN_WITHIN_S = 60.0
TOLD_WITHIN_S = 120.0
ROOM = "forty"
MINUTE_S = 60.0
# (cores, rate). Server and forty clients, four of which decode, share the machine, and at 10 fps two cores are full:
# then what is lost is lost in the clients.
FPS_OF_CORES = ((4, 10), (0, 5))
# Sound that waited this long in a light client was not late because of the server: the machine had no time for that
# process. Decoders fill such a gap, and what they made up is counted as lost. On two cores the clients of a round are
# 85 to 180 ms late. Lower: rounds are thrown away that can be judged; higher: it is the clients that are judged.
STARVED_MS = 200.0


@dataclass(frozen=True)
class Round:
    """One meeting: the results, and shares of a core by name."""

    results: list[Result]
    cpu: Mapping[str, float]
    seconds: float
    verdicts: Mapping[str, int]  # of the server, with its socket drops

    def checks(self) -> list[Check]:
        return judge(self.results)

    @property
    def late_ms(self) -> float:
        """The longest that a client of either kind sent behind its own time."""
        return max(result.late_ms for result in self.results)

    @property
    def starved(self) -> bool:
        """Whether the machine had too little time for the clients: such a round proves nothing, however it ended."""
        return self.late_ms > STARVED_MS

    def costs(self) -> str:
        shares = ", ".join(f"{name} {share:.0f} %" for name, share in self.cpu.items())
        return f"CPU over {self.seconds:.0f} s, of a core: {shares}"

    def fates(self) -> str:
        """What the server says of its packets, the most frequent first."""
        most = sorted(self.verdicts.items(), key=lambda one: -one[1])
        return "server: " + ", ".join(f"{count} {name}" for name, count in most)

    def notes(self) -> str:
        """What is not the server's: how late the clients themselves were, what libwebrtc says of itself."""
        said = ", ".join(f"{name} {count}" for name, count in totals([one.notes for one in self.results]).items())
        starved = " (STARVED: what is lost may be the clients' own fault)" if self.starved else ""
        libwebrtc = f"; libwebrtc: {said}" if said else ""
        return f"clients at most {self.late_ms:.0f} ms behind their own time{starved}{libwebrtc}"


class NoWrtc(Exception):
    """libwebrtc for Node is not installed; the text says what to do."""


class _Part:
    """A process of clients and the lines it says."""

    def __init__(self, process: asyncio.subprocess.Process, name: str, wrtc: bool) -> None:
        self.process, self.name, self.wrtc = process, name, wrtc

    @classmethod
    async def start(cls, command: Sequence[str], name: str, told: object, *, wrtc: bool) -> _Part:
        process = await asyncio.create_subprocess_exec(
            *command,
            cwd=ROOT,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            limit=1 << 28,
        )
        part = cls(process, name, wrtc)
        await part.tell(json.dumps(told))
        return part

    async def tell(self, line: str) -> None:
        if self.process.stdin is None:
            raise RuntimeError("no pipe to the process of clients")
        self.process.stdin.write(line.encode() + b"\n")
        await self.process.stdin.drain()

    async def line(self, within_s: float) -> str:
        """The next line. Raises TimeoutError, or RuntimeError when the process has ended."""
        if self.process.stdout is None:
            raise RuntimeError("no pipe from the process of clients")
        async with asyncio.timeout(within_s):
            said = (await self.process.stdout.readline()).decode().strip()
        if not said:
            raise RuntimeError(f"{self.name} ended before its time; what it wrote above says why")
        return said

    async def expect(self, word: str, within_s: float) -> None:
        said = await self.line(within_s)
        if said != word:
            raise RuntimeError(f"{self.name} said {said[:200]!r} and not {word!r}")

    async def end(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            self.process.kill()
        await self.process.wait()


async def play(
    people: int,
    wrtc: int,
    processes: int,
    seconds: float = MINUTE_S,
    fps: int = 10,
    say: Callable[[str], None] = lambda _: None,
    faults: Mapping[int, str] | None = None,
) -> Round:
    """One meeting on a fresh server; `faults`: see Script.

    Raises NoWrtc, TimeoutError or RuntimeError when it could not be played."""
    if wrtc and not wrtc_part.INSTALLED.is_dir():
        raise NoWrtc("libwebrtc for Node is not installed: make setup-test does it, or play with --wrtc 0")
    pages = -(-round(max(seconds, people * SPEECH_S)) // round(PAGE_S))
    script = Script(people, pages, tuple(range(people - wrtc, people)), fps, faults=faults or {})
    async with Server() as server, contextlib.AsyncExitStack() as stack:
        parts = []
        url = f"ws://127.0.0.1:{server.http_port}/ws"
        tokens = {number: await server.token(ROOM, str(number)) for number in range(people)}
        for index in range(processes):
            own = {number: tokens[number] for number in range(people - wrtc) if number % processes == index}
            told: object = [url, own, asdict(script)]
            command = (sys.executable, "-m", "benchmarks.light_part")
            part = await _Part.start(command, "light clients", told, wrtc=False)
            stack.push_async_callback(part.end)
            parts.append(part)
        say("preparing films")
        for part in parts:
            await part.expect("ready", READY_WITHIN_S)
        if wrtc:
            told = wrtc_part.told(url, {number: tokens[number] for number in script.wrtc}, script)
            part = await _Part.start(wrtc_part.COMMAND, "libwebrtc clients", told, wrtc=True)
            stack.push_async_callback(part.end)
            parts.append(part)
        say(f"{people} people are joining")
        for part in parts:
            await part.expect("joined", JOIN_WITHIN_S)
        say(f"{people} people have joined; {pages * PAGE_S:.0f} s to go")
        before, began = _cpu(server, parts), time.monotonic()
        for part in parts:
            await part.tell(str(time.time() + 2))
        for part in parts:
            await part.expect("played", pages * PAGE_S + TOLD_WITHIN_S)
        after, lasted_s = _cpu(server, parts), time.monotonic() - began
        say("judging")
        told_by = [(part, json.loads(await part.line(TOLD_WITHIN_S))) for part in parts]
        _, metrics = await server.get("/metrics")
    shares = {name: 100 * (after[name] - before[name]) / lasted_s for name in before}
    return Round(_results(told_by, script), shares, lasted_s, _verdicts(metrics))


def _results(told_by: Sequence[tuple[_Part, Any]], script: Script) -> list[Result]:
    results = [Result.heard_of(one) for part, told in told_by if not part.wrtc for one in told]
    windings = {result.number: Winding(result.groups) for result in results}
    windings |= {number: Winding() for number in script.wrtc}
    results += [wrtc_part.result(one, windings) for part, told in told_by if part.wrtc for one in told]
    return sorted(results, key=lambda result: result.number)


def _verdicts(metrics: str) -> dict[str, int]:
    """Every fate of a packet that occurred."""
    found = re.findall(r'^stentor_verdicts_total\{stage="(\w+)",verdict="(\w+)"\} ([\d.e+]+)$', metrics, re.MULTILINE)
    drops = re.findall(r"^(stentor_socket_drops)_total\{.*\} ([\d.e+]+)$", metrics, re.MULTILINE)
    fates = {f"{stage} {verdict}": int(float(count)) for stage, verdict, count in found}
    return {name: count for name, count in (fates | {n: int(float(c)) for n, c in drops}).items() if count}


def _cpu(server: Server, parts: Sequence[_Part]) -> dict[str, float]:
    """User and system seconds of the node, of its worker and of all clients of a kind."""
    node = psutil.Process(server.pid)
    worker = next(child for child in node.children() if "sfu.worker" in " ".join(child.cmdline()))
    processes = [("node", node), ("worker", worker)]
    processes += [(part.name, psutil.Process(part.process.pid)) for part in parts]
    seconds: dict[str, float] = {}
    for name, process in processes:
        seconds[name] = seconds.get(name, 0.0) + sum(process.cpu_times()[:2])
    return seconds


def usual_fps() -> int:
    """A camera's rate at which forty clients do not starve each other on this machine."""
    cores = os.cpu_count() or 1
    return next(fps for least, fps in FPS_OF_CORES if cores >= least)


def _arguments(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.meeting",
        description=__doc__.removeprefix("[I/O] "),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--people", type=int, default=40, help="in all, 2 to 40 (default: %(default)s)")
    parser.add_argument("--wrtc", type=int, default=4, help="of them by libwebrtc in Node (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=1, help="each with a fresh server (default: %(default)s)")
    parser.add_argument("--seconds", type=float, default=MINUTE_S, help="of a round, if longer than all speeches")
    parser.add_argument("--fps", type=int, default=usual_fps(), help="of cameras: 5, 10 or 25 (here: %(default)s)")
    parser.add_argument("--processes", type=int, default=2, help="of light clients (default: %(default)s)")
    options = parser.parse_args(arguments)
    if not 2 <= options.people <= 40:
        parser.error("--people must be 2 to 40: a room has 40 seats")
    if not 0 <= options.wrtc < options.people:
        parser.error("--wrtc must leave at least one light client")
    if options.fps not in (5, 10, 25):
        parser.error("--fps must be 5, 10 or 25: pictures leave with every second, fifth or tenth packet of sound")
    if options.rounds < 1 or options.processes < 1:
        parser.error("--rounds and --processes must be at least 1")
    return options


async def _main(options: argparse.Namespace) -> int:
    passed = failed = 0
    for number in range(1, options.rounds + 1):

        def say(text: str, number: int = number) -> None:
            print(f"round {number} of {options.rounds}: {text}", flush=True)

        try:
            played = await play(options.people, options.wrtc, options.processes, options.seconds, options.fps, say)
        except (NoWrtc, TimeoutError, RuntimeError) as error:
            print(f"FAIL  round {number} could not be played: {error or type(error).__name__}", flush=True)
            failed += 1
            continue
        for check in played.checks():
            passed += check.holds
            failed += not check.holds
            print(f"{'ok   ' if check.holds else 'FAIL '} {check.line} ({check.found})")
        print(played.costs())
        print(played.fates())
        print(played.notes(), flush=True)
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(asyncio.run(_main(_arguments(sys.argv[1:]))))
