"""A real server on a free port with a fake worker, and clients of it over real WebSockets."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
from collections.abc import AsyncIterator, Mapping
from typing import Any

import httpx2
from websockets.asyncio.client import ClientConnection, connect

from sfu.config import Config
from sfu.config_sources import build
from sfu.serve import Served
from tests.sfu.fake_worker import FakeWorker

SETTINGS: dict[str, Any] = {"dev": True, "http": {"port": 0}}


class Client:
    """One WebSocket that asks and waits for the answer; what comes in between is kept in `heard`."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket
        self.heard: list[dict[str, Any]] = []
        self._ids = itertools.count(1)

    async def next(self) -> dict[str, Any]:
        async with asyncio.timeout(5):
            message: dict[str, Any] = json.loads(await self.socket.recv())
        return message

    async def ask(self, kind: str, **fields: Any) -> dict[str, Any]:
        number = await self.send(kind, **fields)
        while (message := await self.next()).get("request") != number:
            self.heard.append(message)
        return message

    async def send(self, kind: str, **fields: Any) -> int:
        number = next(self._ids)
        await self.socket.send(json.dumps({"type": kind, "id": number, **fields}))
        return number

    async def hear(self, kind: str, **fields: Any) -> dict[str, Any]:
        """The next message of that kind with those fields, also among those that came before."""

        def fits(message: Mapping[str, Any]) -> bool:
            return message["type"] == kind and all(message.get(name) == value for name, value in fields.items())

        for index, message in enumerate(self.heard):
            if fits(message):
                return self.heard.pop(index)
        while not fits(message := await self.next()):
            self.heard.append(message)
        return message

    async def closed(self) -> int | None:
        """The close code, once the server has closed."""
        async with asyncio.timeout(5):
            await self.socket.wait_closed()
        return self.socket.close_code


class Running:
    def __init__(self, served: Served, worker: FakeWorker) -> None:
        self.served = served
        self.worker = worker
        self.http = httpx2.AsyncClient(base_url=f"http://127.0.0.1:{served.port}", trust_env=False)

    @property
    def address(self) -> str:
        return f"ws://127.0.0.1:{self.served.port}/ws"

    async def ready(self) -> None:
        async with asyncio.timeout(5):
            while (await self.http.get("/readyz")).status_code != 200:  # noqa: ASYNC110  seen from outside only
                await asyncio.sleep(0.01)

    def token(self, room: str = "r", name: str = "N") -> str:
        return self.served.dev_token(room, name)

    @contextlib.asynccontextmanager
    async def client(self, **options: Any) -> AsyncIterator[Client]:
        async with connect(self.address, subprotocols=["stentor.v1"], proxy=None, max_queue=None, **options) as socket:  # type: ignore[list-item]
            yield Client(socket)

    async def joined(self, client: Client, room: str = "r", name: str = "N") -> dict[str, Any]:
        answer = await client.ask("join", token=self.token(room, name))
        assert answer["type"] == "joined", answer
        return answer


@contextlib.asynccontextmanager
async def running(**sections: Any) -> AsyncIterator[Running]:
    """`sections` are tables of the configuration."""
    config: Config = build({**SETTINGS, **sections})
    worker = FakeWorker()
    served = Served(config, launcher=worker.launch)
    await served.start()
    one = Running(served, worker)
    try:
        await one.ready()
        yield one
    finally:
        await one.http.aclose()
        await served.stop()
