"""[I/O] HTTP/1.1 over one kept connection, from a source address of one's choice: as thin as a client can be.

Whatever the client costs is counted as the server's, and makes a busy run look better beside an idle one. So there
is no pool, no redirect, no cookie jar: a request, its answer, and how long it took.
"""

from __future__ import annotations

import asyncio
import json
import time
from typing import Any

import h11
import msgspec

ANSWER_WITHIN_S = 60.0
READ_BYTES = 65536


class Ask(msgspec.Struct, frozen=True, kw_only=True):
    """One request. `name` is what its answers are counted by; `source`: an address of 127.0.0.0/8."""

    name: str
    method: str
    path: str
    headers: dict[str, str] = {}
    body: Any = None
    source: str = "127.0.0.1"


class Answered(msgspec.Struct, frozen=True, kw_only=True):
    """What came of an Ask. `status` 0: no answer, and `text` says why. `at_s`: its end, on time.monotonic."""

    name: str
    status: int
    took_ms: float
    at_s: float
    text: str = ""

    @property
    def good(self) -> bool:
        return 200 <= self.status < 400


class Line:
    """One connection. Opened by the first `ask`, and again when the server has let go of it."""

    def __init__(self, port: int, source: str = "127.0.0.1") -> None:
        self._port, self._source = port, source
        self._protocol = h11.Connection(h11.CLIENT)
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None

    async def ask(self, ask: Ask, *, keep_text: bool = False) -> Answered:
        """Never raises for what the network or the server does: that is an answer with status 0."""
        began = time.monotonic()
        try:
            async with asyncio.timeout(ANSWER_WITHIN_S):
                status, body = await self._exchange(ask)
        except (OSError, TimeoutError, h11.RemoteProtocolError) as error:
            self.close()
            status, body, keep_text = 0, type(error).__name__.encode(), True
        end = time.monotonic()
        text = body.decode(errors="replace") if keep_text or not 200 <= status < 400 else ""
        return Answered(name=ask.name, status=status, took_ms=1000 * (end - began), at_s=end, text=text)

    def close(self) -> None:
        if self._writer is not None:
            self._writer.close()
        self._reader = self._writer = None

    async def _exchange(self, ask: Ask) -> tuple[int, bytes]:
        if self._reader is None or self._reader.at_eof() or self._protocol.our_state is not h11.IDLE:
            self.close()
            self._protocol = h11.Connection(h11.CLIENT)
            self._reader, self._writer = await asyncio.open_connection(
                "127.0.0.1", self._port, local_addr=(self._source, 0)
            )
        reader, writer = self._reader, self._writer
        if writer is None:
            raise ConnectionError
        body = b"" if ask.body is None else json.dumps(ask.body).encode()
        headers = {"Host": f"127.0.0.1:{self._port}", "Content-Length": str(len(body)), **ask.headers}
        if body:
            headers["Content-Type"] = "application/json"
        send = self._protocol.send
        request = h11.Request(method=ask.method, target=ask.path, headers=list(headers.items()))
        writer.write((send(request) or b"") + (send(h11.Data(body)) or b"") + (send(h11.EndOfMessage()) or b""))
        return await self._answer(reader)

    async def _answer(self, reader: asyncio.StreamReader) -> tuple[int, bytes]:
        status, pieces = 0, []
        while True:
            event = self._protocol.next_event()
            if event is h11.NEED_DATA:
                self._protocol.receive_data(await reader.read(READ_BYTES))
            elif isinstance(event, h11.Response):
                status = event.status_code
            elif isinstance(event, h11.Data):
                pieces.append(bytes(event.data))
            elif isinstance(event, h11.EndOfMessage):
                break
            elif isinstance(event, h11.ConnectionClosed):
                raise ConnectionError
        if self._protocol.our_state is h11.DONE and self._protocol.their_state is h11.DONE:
            self._protocol.start_next_cycle()
        return status, b"".join(pieces)
