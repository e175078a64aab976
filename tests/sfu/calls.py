"""A real server with two people who see each other, to be left unharmed by whoever else comes."""

from __future__ import annotations

import contextlib
import time
from collections.abc import AsyncIterator

import psutil
from websockets.asyncio.client import connect

from benchmarks.client import LightClient, Publish
from benchmarks.receiving import Slot
from sfu.contract import Grant, load_key, sign
from tests.servers import Server, eventually

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
    return int(psutil.Process(server.pid).memory_info().rss)


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
