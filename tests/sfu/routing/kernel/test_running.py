"""The kernel on its own thread: what Python does beside it must not show, whatever it does."""

from __future__ import annotations

import ctypes
import random
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise

import pytest

from sfu.channel import Extensions
from sfu.routing import tables
from sfu.routing.commands import Commands, Row
from sfu.routing.kernel.srtp import Session
from sfu.routing.kernel.step import Kernel
from sfu.routing.rows import FreeRows
from sfu.routing.tables import Command, Counter, Event
from tests.kernels import LIMITS, Compiled, Media

DEADLINE_S = 60.0
SO_TIMESTAMPNS = 35  # of Linux; Python's socket module does not name it
DROPS = {Command.DROP_PEER: "peers", Command.DROP_SLOT: "slots", Command.DROP_PATH: "paths"}


@contextmanager
def running(kernel: Kernel) -> Iterator[None]:
    thread = threading.Thread(target=kernel.run)
    thread.start()
    try:
        yield
    finally:
        kernel.stop()
        thread.join()


def until(condition: Callable[[], bool], what: str) -> None:
    """Wait for a condition; the kernel thread works meanwhile."""
    deadline = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < deadline, f"not within {DEADLINE_S} s: {what}"
        time.sleep(0)


@contextmanager
def watched_stream(packets: int, interval_us: int) -> Iterator[tuple[Compiled, subprocess.Popen[str]]]:
    """One viewer of a stream that another process sends to the running kernel."""
    rig = Compiled(layers=1, slots=1)
    viewer = rig.viewers[0].socket
    viewer.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
    rig.want(0, 0)
    # The rig's own clock began at 10 s; by the real one nobody would have given a sign of life for long.
    rig.kernel.arrays["peers"]["received_at_us"] = time.monotonic_ns() // 1000
    port = rig.publisher.socket.getsockname()[1]
    rig.publisher.socket.close()
    command = [sys.executable, "-m", "tests.stream_sender", str(rig.server.getsockname()[1]), str(port)]
    with running(rig.kernel):
        sender = subprocess.Popen([*command, str(packets), str(interval_us)], stdout=subprocess.PIPE, text=True)
        try:
            assert sender.stdout is not None and sender.stdout.readline() == "sending\n"
            yield rig, sender
        finally:
            sender.wait(DEADLINE_S)
            sender.stdout.close() if sender.stdout else None
    rig.close()


