"""A real worker process whose channel is read all the time, and people on it with paths, keys and a good stream."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
from collections import Counter
from collections.abc import AsyncIterator

import msgspec

from sfu import channel
from sfu.routing.kernel.srtp import Session
from sfu.routing.tables import Profile
from sfu.wire import stun
from tests.captures import is_media, is_rtcp
from tests.kernels import MID, Media, read_media, rtp, vp8_payload
from tests.servers import eventually
from tests.sfu.test_worker import PASSWORD, Client, Process, description, started
from tests.sfu.transport.test_dtls import SIZES, PlainPeer


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
        transaction = self.consent(nominate=nominate)
        while True:
            answer = await self.client.receive()
            if answer[0] < 4 and answer[8:20] == transaction:
                return

    def consent(self, *, nominate: bool = False) -> bytes:
        """A connectivity check whose answer nobody waits for (RFC 7675); its transaction id."""
        transaction = os.urandom(12)
        self.send(
            stun.binding_request(
                transaction, f"ours{self.number}:theirs", PASSWORD, use_candidate=nominate, controlling=7
            )
        )
        return transaction

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
            if is_media(datagram) and not is_rtcp(datagram):
                sequence = int.from_bytes(datagram[2:4], "big")
                before = self._highest if self._highest >= 0 else sequence
                index = before + (sequence - before + 0x8000) % 0x10000 - 0x8000
                self._highest = max(before, index)
                plain = self.srtp.open_rtp(datagram, index)
                assert plain is not None, "a packet came with a wrong tag"
                tags.append(read_media(plain, 0, index, repair=False, video=True).tag)
        return tags


# How many pictures of the good stream between two consent checks.
CONSENT_PICTURES = 100


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
        if number % CONSENT_PICTURES == 0:
            # The viewer sends nothing else, and a path that is silent for 30 s gets no pictures any more.
            self.publisher.consent()
            self.viewer.consent()

    def look(self) -> None:
        self.seen += self.viewer.media()

    async def came_whole(self) -> None:
        """Every picture came, once and in order. Raises NotInTime or AssertionError."""

        async def all_seen() -> bool:
            self.look()
            return len(self.seen) >= len(self.sent)

        await eventually(all_seen, within_s=10, what="every picture of the good stream came")
        assert self.seen == self.sent


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
