"""A hall with a real media server beside it: a process of its own, which tells the control plane what is used."""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import json
import socket
import time
import urllib.request
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import uvicorn

from benchmarks.signalling import Signalling
from control_plane.storage.store import Store
from tests.control_plane.rooms.hall import API_TOKEN, PEM, UPLINK_TOKEN, Hall, hall
from tests.servers import Server, eventually


class Client:
    """Somebody in a room, without media."""

    def __init__(self) -> None:
        self.told: list[dict[str, Any]] = []
        self.joined: dict[str, Any] = {}
        self.signalling: Signalling

    async def ended(self, within_s: float = 10.0) -> str:
        """Why the server ended his session, once it has."""

        async def look() -> str | None:
            return next((str(one["reason"]) for one in self.told if one["type"] == "ended"), None)

        return await eventually(look, within_s=within_s, what="the session is ended", every_s=0.01)

    async def drop(self) -> None:
        """His connection breaks without a word."""
        socket = self.signalling._socket
        socket.transport.abort()
        async with asyncio.timeout(5):
            await socket.wait_closed()

    @property
    def in_room(self) -> bool:
        return not any(one["type"] == "ended" for one in self.told)


class MediaServer(Server):
    """With the server API's bearer."""

    async def get_with(self, path: str, token: str) -> tuple[int, dict[str, Any]]:
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.http_port}{path}", headers={"Authorization": f"Bearer {token}"}
        )
        status, body = await self._ask(request)
        return status, json.loads(body)


@dataclass
class Stage:
    here: Hall
    server: MediaServer
    url: str
    clients: list[Client] = field(default_factory=list)
    plane: uvicorn.Server | None = None

    async def enter(self, token: str, **more: Any) -> Client:
        """Raises benchmarks.signalling.Refused with the server's code and reason."""
        client = Client()
        client.signalling = await Signalling.open(self.url, client.told.append)
        self.clients.append(client)
        client.joined = await client.signalling.ask("join", token=token, **more)
        return client

    async def join(self, event: Mapping[str, Any], who: str = "", link: str = "") -> Client:
        """By the control plane's grant, as people do."""
        return await self.enter(await asyncio.to_thread(self.here.token, event, who, link))

    async def count(self, event: Mapping[str, Any]) -> int:
        """How many are in, as the media server says."""
        status, body = await self.server.get_with(f"/v1/rooms/{event['number']}", API_TOKEN)
        return int(body["participants"]) if status == 200 else 0

    async def carry(self) -> int:
        return await asyncio.to_thread(self.here.carry)

    async def stop_control_plane(self) -> None:
        """As if it were gone: its port is closed."""
        assert self.plane is not None
        self.plane.should_exit = True
        await eventually(self._gone, within_s=10, what="the control plane's port is closed")

    async def _gone(self) -> bool:
        assert self.plane is not None
        return (
            not self.plane.started or not self.plane.servers or not any(one.is_serving() for one in self.plane.servers)
        )


@contextlib.asynccontextmanager
async def stage(store: Store, folder: Path, *arguments: str) -> AsyncIterator[Stage]:
    """Grants count by the real time, so the control plane's clock is set to it."""
    key = folder / "key.pem"
    key.write_text(PEM)
    bound = socket.socket()
    bound.bind(("127.0.0.1", 0))
    address = f"http://127.0.0.1:{bound.getsockname()[1]}"
    server = MediaServer(
        *("--tokens-key-file", str(key), "--api-token", API_TOKEN, "--api-requests-burst", "100000"),
        *("--uplink-url", f"{address}/internal/usage", "--uplink-token", UPLINK_TOKEN),
        *("--uplink-file", str(folder / "uplink"), "--uplink-report-s", "0.3"),
        *("--limits-sessions-per-address", "3000"),
        *arguments,
    )
    start = datetime.datetime.fromtimestamp(time.time(), datetime.UTC)
    here = hall(store, page=server.origin, api=f"http://127.0.0.1:{server.http_port}", start=start)
    plane = uvicorn.Server(uvicorn.Config(here.app, log_config=None, access_log=False, lifespan="off"))
    plane.capture_signals = contextlib.nullcontext  # type: ignore[method-assign, assignment]
    serving = asyncio.create_task(plane.serve(sockets=[bound]))
    made = Stage(here, server, f"ws://127.0.0.1:{server.http_port}/ws", plane=plane)
    try:
        async with server:
            try:
                yield made
            finally:
                await asyncio.gather(*(one.signalling.close() for one in made.clients), return_exceptions=True)
    finally:
        plane.should_exit = True
        await serving
        bound.close()
