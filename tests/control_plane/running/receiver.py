"""A receiver of webhooks as somebody would write it: a real HTTP server, which can be told to misbehave."""

from __future__ import annotations

import contextlib
import json
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

Behaviour = Callable[[socket.socket, bytes], None]


@dataclass
class Receiver:
    """`port` on loopback. `requests`: (headers in small letters, body) of what came whole; `behave` answers."""

    port: int
    requests: list[tuple[dict[str, str], bytes]] = field(default_factory=list)
    behave: list[Behaviour] = field(default_factory=list)
    done: threading.Event = field(default_factory=threading.Event)

    @property
    def events(self) -> list[dict[str, Any]]:
        return [json.loads(body) for _, body in self.requests]

    def answer(self, line: socket.socket) -> None:
        """Read a request; answer as told, by 204 when nothing more was told."""
        head, _, body = _until(line, b"\r\n\r\n")
        lines = head.decode().split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (each.partition(":") for each in lines[1:])}
        while len(body) < int(headers["content-length"]):
            body += line.recv(65_536)
        self.requests.append((headers, body))
        behave = self.behave.pop(0) if self.behave else says("204 No Content")
        behave(line, body)


def says(status: str, *headers: str, body: bytes = b"") -> Behaviour:
    """Answers like this at once."""

    def behave(line: socket.socket, request: bytes) -> None:
        head = "\r\n".join([f"HTTP/1.1 {status}", *headers, f"content-length: {len(body)}", "", ""])
        line.sendall(head.encode() + body)

    return behave


def raw(*pieces: bytes) -> Behaviour:
    """Sends these bytes as they are."""

    def behave(line: socket.socket, request: bytes) -> None:
        for piece in pieces:
            line.sendall(piece)

    return behave


def never(receiver: Receiver) -> Behaviour:
    """Does not answer until the test is over."""

    def behave(line: socket.socket, request: bytes) -> None:
        receiver.done.wait(60)

    return behave


def trickles(receiver: Receiver) -> Behaviour:
    """Sends one byte of an endless header a moment, so that no single wait is long."""

    def behave(line: socket.socket, request: bytes) -> None:
        with contextlib.suppress(OSError):
            line.sendall(b"HTTP/1.1 200 OK\r\nx-long: ")
            while not receiver.done.wait(0.05):
                line.sendall(b"x")

    return behave


@contextlib.contextmanager
def receiver(certificate: Path | None = None) -> Iterator[Receiver]:
    """Runs one; with a certificate (and its key in the same file) over TLS."""
    listening = socket.create_server(("127.0.0.1", 0))
    found = Receiver(listening.getsockname()[1])
    context = None
    if certificate is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)

    def one(line: socket.socket) -> None:
        with contextlib.suppress(OSError), line:
            served = context.wrap_socket(line, server_side=True) if context else line
            with served:
                found.answer(served)

    def accept() -> None:
        with contextlib.suppress(OSError):
            while True:
                line, _ = listening.accept()
                threading.Thread(target=one, args=(line,), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    try:
        yield found
    finally:
        found.done.set()
        listening.shutdown(socket.SHUT_RDWR)
        listening.close()


def _until(line: socket.socket, mark: bytes) -> tuple[bytes, bytes, bytes]:
    came = b""
    while mark not in came:
        more = line.recv(65_536)
        if not more:
            raise ConnectionError
        came += more
    return came.partition(mark)
