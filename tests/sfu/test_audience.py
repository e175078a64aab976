"""An audience costs the others nothing: a thousand join by real WebSockets, and what each is told stays as small."""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import Any

from sfu.contract import Grant, load_key, sign
from tests.sfu.running import Client, Running, running

SHARED = "s" * 40
POLICY = {"seats": 2000, "senders": 8, "camera_codec": "VP8"}


def viewer_token(number: int, **rights: Any) -> str:
    key = load_key(SHARED, key_id="stentor-1", issuer="stentor", audience="stentor-sfu")
    now = time.time()
    grant = Grant(room="r", identity=f"v{number}", name=f"V{number}", publish=(), expires_at=now + 600, **rights)
    return sign(grant, key, now)


async def join(node: Running, stack: contextlib.AsyncExitStack, number: int) -> tuple[Client, int]:
    """A viewer, and the bytes of his `joined`."""
    client = await stack.enter_async_context(node.client())
    answer = await client.ask("join", token=viewer_token(number))
    assert answer["type"] == "joined", answer
    return client, len(str(answer))


async def told_bytes(client: Client) -> int:
    """What came since the last call until the answer to a message of his own."""
    await client.ask("view", slots=[])
    heard, client.heard = client.heard, []
    return sum(len(str(message)) for message in heard if message["type"] != "audience")


async def test_a_thousand_silent_viewers_join_and_nobody_is_told_more_for_it() -> None:
    sections = {"room": POLICY, "tokens": {"shared_key": SHARED}, "limits": {"sessions_per_address": 2000}}
    async with running(**sections) as node, contextlib.AsyncExitStack() as stack:
        host = await stack.enter_async_context(node.client())
        await node.joined(host, name="Host")
        first, first_bytes = await join(node, stack, 0)
        await told_bytes(first)
        last_bytes = 0
        for start in range(1, 1001, 50):
            joined = await asyncio.gather(*(join(node, stack, number) for number in range(start, start + 50)))
            last_bytes = max(size for _, size in joined)
        assert len(next(iter(node.served.node.rooms.all()))) == 1 + 1001
        assert last_bytes <= first_bytes + 10  # the audience's number has more digits
        assert await told_bytes(first) == 0
        assert await told_bytes(host) == 0
        while (await host.hear("audience"))["count"] < 1000:
            continue
        page = await host.ask("roster", limit=200)
        assert (len(page["participants"]), page["participants"][1]["name"]) == (200, "V0")
        assert (await first.ask("roster"))["code"] == "forbidden"
