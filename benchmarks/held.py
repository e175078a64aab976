"""[I/O] DESIGN row 5: what Python does beside the kernel thread must not show in the media.

The kernel runs on its thread in this process; publisher and viewers are one process beside it. A packet's latency is
the system's receive stamp at the viewer less the time just before it was sent, so the far end's own slowness is in
none of the figures.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import select
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise

from benchmarks.fanout import Fanout
from benchmarks.figures import Figure, Sample, Series, moved_too_much, number
from benchmarks.rig import datagram_socket

VIEWERS = 40
RATE_PER_S = 100
SIZE = 1200
WINDOW_S = 3.0
SPIN_S, SPIN_EVERY_S = 0.005, 0.020
HELD_S = 1.0
# Of Linux; Python's socket module does not name it.
SO_TIMESTAMPNS = 35
GAP_GATE_MS, GAP_AIM_MS = 50.0, 20.0
BUSY_GATE, BUSY_AIM = 1.5, 1.2
# Pairs of windows in one stream, and how often the stream is played until enough samples are good.
PAIRS, ATTEMPTS = 8, 3
# Before the first window and after every change: what is under way is not of the window.
SETTLE_S = 0.3


@dataclass(frozen=True)
class Landed:
    """A packet at one viewer, both times in nanoseconds of real time."""

    viewer: int
    sent_ns: int
    came_ns: int

    @property
    def latency_ms(self) -> float:
        return (self.came_ns - self.sent_ns) / 1e6


def percentile(values: list[float], share: float) -> float:
    """The nearest-rank percentile. Raises ValueError for no values."""
    if not values:
        raise ValueError("no packet came in this window")
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def largest_gap_ms(landed: list[Landed], viewer: int) -> float:
    """The longest time between two packets that came to a viewer one after the other. Raises ValueError for fewer."""
    times = sorted(one.came_ns for one in landed if one.viewer == viewer)
    if len(times) < 2:
        raise ValueError(f"viewer {viewer} was sent {len(times)} packets")
    return max((after - before) / 1e6 for before, after in pairwise(times))


# -- the far end: a process of its own --


def far_end() -> None:
    """Reads {"to", "packets", "first"} from its input, sends and receives until told "end", then prints what landed.

    `first`: the sequence number under which the first packet reaches every viewer.
    """
    os.nice(19)  # what is loaded is measured, not who loads it: the stamps are the system's
    sinks = []
    for _ in range(VIEWERS):
        sink = datagram_socket()
        sink.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        sink.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        sinks.append(sink)
    publisher = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    publisher.bind(("127.0.0.1", 0))
    print(json.dumps([publisher.getsockname(), [sink.getsockname() for sink in sinks]]), flush=True)
    task = json.loads(sys.stdin.readline())
    to, packets, first = tuple(task["to"]), [bytes.fromhex(packet) for packet in task["packets"]], int(task["first"])
    sent_ns: dict[int, int] = {}
    came: list[tuple[int, int, int]] = []
    readers = select.epoll()
    by_fd = {sink.fileno(): (number, sink) for number, sink in enumerate(sinks)}
    for fd in (*by_fd, 0):
        readers.register(fd, select.EPOLLIN)
    due, told = time.monotonic(), False
    for sequence, packet in enumerate(packets, first):
        due += 1 / RATE_PER_S
        while (left := due - time.monotonic()) > 0:
            for fd, _ in readers.poll(left):
                if fd == 0:
                    told = True
                    continue
                _drain(*by_fd[fd], came)
            if told:
                break
        if told:
            break
        sent_ns[sequence] = time.time_ns()
        publisher.sendto(packet, to)
    for viewer, sink in enumerate(sinks):
        _drain(viewer, sink, came)
    landed = [[viewer, sent_ns[sequence], at] for viewer, sequence, at in came if sequence in sent_ns]
    print(json.dumps(landed), flush=True)


def _drain(viewer: int, sink: socket.socket, came: list[tuple[int, int, int]]) -> None:
    """Note (viewer, RTP sequence number, receive stamp) of all media that waits."""
    while True:
        try:
            datagram, control, _, _ = sink.recvmsg(64, 64)
        except BlockingIOError:
            return
        if not 192 <= datagram[1] <= 223:
            stamp = control[0][2]  # struct timespec
            at_ns = 10**9 * int.from_bytes(stamp[:8], sys.byteorder) + int.from_bytes(stamp[8:16], sys.byteorder)
            came.append((viewer, int.from_bytes(datagram[2:4], "big"), at_ns))


# -- the server's side --


class Far:
    """The far end as a rig for Fanout: `address(i)` is where viewer i reads."""

    viewers = VIEWERS

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.held"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        publisher, sinks = json.loads(self._line())
        self.publisher: tuple[str, int] = tuple(publisher)
        self._sinks = [tuple(sink) for sink in sinks]

    def address(self, viewer: int) -> tuple[str, int]:
        host, port = self._sinks[viewer]
        return str(host), int(port)

    def server_socket(self) -> socket.socket:
        return datagram_socket()

    def begin(self, to: tuple[str, int], packets: list[bytes], first: int) -> None:
        self._tell(json.dumps({"to": to, "packets": [packet.hex() for packet in packets], "first": first}))

    def end(self) -> list[Landed]:
        self._tell("end")
        return [Landed(*one) for one in json.loads(self._line())]

    def close(self) -> None:
        self._process.kill()
        self._process.wait()

    def _tell(self, line: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()

    def _line(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline()


@contextlib.contextmanager
def stream(seconds: float) -> Iterator[Far]:
    """A stream through a running kernel thread, of at most so many seconds; ends with the block."""
    far = Far()
    try:
        with Fanout(far, SIZE, publisher=far.publisher) as fanout:
            thread = threading.Thread(target=fanout.kernel.run, name="kernel")
            thread.start()
            try:
                far.begin(fanout.door, *fanout.packets(int(seconds * RATE_PER_S)))
                yield far
            finally:
                fanout.kernel.stop()
                thread.join()
    finally:
        far.close()


def _spin(seconds: float) -> None:
    """Python that is busy 5 of every 20 ms and never lets go of the GIL while it is."""
    end = time.monotonic() + seconds
    while (now := time.monotonic()) < end:
        while time.monotonic() < now + SPIN_S:
            pass
        time.sleep(max(0.0, now + SPIN_EVERY_S - time.monotonic()))


def held_gap_ms() -> tuple[float, float]:
    """The largest gap at any viewer while the GIL is held for a second, and while it is not."""
    with stream(seconds=8) as far:
        marks = [time.time_ns()]
        time.sleep(2 * HELD_S)  # a window of the measurement itself
        marks.append(time.time_ns())
        ctypes.PyDLL(None).usleep(int(HELD_S * 1e6))
        marks.append(time.time_ns())
        time.sleep(SETTLE_S)
        landed = far.end()

    def gap(begin: int, end: int) -> float:
        within = [one for one in landed if begin <= one.sent_ns < end]
        return max(largest_gap_ms(within, viewer) for viewer in range(VIEWERS))

    return gap(marks[1], marks[2]), gap(marks[0] + int(SETTLE_S * 1e9), marks[1])


def latencies(pairs: int) -> list[list[float]]:
    """Latencies in ms of 2 x pairs + 1 windows: idle, busy, idle, ..., idle."""
    begins: list[tuple[int, int]] = []
    with stream(seconds=(2 * pairs + 3) * (WINDOW_S + SETTLE_S)) as far:
        for window in range(2 * pairs + 1):
            rest: Callable[[float], None] = _spin if window % 2 else time.sleep
            rest(SETTLE_S)
            begin = time.time_ns()
            rest(WINDOW_S)
            begins.append((begin, time.time_ns()))
        landed = far.end()
    return [[one.latency_ms for one in landed if begin <= one.sent_ns < end] for begin, end in begins]


def busy_series(windows: list[list[float]], share: float) -> Series:
    """Busy against the idle windows on both sides of it, by one percentile."""
    found = [percentile(window, share) for window in windows]
    samples = [Sample(*found[at : at + 3]) for at in range(0, len(found) - 2, 2)]
    return Series(tuple(one for one in samples if one.good), tuple(one for one in samples if not one.good))


def figures(progress: Callable[[str], None]) -> list[Figure]:
    """Row 5: three figures."""
    progress("row 5: the GIL held for a second, three times")
    gaps = [held_gap_ms() for _ in range(3)]
    worst, quiet = max(held for held, _ in gaps), max(free for _, free in gaps)
    natural_ms = 1000 / RATE_PER_S
    found = [
        Figure(
            "5", "GIL held for 1 s: largest media gap", worst, "ms", GAP_GATE_MS, GAP_AIM_MS,
            f"worst of 3 x {VIEWERS} viewers; {number(quiet)} ms with the GIL free; a packet every {natural_ms:.0f} ms",
        )
    ]  # fmt: skip
    series: dict[float, list[Series]] = {0.5: [], 0.9: []}
    for attempt in range(ATTEMPTS):
        progress(f"row 5: Python busy 5 of every 20 ms, {PAIRS} pairs of windows (run {attempt + 1})")
        windows = latencies(PAIRS)
        for share, all_of in series.items():
            all_of.append(busy_series(windows, share))
        if all(_joined(all_of).holds for all_of in series.values()):
            break
    for share, all_of in series.items():
        found.append(_busy_figure(share, _joined(all_of)))
    return found


def _joined(all_of: list[Series]) -> Series:
    kept = tuple(sample for one in all_of for sample in one.kept)
    return Series(kept, tuple(sample for one in all_of for sample in one.refused))


def _busy_figure(share: float, series: Series) -> Figure:
    what = f"Python busy 5 of 20 ms: p{100 * share:.0f} of forwarding against idle"
    if not series.holds:
        return Figure("5", what, None, "x", BUSY_GATE, BUSY_AIM, moved_too_much(series))
    note = f"{number(series.value)} ms, idle {number(series.reference)} ms; {len(series.refused)} samples thrown away"
    return Figure("5", what, series.ratio, "x", BUSY_GATE, BUSY_AIM, note)


if __name__ == "__main__":
    far_end()
