"""[I/O] stentor.v1 from the client's side: a message and its answer; what nobody asked for is handed on."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
from collections.abc import Callable
from typing import Any, Self

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

ANSWER_WITHIN_S = 20.0


class Refused(Exception):
    """The server answered with an error; `code` is its code."""

    def __init__(self, code: str, reason: str) -> None:
        super().__init__(f"{code}: {reason}")
        self.code = code


class Signalling:
    """One WebSocket. `told(message)` gets every message that is no answer."""

    def __init__(self, socket: ClientConnection, told: Callable[[dict[str, Any]], None]) -> None:
        self._socket = socket
        self._told = told
        self._ids = itertools.count(1)
        self._waiting: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._reader = asyncio.create_task(self._read())

    @classmethod
    async def open(cls, url: str, told: Callable[[dict[str, Any]], None], *, source: str = "") -> Self:
        """`source`: the address that it comes from, if not the system's choice. Raises OSError or what websockets
        raises."""
        wishes: dict[str, Any] = {"local_addr": (source, 0)} if source else {}
        socket = await connect(
            url, subprotocols=[Subprotocol("stentor.v1")], proxy=None, max_size=1 << 20, compression=None, **wishes
        )
        return cls(socket, told)

    async def ask(self, kind: str, **fields: Any) -> dict[str, Any]:
        """A message and its answer. Raises Refused or TimeoutError."""
        number = next(self._ids)
        waiting = self._waiting[number] = asyncio.get_running_loop().create_future()
        try:
            await self._socket.send(json.dumps({"type": kind, "id": number, **fields}))
            async with asyncio.timeout(ANSWER_WITHIN_S):
                answer: dict[str, Any] = await waiting
        finally:
            del self._waiting[number]
        if answer["type"] == "error":
            raise Refused(answer["code"], answer["reason"])
        return answer

    async def close(self) -> None:
        """A second call is harmless."""
        await self._socket.close()
        self._reader.cancel()
        await asyncio.gather(self._reader, return_exceptions=True)

    async def _read(self) -> None:
        with contextlib.suppress(ConnectionClosed):
            async for text in self._socket:
                message = json.loads(text)
                waiting = self._waiting.get(message.get("request"))
                if waiting is not None and not waiting.done():
                    waiting.set_result(message)
                else:
                    self._told(message)
