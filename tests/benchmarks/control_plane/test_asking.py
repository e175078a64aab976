"""The client that measures: keeps its connection, comes from where it is told, takes every failure for an answer."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from benchmarks.control_plane.asking import Ask, Line

ASK = Ask(name="look", method="POST", path="/look", body={"a": 1}, source="127.0.0.7")


class Server:
    """Answers what it is given, and remembers what it was asked and by whom."""

    def __init__(self) -> None:
        self.port = 0
        self.connections: list[str] = []
        self.requests: list[bytes] = []
        self.answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"
        self.hangs_up = False

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections.append(writer.get_extra_info("peername")[0])
        while head := await self._request(reader):
            self.requests.append(head)
            writer.write(self.answer)
            if self.hangs_up:
                break
        writer.close()

    @staticmethod
    async def _request(reader: asyncio.StreamReader) -> bytes:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
        except asyncio.IncompleteReadError:
            return b""
        return head + await reader.readexactly(len(b'{"a": 1}'))


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    made = Server()
    listening = await asyncio.start_server(made.serve, "127.0.0.1", 0)
    made.port = listening.sockets[0].getsockname()[1]
    async with listening:
        yield made


async def test_one_connection_from_the_address_it_was_told(server: Server) -> None:
    line = Line(server.port, ASK.source)
    for _ in range(3):
        answered = await line.ask(ASK, keep_text=True)
        assert (answered.status, answered.text, answered.good) == (200, "{}", True)
        assert answered.took_ms > 0
    assert server.connections == ["127.0.0.7"]
    assert server.requests[0].startswith(b"POST /look HTTP/1.1\r\n")
    assert server.requests[0].endswith(b'\r\n\r\n{"a": 1}')
    line.close()


async def test_it_comes_again_when_the_server_has_hung_up(server: Server) -> None:
    server.hangs_up = True
    server.answer = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{}"
    line = Line(server.port, ASK.source)
    for _ in range(2):
        assert (await line.ask(ASK)).status == 200
    assert len(server.connections) == 2
    line.close()


async def test_a_refusal_keeps_its_words(server: Server) -> None:
    server.answer = b"HTTP/1.1 429 Too Many Requests\r\nContent-Length: 5\r\n\r\nlater"
    line = Line(server.port, ASK.source)
    answered = await line.ask(ASK)
    assert (answered.status, answered.text, answered.good) == (429, "later", False)
    line.close()


async def test_what_is_no_answer_is_status_0_and_the_line_can_be_used_again(server: Server) -> None:
    line = Line(server.port, ASK.source)
    good, server.answer, server.hangs_up = server.answer, b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf", True
    answered = await line.ask(ASK)
    assert (answered.status, answered.good) == (0, False)
    assert answered.text
    server.answer, server.hangs_up = good, False
    assert (await line.ask(ASK)).status == 200
    line.close()


async def test_nobody_there_is_status_0() -> None:
    answered = await Line(1).ask(ASK)
    assert (answered.status, answered.text) == (0, "ConnectionRefusedError")
