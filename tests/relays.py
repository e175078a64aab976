"""Relays of loopback between a client and the server: a router that changes its mind, a connection that is cut."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Callable

from tests.servers import free_port

Address = tuple[str, int]


class UdpRelay:
    """A router with one inner client: `port` is what the client sends to, `rebind` gives it a new outer port.

    `back_after_s` is the time from the first packet on the new outer port to the first media that came back to it.
    """

    def __init__(self, server: Address) -> None:
        self.port = free_port(socket.SOCK_DGRAM)
        self.rebinds = 0
        self.back_after_s: float | None = None
        self._server = server
        self._client: Address | None = None
        self._inner: asyncio.DatagramTransport | None = None
        self._outer: asyncio.DatagramTransport | None = None
        self._went_at: float | None = None

    async def start(self) -> None:
        loop = asyncio.get_running_loop()
        self._inner, _ = await loop.create_datagram_endpoint(
            lambda: _Receiver(self._from_client), local_addr=("127.0.0.1", self.port)
        )
        await self._bind()

    async def rebind(self) -> None:
        """The old outer port is closed: what the server still sends there is lost."""
        old = self._outer
        self.back_after_s = self._went_at = None
        await self._bind()
        self.rebinds += 1
        if old is not None:
            old.close()

    async def _bind(self) -> None:
        loop = asyncio.get_running_loop()
        self._outer, _ = await loop.create_datagram_endpoint(
            lambda: _Receiver(self._from_server), remote_addr=self._server
        )

    def _from_client(self, packet: bytes, address: Address) -> None:
        self._client = address
        if self._outer is None:
            return
        if self._went_at is None:
            self._went_at = asyncio.get_running_loop().time()
        self._outer.sendto(packet)

    def _from_server(self, packet: bytes, address: Address) -> None:
        # RFC 7983: 128 to 191 is RTP or RTCP; answers to checks are no media.
        if self.back_after_s is None and self._went_at is not None and 128 <= packet[0] <= 191:
            self.back_after_s = asyncio.get_running_loop().time() - self._went_at
        if self._inner is not None and self._client is not None:
            self._inner.sendto(packet, self._client)

    def stop(self) -> None:
        for one in (self._inner, self._outer):
            if one is not None:
                one.close()


class _Receiver(asyncio.DatagramProtocol):
    def __init__(self, receive: Callable[[bytes, Address], None]) -> None:
        self._receive = receive

    def datagram_received(self, data: bytes, addr: Address) -> None:
        self._receive(data, addr)


class TcpForwarder:
    """Forwards a port of loopback to the server's; `cut` ends every connection, and new ones are taken again."""

    def __init__(self, server: Address) -> None:
        self.port = 0
        self.cuts = 0
        self._server = server
        self._listening: asyncio.Server | None = None
        self._open: set[asyncio.StreamWriter] = set()

    async def start(self, host: str = "127.0.0.1", port: int = 0) -> None:
        self._listening = await asyncio.start_server(self._serve, host, port)
        self.port = self._listening.sockets[0].getsockname()[1]

    def cut(self) -> None:
        """As a router does that forgets: both sides see a reset."""
        self.cuts += 1
        for writer in list(self._open):
            writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            far_reader, far_writer = await asyncio.open_connection(*self._server)
        except OSError:
            writer.transport.abort()
            return
        self._open |= {writer, far_writer}
        try:
            await asyncio.gather(_pump(reader, far_writer), _pump(far_reader, writer))
        finally:
            self._open -= {writer, far_writer}
            writer.close()
            far_writer.close()

    def stop(self) -> None:
        if self._listening is not None:
            self._listening.close()
        self.cut()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(ConnectionError):
        while piece := await reader.read(65536):
            writer.write(piece)
            await writer.drain()
    writer.close()


@contextlib.asynccontextmanager
async def udp_relay(server: Address) -> AsyncIterator[UdpRelay]:
    relay = UdpRelay(server)
    await relay.start()
    try:
        yield relay
    finally:
        relay.stop()


@contextlib.asynccontextmanager
async def tcp_forwarder(server: Address) -> AsyncIterator[TcpForwarder]:
    forwarder = TcpForwarder(server)
    await forwarder.start()
    try:
        yield forwarder
    finally:
        forwarder.stop()
