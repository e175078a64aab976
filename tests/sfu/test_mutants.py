"""Mutants of what real browsers sent, through the UDP socket of a real worker, while a good stream runs beside them.

STENTOR_MUTANTS says how many; `make test-all` sends ten million.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import random
import signal
import socket
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence

import msgspec
import psutil
import pytest

from sfu import channel
from sfu.routing.kernel.srtp import Session
from sfu.routing.tables import Profile
from sfu.wire import stun
from tests.captures import Recorded, is_media, load, opened
from tests.kernels import MID, Media, read_media, rtp, vp8_payload
from tests.mutants import Participant
from tests.servers import eventually
from tests.sfu.test_worker import PASSWORD, Client, Process, description, started
from tests.sfu.transport.test_dtls import SIZES, PlainPeer

MUTANTS = int(os.environ.get("STENTOR_MUTANTS", "200000"))
# Sessions live so long: a stream whose numbers a mutant threw far ahead is too old for ever after.
ROUND = 8_000
# Between two looks at whether the worker has read all: a quarter of what its socket holds.
BATCH = 250
GOOD_EVERY = 50
STRANGERS = 8
STRANGERS_SHARE = 0.1
# The worker's memory is looked at first when every kind of row and ring has been used.
WARM_AFTER = min(MUTANTS // 4, 500_000)
GROWTH_BYTES_MAX = 4 << 20
# More than any receive buffer of ours holds.
OVERFLOW = 30_000
SAY_EVERY = 1_000_000
CAPTURES = load()


class Node:
    """The node's end of a worker's channel, read all the time."""

    def __init__(self, process: Process) -> None:
        self.process = process
        self.heard: Counter[str] = Counter()
        self.connected: set[int] = set()
        self._requests = itertools.count(1)
        self._waiting: dict[int, asyncio.Future[channel.Event]] = {}

    async def listen(self) -> None:
        while (event := await channel.read_event(self.process.reader)) is not None:
            self.heard[type(event).__name__] += 1
            if isinstance(event, channel.PeerConnected):
                self.connected.add(event.peer)
            if isinstance(event, channel.Done | channel.Refused | channel.Counters):
                self._waiting.pop(event.request).set_result(event)

    async def ask(self, command: channel.Describe | channel.Snapshot) -> channel.Event:
        request = next(self._requests)
        self._waiting[request] = asyncio.get_running_loop().create_future()
        self.process.send(msgspec.structs.replace(command, request=request))
        async with asyncio.timeout(20):
            return await self._waiting[request]

    async def counters(self) -> channel.Counters:
        counters = await self.ask(channel.Snapshot(request=0))
        assert isinstance(counters, channel.Counters)
        return counters


class Person:
    """Someone with a seat, a path and keys."""

    def __init__(self, number: int, client: Client) -> None:
        self.number = number
        self.client = client
        self.sent = 0
        self.srtp: Session | None = None
        self._highest = -1

    @classmethod
    async def enter(cls, node: Node, described: channel.Describe) -> Person:
        assert isinstance(await node.ask(described), channel.Done)
        person = cls(described.peer, node.process.client())
        await person.check(nominate=True)
        peer = PlainPeer()
        flight = list(peer.receive())
        while flight or not peer.done:
            for datagram in flight:
                await person.client.send(datagram)
                person.sent += 1
            flight = [] if peer.done else list(peer.receive(await person.client.receive()))

        async def connected() -> bool:
            return described.peer in node.connected

        await eventually(connected, within_s=10, what="the worker has the keys", every_s=0.001)
        profile = peer.ssl.get_selected_srtp_profile().decode().removeprefix("SRTP_")
        key, _ = SIZES[profile]
        ours, theirs = peer.keys(profile)
        person.srtp = Session(Profile[profile].value, theirs[:key], theirs[key:], ours[:key], ours[key:])
        return person

    async def check(self, *, nominate: bool = False) -> None:
        """A connectivity check; returns when it was answered, and so all that was sent before it read."""
        transaction = os.urandom(12)
        request = stun.binding_request(
            transaction, f"ours{self.number}:theirs", PASSWORD, use_candidate=nominate, controlling=7
        )
        await self.client.send(request)
        self.sent += 1
        while True:
            answer = await self.client.receive()
            if answer[0] < 4 and answer[8:20] == transaction:
                return

    def send(self, datagram: bytes) -> None:
        self.client.socket.send(datagram)
        self.sent += 1

    def received(self, most: int = 1 << 30) -> list[bytes]:
        """What waits in the socket."""
        found: list[bytes] = []
        with contextlib.suppress(BlockingIOError):
            while len(found) < most:
                found.append(self.client.socket.recv(2048))
        return found

    def media(self) -> list[bytes]:
        """The pictures that came since the last call, by their tags."""
        assert self.srtp is not None
        tags = []
        for datagram in self.received():
            if is_media(datagram) and not 192 <= datagram[1] <= 223:
                sequence = int.from_bytes(datagram[2:4], "big")
                before = self._highest if self._highest >= 0 else sequence
                index = before + (sequence - before + 0x8000) % 0x10000 - 0x8000
                self._highest = max(before, index)
                plain = self.srtp.open_rtp(datagram, index)
                assert plain is not None, "a packet came with a wrong tag"
                tags.append(read_media(plain, 0, index, repair=False, video=True).tag)
        return tags


class GoodStream:
    """Two in a room of their own; every picture of the one must reach the other, in order."""

    def __init__(self, publisher: Person, viewer: Person) -> None:
        self.publisher = publisher
        self.viewer = viewer
        self.sent: list[bytes] = []
        self.seen: list[bytes] = []

    @classmethod
    async def begin(cls, node: Node) -> GoodStream:
        bound = channel.BoundSsrc(ssrc=500)
        track = channel.TrackDescription(
            track=1, mid="v", kind="video", codec="VP8", payload_type=96, clock_rate=90000, ssrcs=(bound,)
        )
        extensions = channel.Extensions(mid=MID)
        publisher = await Person.enter(
            node, description(0, 1, room=1, tracks=(track,), slots=(), extensions=extensions)
        )
        viewer = await Person.enter(node, description(0, 2, room=1, extensions=extensions))
        node.process.send(channel.View(peer=2, slots=(channel.SlotWish(mid="v", track=1),)))
        await node.counters()  # commands are carried out in order
        return cls(publisher, viewer)

    def send(self) -> None:
        number = len(self.sent)
        tag = b"picture %d" % number
        media = Media(0, number, number * 3000, number & 0x7FFF, number & 255, 0, number % 100 == 0, tag=tag)
        packet = rtp(96, number, media.timestamp, 500, vp8_payload(media), marker=True, elements=[(MID, b"v")])
        assert self.publisher.srtp is not None
        self.publisher.send(self.publisher.srtp.seal_rtp(packet, number))
        self.sent.append(tag)

    def look(self) -> None:
        self.seen += self.viewer.media()


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
        roll, number = chance.random(), chance.randrange(len(self.people))
        if roll < STRANGERS_SHARE:
            datagram = self.mutants[number].check() if roll < STRANGERS_SHARE / 10 else self.mutants[number].raw()
            chance.choice(strangers).send(datagram)
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


@contextlib.asynccontextmanager
async def running() -> AsyncIterator[Node]:
    async with started() as process:
        async with asyncio.timeout(20):
            ready = await channel.read_event(process.reader)
        assert isinstance(ready, channel.WorkerReady)
        process.server = ready.addresses[0]
        node = Node(process)
        listening = asyncio.ensure_future(node.listen())
        try:
            yield node
            assert not listening.done(), "the worker ended"
        finally:
            listening.cancel()


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
                    _say(capsys, f"{mutants:,} mutants, {mutants / (time.monotonic() - began):,.0f} a second")
            sent += one.end(node)
            if not warm_bytes and mutants >= WARM_AFTER:
                warm_bytes = worker.memory_info().rss
        await good.publisher.check()
        grown = worker.memory_info().rss - warm_bytes
        took_s = time.monotonic() - began
        await _rows_of_the_good_alone(node)
        counters = await node.counters()

        async def all_seen() -> bool:
            good.look()
            return len(good.seen) >= len(good.sent)

        await eventually(all_seen, within_s=10, what="every picture of the good stream came")
        assert good.seen == good.sent
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
            chance.choice(strangers).send(b"\x80" + bytes(600))
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
