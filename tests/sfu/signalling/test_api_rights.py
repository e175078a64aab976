"""Every operation of the server API against every kind of bearer, and against sizes that nobody needs."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

import httpx2
import pytest

from sfu.signalling import openapi
from sfu.signalling.openapi import Operation
from tests.sfu.running import Running
from tests.sfu.signalling.test_api import ALL, TOKEN, api, bearer, refused

OPERATIONS = list(openapi.operations())  # the first lists rooms, all others are of one
NAMES = [operation.name for _, operation in OPERATIONS]
# Who asks, and what he is told; None = he may.
BEARERS: dict[str, tuple[dict[str, str], tuple[int, str] | None]] = {
    "nobody": ({}, (401, "unauthorized")),
    "another scheme": ({"Authorization": f"Basic {TOKEN}"}, (401, "unauthorized")),
    "an empty bearer": ({"Authorization": "Bearer"}, (401, "unauthorized")),
    "a wrong bearer": ({"Authorization": "Bearer " + "t" * 39 + "u"}, (401, "unauthorized")),
    "a forged grant": (
        {"Authorization": bearer(manage=True)["Authorization"][:-4] + "AAAA"},
        (401, "unauthorized"),
    ),
    "a participant": (bearer(), (403, "forbidden")),
    "a moderator": (bearer(moderate=True), (403, "forbidden")),
    "the manager of another room": (bearer("other", manage=True), (403, "forbidden")),
    "the room's manager": (bearer(manage=True), None),
    "the back end": (ALL, None),
}
BODIES = {"setPolicy": {"seats": 40, "senders": 40, "version": 1}, "setRights": {"max_kbps": 0}}
HUGE = 1 << 20


async def ask(
    node: Running, path: str, operation: Operation, participant: str, headers: dict[str, str], room: str = "r"
) -> httpx2.Response:
    """The operation, as far as its first bytes: events have no end."""
    url = path.format(room=room, participant=participant, action="mute")
    body: dict[str, Any] = {"json": BODIES[operation.name]} if operation.name in BODIES else {}
    async with node.http.stream(operation.method, url, headers=headers, **body) as response:
        if response.headers.get("content-type", "").startswith("text/event-stream"):
            async with asyncio.timeout(5):
                await anext(response.aiter_raw())
        else:
            await response.aread()
        return response


@pytest.mark.parametrize(("path", "operation"), OPERATIONS, ids=NAMES)
async def test_only_who_may_is_served_and_the_room_of_the_others_stays(path: str, operation: Operation) -> None:
    async with api() as node, node.client() as client:
        me = await node.joined(client)
        refusals: Counter[str] = Counter()
        for who, (headers, told) in BEARERS.items():
            if who == "the room's manager" and "{room}" not in path:
                told = (403, "forbidden")  # his grant is for one room
            if told is not None:
                response = await ask(node, path, operation, me["participant"], headers)
                assert refused(response) == told, who
                assert ("www-authenticate" in response.headers) == (told[0] == 401)
                assert TOKEN not in response.text and "eyJ" not in response.text
                refusals[told[1]] += 1
        room = (await node.http.get("/v1/rooms/r", headers=ALL)).json()
        assert (room["participants"], room["policy"]["version"]) == (1, 0)
        assert (await client.ask("send", topic="t", body="still here"))["type"] == "done"
        page = (await node.http.get("/metrics")).text
        for code, count in refusals.items():
            assert f'stentor_errors_total{{code="{code}"}} {count}.0' in page


@pytest.mark.parametrize("who", [who for who, (_, told) in BEARERS.items() if told is None])
@pytest.mark.parametrize(("path", "operation"), OPERATIONS[1:], ids=NAMES[1:])
async def test_who_may_is_served(path: str, operation: Operation, who: str) -> None:
    async with api() as node, node.client() as client:
        me = await node.joined(client)
        response = await ask(node, path, operation, me["participant"], BEARERS[who][0])
        assert response.status_code in (200, 204), response.text


@pytest.mark.parametrize(("path", "operation"), OPERATIONS[1:], ids=NAMES[1:])
async def test_rooms_and_people_who_are_not_there_are_not_found_and_absurd_names_are_refused(
    path: str, operation: Operation
) -> None:
    absurd = ("x" * 5_000, "%00", "..%2f..", "\u202e" * 65)
    refusals = (307, 400, 404, 405)  # a slash in a name makes another path, which is not the API's
    async with api() as node, node.client() as client:
        me = await node.joined(client)
        for name in absurd:
            answer = await ask(node, path, operation, me["participant"], ALL, room=name)
            assert answer.status_code in refusals, (name[:10], answer.text)
        if "{participant}" in path:
            for name in ("p-nobody", *absurd):
                assert (await ask(node, path, operation, name, ALL)).status_code in refusals
        assert len((await node.http.get("/v1/rooms", headers=ALL)).json()["rooms"]) == 1
        assert (await client.ask("send", topic="t", body="still here"))["type"] == "done"


@pytest.mark.parametrize(("path", "operation"), [pair for pair in OPERATIONS if pair[1].takes], ids=list(BODIES))
async def test_bodies_over_the_limit_are_refused_before_they_are_read(path: str, operation: Operation) -> None:
    sent = 0

    async def endless() -> Any:
        nonlocal sent
        while sent < 64 * HUGE:
            sent += HUGE
            yield b" " * HUGE

    async with api() as node, node.client() as client:
        me = await node.joined(client)
        url = path.format(room="r", participant=me["participant"])
        deep = b"[" * 16_000
        answer = await node.http.request(operation.method, url, headers=ALL, content=deep)
        assert refused(answer) == (400, "bad_message")
        try:
            answer = await node.http.request(operation.method, url, headers=ALL, content=endless())
            assert refused(answer) == (400, "bad_message")
        except (httpx2.WriteError, httpx2.ReadError):
            pass  # cut off while it was still sending
        assert sent < 32 * HUGE, "the server read on"
        assert (await client.ask("send", topic="t", body="still here"))["type"] == "done"


async def test_queries_headers_and_paths_without_measure_are_refused_and_the_port_lives() -> None:
    async with api() as node, node.client() as client:
        await node.joined(client)
        for after in ("x" * 30_000, "\x00"):
            answer = await node.http.get("/v1/rooms/r/participants", params={"after": after}, headers=ALL)
            assert answer.status_code in (400, 404, 414)
        for octets in (
            b"GET /" + b"x" * HUGE,
            b"G" * HUGE,
            b"GET / HTTP/1.1\r\nA: " + b"x" * HUGE,
            b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * (HUGE // 6),
            b"GET / HTTP/1.1\r\nContent-Length: 99999999999999999999\r\n\r\n",
        ):
            assert await said_to(node, octets) in (b"HTTP/1.1 400", b"HTTP/1.1 431", b"HTTP/1.1 414", b"")
        assert (await client.ask("send", topic="t", body="still here"))["type"] == "done"


async def said_to(node: Running, octets: bytes) -> bytes:
    """The beginning of the answer to raw bytes that never end as a request should; b"" = the connection was cut."""
    reader, writer = await asyncio.open_connection("127.0.0.1", node.served.port)
    try:
        async with asyncio.timeout(10):
            writer.write(octets)
            return await reader.read(12)
    except ConnectionError:
        return b""
    finally:
        writer.transport.abort()
