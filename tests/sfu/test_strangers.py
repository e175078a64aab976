"""A real server with strangers at its doors, while two people see each other: floods, silence, storms, sudden ends."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import random
import socket
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable

import psutil
import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from benchmarks import offer
from benchmarks.client import LightClient, Publish
from benchmarks.impairment import Link
from benchmarks.receiving import Slot
from benchmarks.sending import THREE_LAYERS
from benchmarks.transport import Transport, certificate
from sfu.contract import Grant, load_key, sign
from sfu.signalling.effects import CLOSE_TOO_MUCH, CLOSE_TOO_SLOW
from tests.servers import Server, eventually
from tests.sfu.transport.test_dtls import PlainPeer

pytestmark = pytest.mark.slow

KEY = "a shared key of the tests, long enough"
# Of a request and of a whole join; both take milliseconds on a machine that does nothing else.
ANSWER_WITHIN_S = 2.0
JOIN_WITHIN_S = 8.0
# What the node may hold for all who flood it or do not read: a few queues of 4 MiB.
GROWTH_BYTES_MAX = 48 << 20
# The strangers' own addresses: a limit of an address must not be that of the people beside them.
STRANGER, NEIGHBOUR = "127.0.0.3", "127.0.0.4"


class Call:
    """Somebody who sends and somebody who watches."""

    def __init__(self, server: Server, publisher: LightClient, viewer: LightClient) -> None:
        self.server = server
        self.publisher = publisher
        self.viewer = viewer
        self.slowest_s = 0.0

    @property
    def slot(self) -> Slot:
        return self.viewer.video[0]

    async def ask(self) -> None:
        """A request, and how long its answer took."""
        began = time.monotonic()
        await self.viewer.ask("roster", limit=1)
        self.slowest_s = max(self.slowest_s, time.monotonic() - began)

    async def unharmed(self) -> None:
        """A second of pictures more comes, none was lost or damaged, and no request waited."""
        await self.ask()
        await plays(self.slot, 1)
        for slot in self.viewer.slots.values():
            report = slot.report()
            assert (report.lost, report.wrong_content, report.backwards, report.broken_pictures) == (0, 0, 0, 0), report
        assert self.slowest_s <= ANSWER_WITHIN_S


async def plays(slot: Slot, number: int, frames: int = 25) -> None:
    """So many frames more of this publisher come."""
    start = sum(shown.frames for shown in slot.shown if shown.participant == number)

    async def look() -> bool:
        return sum(shown.frames for shown in slot.shown if shown.participant == number) >= start + frames

    await eventually(look, within_s=20, what=f"slot {slot.mid} shows {frames} frames more of {number}")


async def join(server: Server, token: str, **options: object) -> LightClient:
    return await LightClient.join(f"ws://127.0.0.1:{server.http_port}/ws", token, **options)  # type: ignore[arg-type]


@contextlib.asynccontextmanager
async def call(*arguments: str) -> AsyncIterator[Call]:
    async with Server("--tokens-shared-key", KEY, *arguments) as server, contextlib.AsyncExitStack() as stack:
        people = []
        for name, options in (("one", {"publish": Publish(1, speaking=True)}), ("two", {"video_slots": 1})):
            people.append(await join(server, await server.token("call", name), **options))
            stack.push_async_callback(people[-1].leave)
        made = Call(server, *people)
        await made.viewer.view({made.slot.mid: (made.publisher.participant, "camera")})
        await plays(made.slot, 1)
        yield made


def grant(room: str, name: str, **rights: object) -> str:
    key = load_key(KEY, key_id="stentor-1", issuer="stentor", audience="stentor-sfu")
    now = time.time()
    fields = {"room": room, "identity": name, "name": name, "expires_at": now + 600, **rights}
    return sign(Grant(**fields), key, now)  # type: ignore[arg-type]


def opened(server: Server, address: str = STRANGER, **options: object) -> connect:
    return connect(
        f"ws://127.0.0.1:{server.http_port}/ws",
        subprotocols=["stentor.v1"],  # type: ignore[list-item]
        proxy=None,
        local_addr=(address, 0),
        **options,  # type: ignore[arg-type]
    )


async def node_bytes(server: Server) -> int:
    return psutil.Process(server.pid).memory_info().rss


async def only_the_call_is_left(server: Server) -> None:
    """Seats, sessions and rows of everybody else are free."""
    wanted = {
        "stentor_participants": 2,
        'stentor_sessions{state="connected"}': 2,
        'stentor_sessions{state="waiting"}': 0,
        'stentor_rows{kind="peers",worker="0"}': 2,
        'stentor_rows{kind="tracks",worker="0"}': 2,
        'stentor_rows{kind="slots",worker="0"}': 1,
    }

    async def look() -> bool:
        return {line: await server.metric(line) for line in wanted} == wanted

    try:
        await eventually(look, within_s=30, what="only the call is left", every_s=0.2)
    except AssertionError as late:
        raise AssertionError({line: await server.metric(line) for line in wanted}) from late


# -- WebSockets --------------------------------------------------------------------------------------------


async def test_those_who_flood_are_closed_with_a_code_and_the_others_wait_for_nothing() -> None:
    async def flood(server: Server, kind: int) -> int | None:
        text = json.dumps({"type": "send", "id": 1, "topic": "t", "body": "x" * 2000}) if kind % 2 else "nonsense"
        async with opened(server) as stranger:
            await stranger.send(json.dumps({"type": "join", "id": 1, "token": grant(f"flood {kind}", "f")}))
            with contextlib.suppress(ConnectionClosed):
                while True:
                    await stranger.send(text)
            await stranger.wait_closed()
            return stranger.close_code

    async with call() as made:
        before = await node_bytes(made.server)
        floods = asyncio.gather(*(flood(made.server, kind) for kind in range(20)))
        while not floods.done():
            await made.ask()
        assert set(await floods) == {CLOSE_TOO_MUCH}
        assert await node_bytes(made.server) - before <= GROWTH_BYTES_MAX
        await made.unharmed()


async def test_those_who_never_read_are_closed_with_a_code_and_the_others_wait_for_nothing() -> None:
    wide = ("--limits-messages-burst", "100000", "--limits-bytes-burst", "2000000000")
    async with call(*wide) as made, contextlib.AsyncExitStack() as stack:
        before = await node_bytes(made.server)
        slow = []
        for number in range(3):
            plain = socket.socket()
            plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            plain.connect(("127.0.0.1", made.server.http_port))
            slow.append(
                await stack.enter_async_context(
                    connect(
                        f"ws://127.0.0.1:{made.server.http_port}/ws",
                        sock=plain,
                        subprotocols=["stentor.v1"],  # type: ignore[list-item]
                        proxy=None,
                        max_queue=1,
                        close_timeout=1,
                    )
                )
            )
            await slow[-1].send(json.dumps({"type": "join", "id": 1, "token": grant("call", f"slow {number}")}))

        async def closed() -> bool:
            for _ in range(50):
                await made.viewer.ask("send", topic="t", body="x" * 8000)
            await made.ask()
            return await made.server.metric('stentor_sessions{state="connected"}') == 2

        await eventually(closed, within_s=60, what="who does not read is closed", every_s=0.0)
        # Who reads at last, while the server still tries to say goodbye, hears why.
        assert {await drained(one) for one in slow} <= {CLOSE_TOO_SLOW, 1006}
        assert await node_bytes(made.server) - before <= GROWTH_BYTES_MAX
        await made.unharmed()


async def drained(socket_: ClientConnection) -> int | None:
    with contextlib.suppress(ConnectionClosed):
        while True:
            await socket_.recv()
    return socket_.close_code


async def test_a_storm_of_joins_with_bad_tokens_is_refused_counted_and_delays_nobody_else() -> None:
    good = grant("storm", "good")
    head, body, _ = good.split(".")
    bad = [f"{head}.{body}.{'A' * 43}", "x.y.z", "", "x" * 8000, f"{head}.{'A' * 7000}.{'B' * 43}", good[:-1]]
    told: Counter[str] = Counter()
    ended: Counter[int | None] = Counter()
    storming = True

    async def storm(server: Server, number: int) -> None:
        texts = [json.dumps({"type": "join", "id": 1, "token": token}) for token in bad]
        for text in itertools.cycle(texts[number % len(texts) :] + texts[: number % len(texts)]):
            async with opened(server) as stranger:
                listening = asyncio.ensure_future(listen(stranger, told))
                with contextlib.suppress(ConnectionClosed):
                    while storming:
                        await stranger.send(text)
                await stranger.close()
                await listening
                ended[stranger.close_code] += 1
            if not storming:
                return

    async with call() as made:
        storms = asyncio.gather(*(storm(made.server, number) for number in range(12)))
        for number in range(5):
            began = time.monotonic()
            late = await join(made.server, grant("storm", f"late {number}"), video_slots=1)
            assert time.monotonic() - began <= JOIN_WITHIN_S
            await made.ask()
            await late.leave()
        # From the storm's own address nobody is let in, and it is said when to come again.
        async with opened(made.server) as neighbour:
            await neighbour.send(json.dumps({"type": "join", "id": 1, "token": good}))
            refused = json.loads(await neighbour.recv())
            assert (refused["code"], refused["retry_after"] > 0) == ("rate_limited", True)
        async with opened(made.server, NEIGHBOUR) as elsewhere:
            await elsewhere.send(json.dumps({"type": "join", "id": 1, "token": good}))
            assert json.loads(await elsewhere.recv())["type"] == "joined"
        storming = False
        await storms
        assert set(told) == {"unauthorized", "rate_limited"}, told
        assert await made.server.metric('stentor_errors_total{code="unauthorized"}') >= told["unauthorized"] >= 200
        assert await made.server.metric('stentor_errors_total{code="rate_limited"}') >= told["rate_limited"]
        assert CLOSE_TOO_MUCH in ended, "who goes on is closed"
        await made.unharmed()


async def listen(stranger: ClientConnection, told: Counter[str]) -> None:
    with contextlib.suppress(ConnectionClosed):
        while True:
            told[json.loads(await stranger.recv())["code"]] += 1


# -- sudden ends -------------------------------------------------------------------------------------------


async def mid_upgrade(server: Server, number: int) -> None:
    plain = socket.create_connection(("127.0.0.1", server.http_port))
    plain.sendall(b"GET /ws HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nSec-WebSo")
    plain.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")
    plain.close()  # with a reset


async def mid_join(server: Server, number: int) -> None:
    stranger = await opened(server)
    await stranger.send(json.dumps({"type": "join", "id": 1, "token": grant("gone", f"gone {number}")}))
    stranger.transport.abort()


async def mid_offer(server: Server, number: int) -> None:
    stranger = await joined(server, number)
    await stranger.send(offered(plain_transport(number)))
    stranger.transport.abort()


async def mid_dtls(server: Server, number: int) -> None:
    """The check passed and the first datagram of the ClientHello left; then neither side of it is heard again."""
    stranger = await joined(server, number)
    transport = FirstHalf(number)
    await stranger.send(offered(transport))
    answer = offer.read(await sdp(stranger))
    connecting = asyncio.ensure_future(transport.connect(answer.remote, answer.ufrag, answer.pwd, answer.fingerprint))
    await asyncio.wait_for(transport.said.wait(), 10)
    connecting.cancel()
    transport.close()
    stranger.transport.abort()


def plain_transport(number: int) -> Transport:
    return Transport(lambda octets, rtcp: None, Link(), Link(), random.Random(number))


class FirstHalf(Transport):
    """Says the first half of its ClientHello, and no more."""

    def __init__(self, number: int) -> None:
        super().__init__(lambda octets, rtcp: None, Link(), Link(), random.Random(number))
        self.said = asyncio.Event()

    def _handshake(self) -> None:
        if not self.said.is_set():
            first, *rest = PlainPeer(mtu=300, long_hello=True).receive()
            assert rest
            self._send(first)
            self.said.set()


async def joined(server: Server, number: int) -> ClientConnection:
    stranger = await opened(server)
    await stranger.send(json.dumps({"type": "join", "id": 1, "token": grant("gone", f"gone {number}")}))
    assert json.loads(await stranger.recv())["type"] == "joined"
    return stranger


def offered(transport: Transport) -> str:
    sections = [offer.Section("0", "video", sends=True), offer.Section("1", "video", sends=False)]
    text = offer.write(sections, transport.ufrag, transport.pwd, certificate()[2])
    return json.dumps({"type": "offer", "id": 2, "sdp": text, "sources": {"0": "camera"}, "pairs": []})


async def sdp(stranger: ClientConnection) -> str:
    while (message := json.loads(await stranger.recv()))["type"] != "answer":
        assert message["type"] != "error", message
    return str(message["sdp"])


@pytest.mark.parametrize("vanish", [mid_upgrade, mid_join, mid_offer, mid_dtls])
async def test_who_vanishes_on_the_way_in_leaves_nothing_behind(
    vanish: Callable[[Server, int], Awaitable[None]],
) -> None:
    async with call("--session-resume-s", "1", "--session-gone-s", "2") as made:
        for number in range(10):
            await vanish(made.server, number)
            await made.ask()
        await only_the_call_is_left(made.server)
        await made.unharmed()


async def test_who_goes_silent_mid_handshake_but_keeps_his_socket_is_told_and_can_try_again() -> None:
    async with call() as made:
        stranger = await joined(made.server, 0)
        half = FirstHalf(0)
        await stranger.send(offered(half))
        answer = offer.read(await sdp(stranger))
        connecting = asyncio.ensure_future(half.connect(answer.remote, answer.ufrag, answer.pwd, answer.fingerprint))
        async with asyncio.timeout(60):
            while (message := json.loads(await stranger.recv()))["type"] != "error":
                pass
        assert (message["code"], "30 s" in message["reason"]) == ("media_failed", True)
        connecting.cancel()
        half.close()
        again = plain_transport(1)
        await stranger.send(offered(again))
        answer = offer.read(await sdp(stranger))
        await again.connect(answer.remote, answer.ufrag, answer.pwd, answer.fingerprint)
        again.close()
        await stranger.close()
        await made.unharmed()


# -- media -------------------------------------------------------------------------------------------------


async def test_a_publisher_above_his_bitrate_is_cut_and_the_others_viewers_see_nothing_of_it() -> None:
    async with call() as made:
        token = grant("call", "greedy", max_kbps=150)
        greedy = await join(made.server, token, publish=Publish(7, layers=THREE_LAYERS, sound=False))
        curious = await join(made.server, grant("call", "curious"), video_slots=1)
        try:
            await curious.view({curious.video[0].mid: (greedy.participant, "camera")}, max_height=180)
            line = 'stentor_verdicts_total{stage="arrival",verdict="OVER_LIMIT"}'

            async def cut() -> bool:
                return await made.server.metric(line) >= 500

            await eventually(cut, within_s=30, what="500 packets were over the limit", every_s=0.2)
            assert greedy.camera is not None
            sent = sum(stream.packets for stream in greedy.camera.streams)
            assert await made.server.metric(line) <= sent, "nobody else's packets were cut"
            await made.unharmed()
        finally:
            await greedy.leave()
            await curious.leave()


async def test_two_who_send_under_the_same_ssrcs_are_told_apart() -> None:
    """A thief reads an SSRC in no place that he should: whoever draws the same numbers sends under them."""
    async with call() as made:
        rivals = []
        for number in (21, 22):
            publish = Publish(number, layers=THREE_LAYERS)
            rivals.append(
                await join(made.server, grant("call", f"rival {number}"), publish=publish, chance=random.Random(5))
            )
        watching = await join(made.server, grant("call", "watching"), video_slots=2)
        try:
            ssrcs = [[stream.ssrc for stream in rival.camera.streams] for rival in rivals if rival.camera is not None]
            assert ssrcs[0] == ssrcs[1]
            for slot, rival in zip(watching.video, rivals, strict=True):
                await watching.view({slot.mid: (rival.participant, "camera")}, max_height=180)
            for slot, number in zip(watching.video, (21, 22), strict=True):
                await plays(slot, number)
                assert {shown.participant for shown in slot.shown} == {number}
                assert slot.report().wrong_content == slot.report().broken_pictures == 0
            await made.unharmed()
        finally:
            for one in (*rivals, watching):
                await one.leave()
