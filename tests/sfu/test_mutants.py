"""Mutants of what real browsers sent, through the UDP socket of a real worker, while a good stream runs beside them.

STENTOR_MUTANTS says how many; `make test-all` sends ten million.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import random
import signal
import socket
import time
from collections.abc import Iterator, Mapping, Sequence

import msgspec
import psutil
import pytest

from sfu import channel
from tests.captures import Recorded, load, opened
from tests.mutants import Participant, below, pick
from tests.servers import eventually
from tests.sfu.peers import GoodStream, Node, Person, running
from tests.sfu.test_worker import PASSWORD, description

MUTANTS = int(os.environ.get("STENTOR_MUTANTS", "200000"))
# Sessions live so long: a stream whose numbers a mutant threw far ahead is too old for ever after.
ROUND = 8_000
# Between two looks at whether the worker has read all: a quarter of what its socket holds, at the least.
BATCH = 500
GOOD_EVERY = 50
STRANGERS = 8
STRANGERS_SHARE = 0.1
# The worker's memory is looked at first when every kind of row and ring has been used.
WARM_AFTER = min(MUTANTS // 4, 500_000)
# Measured: 1 to 3 MiB from 50,000 to 200,000, as the last pages of the tables are touched; then no more.
GROWTH_BYTES_MAX = 6 << 20
# More than any receive buffer of ours holds.
OVERFLOW = 30_000
SAY_EVERY = max(100_000, MUTANTS // 20)
CAPTURES = load()


class Round:
    """The recorded people with sessions of their own, one who is mid-handshake, and strangers."""

    def __init__(self, people: Sequence[Person], mutants: Sequence[Participant], victim: Person) -> None:
        self.people = people
        self.mutants = mutants
        self.victim = victim

    @classmethod
    async def begin(cls, node: Node, numbers: itertools.count[int], chance: random.Random) -> Round:
        people, mutants = [], []
        tracks: dict[str, int] = {}
        for recorded in sorted(CAPTURES, key=lambda one: not one.description.tracks):
            number = next(numbers)
            person = await Person.enter(node, _as_peer(recorded, number))
            if recorded.description.tracks:
                tracks[recorded.browser] = number * 10 + _place(recorded.description, "video")
            else:
                mid = recorded.description.slots[_place_of_slot(recorded.description)].mid
                wish = channel.SlotWish(mid=mid, track=tracks[recorded.browser])
                node.process.send(channel.View(peer=number, slots=(wish,)))
            assert person.srtp is not None
            foreign = [500, 4242, *(slot.ssrc for one in CAPTURES for slot in one.description.slots)]
            ice = (f"ours{number}", PASSWORD)
            people.append(person)
            mutants.append(Participant(recorded, person.srtp, ice, foreign, chance))
        number = next(numbers)
        assert isinstance(await node.ask(description(0, number, room=2)), channel.Done)
        victim = Person(number, node.process.client())
        await victim.check(nominate=True)
        return cls(people, mutants, victim)

    def send(self, strangers: Sequence[socket.socket], chance: random.Random) -> bool:
        """One mutant; True when it left from a stranger."""
        roll, number = chance.random(), below(chance, len(self.people))
        if roll < STRANGERS_SHARE:
            datagram = self.mutants[number].check() if roll < STRANGERS_SHARE / 10 else self.mutants[number].raw()
            pick(chance, strangers).send(datagram)
            return True
        if roll < STRANGERS_SHARE + 0.002:
            self.victim.send(self.mutants[number].handshake())
        else:
            self.people[number].send(self.mutants[number].next())
        return False

    def listen(self) -> None:
        for person, mutants in zip(self.people, self.mutants, strict=True):
            for datagram in person.received(64):
                mutants.hear(datagram)

    def end(self, node: Node) -> int:
        """Everybody goes; how many datagrams they sent."""
        for person in (*self.people, self.victim):
            node.process.send(channel.Close(peer=person.number))
            person.client.socket.close()
            node.process.clients.remove(person.client)
        return sum(person.sent for person in (*self.people, self.victim))


def _place(described: channel.Describe, kind: str) -> int:
    return next(at for at, track in enumerate(described.tracks) if track.kind == kind)


def _place_of_slot(described: channel.Describe) -> int:
    return next(at for at, slot in enumerate(described.slots) if slot.kind == "video")


def _as_peer(recorded: Recorded, number: int) -> channel.Describe:
    """What was negotiated with the browser, for a peer of the test."""
    own = description(0, number, room=2)
    tracks = tuple(
        msgspec.structs.replace(track, track=number * 10 + at) for at, track in enumerate(recorded.description.tracks)
    )
    return msgspec.structs.replace(
        recorded.description, peer=number, room=2, ice=own.ice, fingerprints=own.fingerprints, tracks=tracks
    )


def test_the_recorded_packets_open_and_are_of_every_kind() -> None:
    kinds: dict[str, set[int]] = {}
    for recorded in CAPTURES:
        assert any(datagram[0] < 4 for datagram in recorded.datagrams), "checks"
        assert any(20 <= datagram[0] < 64 for datagram in recorded.datagrams), "handshake"
        kinds.setdefault(recorded.browser, set()).update(
            kind for each in opened(recorded) for kind in ([each.plain[1]] if each.rtcp else [each.plain[1] & 127])
        )
    assert len(kinds) == 2
    for found in kinds.values():
        assert {200, 201, 205} <= found
        assert len([kind for kind in found if kind < 128]) == 3, "Opus, VP8, RTX"


@pytest.mark.alone
@pytest.mark.slow
async def test_mutants_end_in_one_verdict_each_and_harm_nobody_else(capsys: pytest.CaptureFixture[str]) -> None:
    chance = random.Random(20)
    async with running() as node, contextlib.AsyncExitStack() as stack:
        strangers = [stack.enter_context(_stranger(node.process.server, number)) for number in range(STRANGERS)]
        good = await GoodStream.begin(node)
        worker = psutil.Process(node.process.process.pid)
        numbers, sent, mutants = itertools.count(10), 0, 0
        began, warm_bytes = time.monotonic(), 0
        while mutants < MUTANTS:
            one = await Round.begin(node, numbers, chance)
            for at in range(1, min(ROUND, MUTANTS - mutants) + 1):
                sent += one.send(strangers, chance)
                mutants += 1
                if at % GOOD_EVERY == 0:
                    good.send()
                if at % BATCH == 0:
                    await good.publisher.check()
                    good.look()
                    one.listen()
                if mutants % SAY_EVERY == 0:
                    pace = mutants / (time.monotonic() - began)
                    _say(
                        capsys, f"{mutants:,} mutants, {pace:,.0f} a second, RSS {worker.memory_info().rss >> 10:,} KiB"
                    )
            sent += one.end(node)
            if not warm_bytes and mutants >= WARM_AFTER:
                warm_bytes = worker.memory_info().rss
        await good.publisher.check()
        grown = worker.memory_info().rss - warm_bytes
        took_s = time.monotonic() - began
        await _rows_of_the_good_alone(node)
        counters = await node.counters()
        await good.came_whole()
        expected = sent + good.publisher.sent + good.viewer.sent
        _judge(counters, expected)
        assert counters.counters["socket_drops"] == 0, "the test waits for the worker, so nothing may be dropped"
        assert grown <= GROWTH_BYTES_MAX, f"the worker grew by {grown} bytes"
        assert node.heard["Refused"] == 0
        _say(capsys, f"{mutants:,} mutants in {took_s:.0f} s; RSS {warm_bytes >> 10:,} KiB {grown >> 10:+,} KiB")
        _say(capsys, f"arrivals {_some(counters.arrivals)}")
        _say(capsys, f"departures {_some(counters.departures)}")

        await _overflow(node, good, strangers, chance)
        _judge(await node.counters(), expected + OVERFLOW + good.publisher.sent)


async def _overflow(node: Node, good: GoodStream, strangers: Sequence[socket.socket], chance: random.Random) -> None:
    """More than the socket holds while the worker sleeps: what the system drops is counted, and by no verdict."""
    good.publisher.sent = 0
    pid = node.process.process.pid
    os.kill(pid, signal.SIGSTOP)
    try:
        for _ in range(OVERFLOW):
            pick(chance, strangers).send(b"\x80" + bytes(600))
    finally:
        os.kill(pid, signal.SIGCONT)

    async def dropped() -> bool:
        # The system tells of drops with the next datagram that it keeps.
        with contextlib.suppress(TimeoutError):
            await good.publisher.check()
        return (await node.counters()).counters["socket_drops"] > 0

    await eventually(dropped, within_s=20, what="the socket's drops are counted")


def _judge(counters: channel.Counters, sent: int) -> None:
    """Every datagram one verdict, every one that left one departure."""
    counts, departures = counters.counters, counters.departures
    read = sum(counters.arrivals.values()) - counters.arrivals["RECEIVE_ERROR"]
    assert read == counters.packets["received"] == sent - counts["socket_drops"], (sent, counters)
    left = sum(departures[name] for name in ("SENT", "RTX_SENT", "RTCP_SENT")) + counters.arrivals["STUN_ANSWERED"]
    assert counters.packets["sent"] == left, counters
    answered = sum(departures[name] for name in ("RTX_SENT", "NACK_TOO_OLD", "NACK_NO_RTX"))
    assert answered <= counts["nacks_read"] <= answered + departures["OVERSIZED"], counters
    for name in ("SEAL_FAILED", "SEND_UNREACHABLE", "SEND_INVALID", "NO_KEYS"):
        assert departures[name] == 0, (name, counters)
    assert counts["events_lost"] == 0, counters


async def _rows_of_the_good_alone(node: Node) -> None:
    async def alone() -> bool:
        return (await node.counters()).rows == {"peers": 2, "tracks": 1, "layers": 1, "slots": 1}

    await eventually(alone, within_s=10, what="the rows of all who went are free")


@contextlib.contextmanager
def _stranger(server: tuple[str, int], number: int) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as made:
        made.bind((f"127.0.0.{number + 2}", 0))
        made.connect(server)
        yield made


def _some(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {count:,}" for name, count in counts.items() if count)


def _say(capsys: pytest.CaptureFixture[str], text: str) -> None:
    with capsys.disabled():
        print(f"\nmutants: {text}", end="", flush=True)
