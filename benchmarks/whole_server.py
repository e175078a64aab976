"""[I/O] DESIGN rows 13, 14 and 16: a whole server with thousands of viewers of one publisher.

First 40 viewers watch, and stay the load all along. Then a thousand join (row 14), look at the publisher (row 16), and
two thousand more join and look (row 13). Joins cost the server messages, an answer, ICE, DTLS and rows; looking costs
packets. The viewers come from processes of their own and speak WebSocket, ICE, DTLS and SRTP for real.
"""

from __future__ import annotations

import asyncio
import random
import statistics
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

import psutil

from benchmarks.client import LightClient, Publish
from benchmarks.crowd import SHARED_KEY, Crowd, token
from benchmarks.figures import MOVED_MAX, Figure, Sample, number
from benchmarks.rig import RawSender, Rig
from benchmarks.sending import Layer
from sfu.routing.tables import SENT_PER_SLOT
from tests.servers import Server, eventually

# One packet a picture: what is measured is the number of packets, and 3,000 viewers are 75,000 a second.
PICTURE = (Layer("", 320, 180, 60),)
WATCHERS = 40
JOINS = 1000
CROWD = 3000
IDLE_S = 10.0
STEADY_S = 15.0
# OpenSSL's objects go 10 s after a handshake.
AFTER_HANDSHAKE_S = 12.0
RAW_PACKETS, RAW_SIZE = 200_000, 1200
JOIN_GATE_MS, JOIN_AIM_MS = 3.0, 1.0
LATENCY_GATE = 2.0
THREADS_GATE_PERCENT, THREADS_AIM_PERCENT = 3.0, 1.0
WORKER_GATE_KIB, WORKER_AIM_KIB = 32.0, 12.0
NODE_GATE_KIB, NODE_AIM_KIB = 32.0, 16.0

Progress = Callable[[str], None]


@dataclass(frozen=True)
class Use:
    """CPU seconds since the processes began, and memory now."""

    at: float
    node_s: float
    kernel_s: float
    python_s: float  # all threads of the worker but the kernel's
    node_bytes: int
    worker_bytes: int


class Meter:
    """Reads node and worker from outside."""

    def __init__(self, server: Server) -> None:
        self._node = psutil.Process(server.pid)
        self._worker = next(one for one in self._node.children() if "sfu.worker" in " ".join(one.cmdline()))

    def read(self) -> Use:
        kernel_s = python_s = 0.0
        for task in Path(f"/proc/{self._worker.pid}/task").iterdir():
            spent_s = int((task / "schedstat").read_text().split()[0]) / 1e9
            if (task / "comm").read_text().strip() == "kernel":
                kernel_s += spent_s
            else:
                python_s += spent_s
        tasks = Path(f"/proc/{self._node.pid}/task").iterdir()
        node_s = sum(int((task / "schedstat").read_text().split()[0]) / 1e9 for task in tasks)
        rss = (self._node.memory_info().rss, self._worker.memory_info().rss)
        return Use(time.monotonic(), node_s, kernel_s, python_s, *rss)


async def _latencies(server: Server) -> dict[float, float]:
    """Packets by upper bound in seconds, cumulative."""
    _, text = await server.get("/metrics")
    found = {}
    for line in text.splitlines():
        if line.startswith("stentor_forward_latency_seconds_bucket"):
            bound = line.split('le="')[1].split('"')[0]
            found[float(bound.replace("+Inf", "inf"))] = float(line.rsplit(" ", 1)[1])
    return found


def p90_us(before: dict[float, float], after: dict[float, float]) -> float:
    """Between two readings, within its bucket as Prometheus' histogram_quantile has it. Raises ValueError for none."""
    counts = [(bound, after[bound] - before.get(bound, 0.0)) for bound in sorted(after)]
    wanted, low, below = 0.9 * counts[-1][1], 0.0, 0.0
    if wanted <= 0:
        raise ValueError("nothing was forwarded")
    for bound, count in counts:
        if count >= wanted:
            share = (wanted - below) / (count - below)
            return 1e6 * (low if bound == float("inf") else low + (bound - low) * share)
        low, below = bound, count
    raise ValueError("the buckets do not add up")


# -- the phases --


