"""Clients that vanish on the way in, at a real server: half an upgrade, a join, an offer, half a handshake."""

from __future__ import annotations

import asyncio
import json
import random
import socket
from collections.abc import Awaitable, Callable

import pytest
from websockets.asyncio.client import ClientConnection

from benchmarks import offer
from benchmarks.impairment import Link
from benchmarks.transport import Transport, certificate
from tests.servers import Server
from tests.sfu.calls import (
    call,
    grant,
    only_the_call_is_left,
    opened,
)
from tests.sfu.transport.test_dtls import PlainPeer

pytestmark = [pytest.mark.slow, pytest.mark.alone]


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


@pytest.mark.long
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
