"""Requests of WHIP and WHEP to a real server with a worker without media."""

from __future__ import annotations

import contextlib
import time
from collections.abc import AsyncIterator
from typing import Any

import httpx2

from sfu.contract import Grant, Source, load_key, sign
from tests.offers import audio, session, video
from tests.servers import eventually
from tests.sfu.running import Running, running

SHARED, TOKEN = "s" * 40, "t" * 40
SENDS = str(session(audio("0", "sendonly"), video("1", "sendonly")))
LOOKS = str(session(audio("0"), video("1")))
SAME = "a=ice-ufrag:remote\r\na=ice-pwd:" + "r" * 24 + "\r\n"
FRESH = "a=ice-ufrag:fresh\r\na=ice-pwd:" + "f" * 24 + "\r\n"
PLAYER = "https://player.example"


def bearer(
    identity: str = "ada",
    *,
    room: str = "r",
    publish: tuple[Source, ...] = ("camera", "microphone"),
    lasts_s: float = 3600,  # some are made as the tests are collected
) -> dict[str, str]:
    key = load_key(SHARED, key_id="stentor-1", issuer="stentor", audience="stentor-sfu")
    now = time.time()
    grant = Grant(room=room, identity=identity, name=identity, publish=publish, expires_at=now + lasts_s)
    return {"Authorization": f"Bearer {sign(grant, key, min(now, now + lasts_s - 1))}"}


ADA, VIEWER = bearer(), bearer("viewer", publish=())


@contextlib.asynccontextmanager
async def door(**sections: Any) -> AsyncIterator[Running]:
    async with running(tokens={"shared_key": SHARED}, **{"api": {"token": TOKEN}, **sections}) as node:
        yield node


async def post(
    node: Running, path: str = "/whip", sdp: str = SENDS, headers: dict[str, str] = ADA, **more: str
) -> httpx2.Response:
    return await node.http.post(path, content=sdp, headers={"Content-Type": "application/sdp", **headers, **more})


async def patch(
    node: Running, path: str, fragment: str, if_match: str | None, headers: dict[str, str] = ADA
) -> httpx2.Response:
    match = {} if if_match is None else {"If-Match": if_match}
    content_type = {"Content-Type": "application/trickle-ice-sdpfrag"}
    return await node.http.patch(path, content=fragment, headers={**content_type, **match, **headers})


async def opened(
    node: Running, path: str = "/whip", sdp: str = SENDS, headers: dict[str, str] = ADA
) -> httpx2.Response:
    answer = await post(node, path, sdp, headers)
    assert answer.status_code == 201, answer.text
    return answer


def refused(answer: httpx2.Response) -> tuple[int, str]:
    assert answer.headers["content-type"] == "application/problem+json", answer.text
    return answer.status_code, answer.json()["code"]


async def participants(node: Running) -> int:
    for line in (await node.http.get("/metrics")).text.splitlines():
        if line.startswith("stentor_participants "):
            return int(float(line.split()[1]))
    raise AssertionError("/metrics does not tell the participants")


async def gone(node: Running, location: str, headers: dict[str, str] = ADA) -> None:
    """Seat free, resource gone."""

    async def look() -> bool:
        return await participants(node) == 0

    await eventually(look, within_s=5, what="the seat is free")
    assert refused(await patch(node, location, SAME, "*", headers)) == (404, "not_found")
    assert refused(await node.http.delete(location, headers=headers)) == (404, "not_found")
