"""Floods, silence, storms and thefts at a real server, while two people see each other and notice nothing."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import random
import socket
import time
from collections import Counter
from collections.abc import AsyncIterator

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from benchmarks.client import Publish
from benchmarks.sending import THREE_LAYERS
from sfu.signalling.effects import CLOSE_TOO_MUCH, CLOSE_TOO_SLOW
from tests.servers import Server, eventually
from tests.sfu.calls import (
    GROWTH_BYTES_MAX,
    JOIN_WITHIN_S,
    NEIGHBOUR,
    call,
    grant,
    join,
    node_bytes,
    opened,
    plays,
)

pytestmark = [pytest.mark.slow, pytest.mark.alone]


async def test_those_who_flood_are_closed_with_a_code_and_the_others_wait_for_nothing() -> None:
    async def flood(server: Server, kind: int) -> int | None:
        text = json.dumps({"type": "send", "id": 1, "topic": "t", "body": "x" * 2000}) if kind % 2 else "nonsense"
        async with opened(server, max_queue=None) as stranger:
            await stranger.send(json.dumps({"type": "join", "id": 1, "token": grant(f"flood {kind}", "f")}))
            with contextlib.suppress(ConnectionClosed):
                while True:
                    await stranger.send(text)
                    await asyncio.sleep(0)  # the others of this process take their turns
            await stranger.wait_closed()
            return stranger.close_code

    async with call() as made:
        before = await node_bytes(made.server)
        floods = asyncio.gather(*(flood(made.server, kind) for kind in range(20)))
        while not floods.done():
            await made.ask()
            await asyncio.wait({floods}, timeout=0.1)  # else the viewer is one who floods
        assert set(await floods) == {CLOSE_TOO_MUCH}
        assert await node_bytes(made.server) - before <= GROWTH_BYTES_MAX
        await made.unharmed()


async def test_those_who_never_read_are_closed_with_a_code_and_the_others_wait_for_nothing() -> None:
    wide = ("--limits-messages-burst", "100000", "--limits-bytes-burst", "2000000000")
    async with call(*wide) as made, contextlib.AsyncExitStack() as stack:
        before = await node_bytes(made.server)
        slow = [await stack.enter_async_context(never_reading(made.server, f"slow {number}")) for number in range(3)]

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


async def test_who_floods_while_his_queue_stands_still_is_closed_too() -> None:
    """His goodbye stands behind what he does not read."""
    wide = ("--limits-messages-burst", "100000", "--limits-bytes-burst", "2000000000")
    deep = ("--limits-outgoing-messages", "100000", "--limits-outgoing-bytes", "1000000000")
    async with call(*wide, *deep) as made, never_reading(made.server, "both") as stranger:
        for _ in range(1000):
            await made.viewer.ask("send", topic="t", body="x" * 8000)
        for _ in range(1000):
            with contextlib.suppress(ConnectionClosed):
                await stranger.send("nonsense")

        async def closed() -> bool:
            return await made.server.metric('stentor_sessions{state="connected"}') == 2

        await eventually(closed, within_s=20, what="who floods and does not read is closed", every_s=0.1)
        await made.unharmed()


@contextlib.asynccontextmanager
async def never_reading(server: Server, name: str) -> AsyncIterator[ClientConnection]:
    """A participant of the call who reads nothing, behind a small window."""
    plain = socket.socket()
    plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    plain.connect(("127.0.0.1", server.http_port))
    url, protocols = f"ws://127.0.0.1:{server.http_port}/ws", ["stentor.v1"]
    async with connect(url, sock=plain, subprotocols=protocols, proxy=None, max_queue=1, close_timeout=1) as one:  # type: ignore[arg-type]
        await one.send(json.dumps({"type": "join", "id": 1, "token": grant("call", name)}))
        yield one


async def drained(socket_: ClientConnection) -> int | None:
    with contextlib.suppress(ConnectionClosed):
        while True:
            await socket_.recv()
    return socket_.close_code


async def test_a_storm_of_joins_with_bad_tokens_is_refused_counted_and_delays_nobody_else() -> None:
    good = grant("storm", "good")
    head, body, _ = good.split(".")
    bad = [f"{head}.{body}.{'A' * 43}", "x.y.z", "", "x" * 8000, f"{head}.{'A' * 7000}.{'B' * 43}", good[:-1]]
    told: Counter[tuple[str, str]] = Counter()
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
                        await asyncio.sleep(0)  # the others of this process take their turns
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
        async with opened(made.server, NEIGHBOUR) as elsewhere:
            await elsewhere.send(json.dumps({"type": "join", "id": 1, "token": good}))
            assert json.loads(await elsewhere.recv())["type"] == "joined"
        storming = False
        await storms
        assert {code for code, _ in told} == {"unauthorized", "rate_limited"}, told
        unauthorized = sum(count for (code, _), count in told.items() if code == "unauthorized")
        assert told["rate_limited", "too many joins with a bad token from this address"] > 100, "not even checked"
        assert await made.server.metric('stentor_errors_total{code="unauthorized"}') >= unauthorized >= 200
        assert CLOSE_TOO_MUCH in ended, "who goes on is closed"
        await made.unharmed()


async def listen(stranger: ClientConnection, told: Counter[tuple[str, str]]) -> None:
    with contextlib.suppress(ConnectionClosed):
        while True:
            message = json.loads(await stranger.recv())
            told[message["code"], message["reason"]] += 1


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
            sent = sum(stream.packets + stream.repaired for stream in greedy.camera.streams)
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