def stamped(viewer: socket.socket) -> list[tuple[int, bytes]]:
    """(the kernel's receive stamp in microseconds, datagram) of media, as they came."""
    found: list[tuple[int, bytes]] = []
    while True:
        try:
            datagram, control, _, _ = viewer.recvmsg(2048, 128)
        except BlockingIOError:
            return found
        if not 192 <= datagram[1] <= 223:
            seconds, nanoseconds = struct.unpack("@ll", control[0][2][:16])
            found.append((seconds * 1_000_000 + nanoseconds // 1000, datagram))


@pytest.mark.timed
def test_media_flows_while_python_holds_the_gil_for_a_second() -> None:
    with watched_stream(packets=400, interval_us=5000) as (rig, sender):
        viewer = rig.viewers[0].socket
        found: list[tuple[int, bytes]] = []

        def came(count: int) -> bool:
            found.extend(stamped(viewer))
            return len(found) >= count

        until(lambda: came(20), "the first packets")
        forwarded_before = rig.departed(tables.Departure.SENT)
        ctypes.PyDLL(None).usleep(1_000_000)
        during = rig.departed(tables.Departure.SENT) - forwarded_before
        sender.wait(DEADLINE_S)
        until(lambda: came(400), "every packet that was sent")
    gaps_us = [after - before for (before, _), (after, _) in pairwise(found)]
    assert during > 150, "hardly anything was forwarded while the GIL was held"
    assert len(found) == 400
    assert max(gaps_us) < 50_000, f"a gap of {max(gaps_us) / 1000:.0f} ms"


def test_no_python_object_stays_behind_after_100_000_packets() -> None:
    rig = Compiled(layers=1, slots=1)
    received = rig.kernel.arrays["counters"]
    plain = rig.packet(Media(0, 100, 9000, 7, 1, 0, key_frame=True, tag=bytes(500)))

    def send(first: int, count: int) -> None:
        """In portions that fit any receive buffer: what UDP loses would not be counted."""
        for begin in range(first, first + count, 50):
            for index in range(begin, begin + 50):
                packet = plain[:2] + (index & 0xFFFF).to_bytes(2, "big") + plain[4:]
                rig.send_datagram(rig.publisher.srtp.seal_rtp(packet, index))
            end = begin + 50
            until(lambda end=end: int(received[Counter.RECEIVED_PACKETS]) >= end, f"packet {end}")  # type: ignore[misc]
            rig.kernel.take_events()

    try:
        rig.want(0, 0)
        with running(rig.kernel):
            send(0, 2000)
            before = sys.getallocatedblocks()
            send(2000, 100_000)
            grown = sys.getallocatedblocks() - before
        assert int(rig.kernel.arrays["departed"].sum()) >= 100_000
        assert grown < 100, f"{grown} blocks more"
    finally:
        rig.close()


@dataclass
class Life:
    """One viewer between his join and his leave."""

    peer: Row
    path: Row
    slot: Row
    srtp: Session
    ssrc: int
    port: int
    seen: set[int]


class Crowd:
    """Joins, switches and leaves at random; the model is these dicts."""

    def __init__(self, rig: Compiled, seed: int, ports: int = 24) -> None:
        self.rig = rig
        self.draw = random.Random(seed)
        self.free = {
            "peers": FreeRows("peers", LIMITS.peers), "slots": FreeRows("slots", LIMITS.slots),
            "paths": FreeRows("paths", LIMITS.paths),
        }  # fmt: skip
        for rows in self.free.values():
            rows.take()  # row 0 is the publisher's
        self.sockets = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(ports)]
        for one in self.sockets:
            one.bind(("127.0.0.1", 0))
            one.setblocking(False)
        self.idle = list(range(ports))
        self.alive: dict[int, Life] = {}  # by SSRC
        self.all: dict[int, Life] = {}
        self.dropped: set[tuple[str, Row]] = set()
        self.retired: set[tuple[str, Row]] = set()
        self.joins = self.delivered = 0

    def join(self) -> None:
        if not self.idle:
            return self.leave()
        while min(rows.free for rows in self.free.values()) == 0:  # the kernel is behind with retiring
            self.rig.commands.drain()
            self.hear()
        self.joins += 1
        port = self.idle.pop(self.draw.randrange(len(self.idle)))
        key, other = self.joins.to_bytes(16, "big"), (self.joins + (1 << 64)).to_bytes(16, "big")
        life = Life(
            self.free["peers"].take(), self.free["paths"].take(), self.free["slots"].take(),
            Session(1, other, bytes(12), key, bytes(12)), 10_000 + self.joins, port, set(),
        )  # fmt: skip
        commands = self.rig.commands
        commands.add_peer(life.peer, 0, 9, Extensions(mid=4, transport_cc=3), b"p")
        commands.set_path(life.path, life.peer, 0, *self.sockets[port].getsockname(), current=True)
        commands.set_keys(life.peer, 1, key + bytes(12) + other + bytes(12))
        commands.add_slot(
            life.slot, life.peer, kind=1, codec=2, payload_type=100, rtx_payload_type=101, clock_rate=90000,
            ssrc=life.ssrc, rtx_ssrc=life.ssrc + 5_000_000, ranked=False, first_numbers=self.draw.getrandbits(62),
            first_timestamp=self.draw.getrandbits(32), mid=b"m",
        )  # fmt: skip
        self.alive[life.ssrc] = self.all[life.ssrc] = life
        self.switch(life)

    def switch(self, life: Life | None = None) -> None:
        if life is None and self.alive:
            life = self.draw.choice(list(self.alive.values()))
        if life is not None:
            layer = self.draw.randrange(-1, 2)
            self.rig.commands.want(life.slot, Row(layer, 1) if layer >= 0 else None, self.draw.randrange(4))

    def leave(self) -> None:
        if not self.alive:
            return
        life = self.alive.pop(self.draw.choice(list(self.alive)))
        self.rig.commands.drop_path(life.path)
        self.rig.commands.drop_slot(life.slot)
        self.rig.commands.drop_peer(life.peer)
        self.dropped |= {("paths", life.path), ("slots", life.slot), ("peers", life.peer)}
        self.idle.append(life.port)

    def hear(self) -> None:
        """Take the kernel's events: a row is retired once, after it was dropped."""
        for kind, row, _, drop, generation, *_ in self.rig.kernel.take_events(4096):
            if kind == Event.RETIRED:
                gone = (DROPS[Command(drop)], Row(row, generation))
                assert gone in self.dropped and gone not in self.retired
                self.retired.add(gone)
                assert self.free[gone[0]].retire(gone[1])

    def read(self) -> None:
        """Each packet opens with the key of the life that its SSRC belongs to, under an index never seen before."""
        for one in self.sockets:
            while True:
                try:
                    datagram = one.recv(2048)
                except BlockingIOError:
                    break
                if 192 <= datagram[1] <= 223:
                    continue
                life = self.all[int.from_bytes(datagram[8:12], "big")]
                index = int.from_bytes(datagram[2:4], "big")
                assert life.srtp.open_rtp(datagram, index) is not None
                assert index not in life.seen, "sealed twice"
                life.seen.add(index)
                self.delivered += 1


@pytest.mark.asan
def test_100_000_random_joins_switches_and_leaves_leave_nothing_behind() -> None:
    rig = Compiled(layers=2, slots=0)
    crowd = Crowd(rig, seed=20)
    actions = [crowd.join, crowd.leave, crowd.switch, crowd.switch, crowd.switch, crowd.switch]
    draw = random.Random(21)
    index = [100, 100]
    try:
        with running(rig.kernel):
            for step in range(100_000):
                draw.choice(actions)()
                if step % 8 == 0:
                    layer = draw.randrange(2)
                    key = draw.random() < 0.2
                    media = Media(
                        layer,
                        index[layer],
                        index[layer] * 90,
                        index[layer] & 0x7FFF,
                        1,
                        draw.randrange(3) * (not key),
                        key,
                    )
                    rig.send_datagram(rig.publisher.srtp.seal_rtp(rig.packet(media), media.index))
                    index[layer] += 1
                if step % 64 == 0:
                    rig.commands.drain()
                    crowd.hear()
                    crowd.read()
            while crowd.alive:
                crowd.leave()

            def quiet() -> bool:
                rig.commands.drain()
                crowd.hear()
                return crowd.retired == crowd.dropped

            until(quiet, "every dropped row is retired")
            crowd.read()
        assert crowd.joins > 10_000 and crowd.delivered > 10_000
        counters = rig.kernel.arrays["counters"]
        assert int(counters[Counter.EVENTS_LOST]) == 0
        assert int(counters[Counter.COMMANDS_STALE]) == 0
        assert int(rig.kernel.arrays["rooms"]["peers"][0]) == 1  # the publisher
        for layer in range(2):
            assert int(rig.kernel.arrays["layers"]["first_current"][layer]) == -1
            assert int(rig.kernel.arrays["layers"]["first_wanted"][layer]) == -1
        assert rig.departed(tables.Departure.REFUSED_INDEX) == 0
    finally:
        rig.close()
        for one in crowd.sockets:
            one.close()


def test_a_stale_command_is_refused_and_counted() -> None:
    rig = Compiled(layers=1, slots=1)
    try:
        commands = Commands(rig.kernel)
        commands.want(Row(0, 99), Row(0, 1))
        commands.mute(Row(0, 99), muted=True)
        commands.set_keys(Row(0, 1), 1, bytes(56))  # keys come once in a peer's life
        commands.drop_peer(Row(5, 1))
        rig.step()
        assert int(rig.kernel.arrays["counters"][Counter.COMMANDS_STALE]) == 4
    finally:
        rig.close()