class _Raw:
    """The raw sender on loopback: how fast this machine is at the moment."""

    def __init__(self) -> None:
        self._rig = Rig("loopback", WATCHERS).__enter__()
        self._sender = RawSender(self._rig)

    def us(self) -> float:
        """The median of three: one alone may meet what the phase before it left to do."""
        return statistics.median(self._sender.us_a_packet(RAW_SIZE, RAW_PACKETS) for _ in range(3))

    def close(self) -> None:
        self._sender.close()
        self._rig.__exit__()


@dataclass(frozen=True)
class Phase:
    """What was used between two readings, and the raw sender before and after it."""

    begin: Use
    end: Use
    raw: Sample

    @property
    def seconds(self) -> float:
        return self.end.at - self.begin.at

    def share(self, name: str) -> float:
        """Of a core, by `node_s`, `kernel_s` or `python_s`."""
        return float(getattr(self.end, name) - getattr(self.begin, name)) / self.seconds


async def _phase(meter: Meter, raw: _Raw, work: Callable[[], Awaitable[None]]) -> Phase:
    before = await asyncio.to_thread(raw.us)
    begin = meter.read()
    await work()
    end = meter.read()
    return Phase(begin, end, Sample(before, 0.0, await asyncio.to_thread(raw.us)))


async def _shown(server: Server, viewers: int) -> None:
    """Every viewer has been sent so many packets that its map of sent packets is full."""

    async def sent() -> float:
        return await server.metric('stentor_verdicts_total{stage="departure",verdict="SENT"}')

    start = await sent()

    async def full() -> bool:
        return await sent() - start >= viewers * SENT_PER_SLOT

    await eventually(full, within_s=300, what=f"{SENT_PER_SLOT} packets for each of {viewers} viewers", every_s=1.0)


async def figures(progress: Progress, joins: int = JOINS, crowd: int = CROWD) -> list[Figure]:
    """Rows 14, 16 and 13, in the order in which they are measured."""
    settings = ("--room-seats", "10000", "--tokens-shared-key", SHARED_KEY, "--limits-sessions-per-address", "10000")
    raw = _Raw()
    try:
        async with Server(*settings) as server:
            return await _Run(progress, server, raw, joins, crowd).figures()
    finally:
        raw.close()


class _Run:
    """One run on one server."""

    def __init__(self, progress: Progress, server: Server, raw: _Raw, joins: int, crowd: int) -> None:
        self._progress = progress
        self._server = server
        self._raw = raw
        self._joins = joins
        self._crowd = crowd
        self._meter = Meter(server)
        self._failed: list[str] = []

    async def figures(self) -> list[Figure]:
        url = f"ws://127.0.0.1:{self._server.http_port}/ws"
        grant = token("publisher", ("camera", "microphone"))
        publisher = await LightClient.join(url, grant, publish=Publish(1, layers=PICTURE), chance=random.Random(1))
        try:
            async with Crowd.at(url, "w") as watchers, Crowd.at(url, "v") as crowd:
                self._failed += await watchers.join(WATCHERS)
                await watchers.view(publisher.participant)
                found = await self._joining(crowd)
                await self._look(crowd, publisher.participant, self._joins)
                self._progress(f"row 16: {self._joins} look at one publisher, {STEADY_S:.0f} s")
                steady = await _phase(self._meter, self._raw, lambda: asyncio.sleep(STEADY_S))
                few = self._meter.read()
                self._progress(f"row 13: {self._crowd - self._joins} more join")
                self._failed += await crowd.join(self._crowd - self._joins)
                await self._look(crowd, publisher.participant, self._crowd)
                memory = _memory(few, self._meter.read(), self._crowd - self._joins, self._failed)
                return [*found, _threads(steady, self._joins), *memory]
        finally:
            await publisher.leave()

    async def _joining(self, crowd: Crowd) -> list[Figure]:
        """Row 14."""
        self._progress(f"row 14: {WATCHERS} watch, nobody joins, {IDLE_S:.0f} s")
        latencies = [await _latencies(self._server)]
        idle = await _phase(self._meter, self._raw, lambda: asyncio.sleep(IDLE_S))
        latencies.append(await _latencies(self._server))
        self._progress(f"row 14: {self._joins} join")

        async def join() -> None:
            self._failed += await crowd.join(self._joins)

        joining = await _phase(self._meter, self._raw, join)
        latencies.append(await _latencies(self._server))
        p90s = p90_us(*latencies[:2]), p90_us(*latencies[1:])
        return _join_figures(idle, joining, self._joins, self._failed, *p90s)

    async def _look(self, crowd: Crowd, participant: str, viewers: int) -> None:
        """Everybody looks until what a slot remembers of its packets is full and the handshakes are forgotten."""
        self._progress(f"rows 13, 16: {viewers} look at one publisher until their slots' memory is full")
        await crowd.view(participant)
        await asyncio.sleep(AFTER_HANDSHAKE_S)
        await _shown(self._server, viewers)


def _join_figures(
    idle: Phase, joining: Phase, joins: int, failed: list[str], idle_us: float, joining_us: float
) -> list[Figure]:
    """Row 14. What the watchers cost while nobody joined is taken off."""
    spent_ms = {
        name: 1000 * (joining.share(name) - idle.share(name)) * joining.seconds / joins
        for name in ("node_s", "python_s", "kernel_s")
    }
    parts = ", ".join(f"{words} {number(spent_ms[name])}" for name, words in _PARTS.items())
    note = f"{parts} ms; {joins / joining.seconds:.0f} joins/s, {len(failed)} failed"
    what = f"CPU of one join (Chromium's offer, 3 audio + 1 video slot), {joins} joins"
    cost = _refused_if_moved(
        (idle, joining), Figure("14", what, sum(spent_ms.values()), "ms", JOIN_GATE_MS, JOIN_AIM_MS, note)
    )
    return [
        cost,
        Figure("14", "joins that failed", float(len(failed)), "", 0.0, 0.0, "; ".join(sorted(set(failed)))[:300]),
        _refused_if_moved(
            (idle, joining),
            Figure(
                "14", f"forwarding p90 while {joins} join, against idle", joining_us / idle_us, "x", LATENCY_GATE, None,
                f"{joining_us:.0f} us, idle {idle_us:.0f} us",
            ),
        ),
    ]  # fmt: skip


_PARTS = {"node_s": "node", "python_s": "worker's Python", "kernel_s": "kernel"}


def _threads(steady: Phase, joins: int) -> Figure:
    """Row 16."""
    note = f"kernel thread {100 * steady.share('kernel_s'):.0f} %, node {100 * steady.share('node_s'):.1f} % of a core"
    share = 100 * steady.share("python_s")
    what = f"Python threads of the worker, 1 -> {joins} steady"
    return _refused_if_moved(
        (steady,), Figure("16", what, share, "% of a core", THREADS_GATE_PERCENT, THREADS_AIM_PERCENT, note)
    )


def _memory(few: Use, many: Use, more: int, failed: list[str]) -> list[Figure]:
    """Row 13. Memory does not hang on how busy the machine is, so no raw reference is asked."""
    note = f"RSS slope over {more} viewers; {len(failed)} joins failed {' '.join(sorted(set(failed)))[:200]}"
    worker = (many.worker_bytes - few.worker_bytes) / 1024 / more
    node = (many.node_bytes - few.node_bytes) / 1024 / more
    sizes = f"; in all {many.worker_bytes >> 20} MiB", f"; in all {many.node_bytes >> 20} MiB"
    what = "memory of one viewer with 3 audio and 1 video slot"
    return [
        Figure("13", f"{what}, worker", worker, "KiB", WORKER_GATE_KIB, WORKER_AIM_KIB, note + sizes[0]),
        Figure("13", f"{what}, node", node, "KiB", NODE_GATE_KIB, NODE_AIM_KIB, note + sizes[1]),
    ]


def _refused_if_moved(phases: tuple[Phase, ...], figure: Figure) -> Figure:
    moved = max(phase.raw.moved for phase in phases)
    if moved <= MOVED_MAX:
        return figure
    why = f"refused: the raw reference moved by {100 * (moved - 1):.0f} %; is the machine busy? ({figure.note})"
    return Figure(figure.row, figure.what, None, figure.unit, figure.gate, figure.aim, why)
