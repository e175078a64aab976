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

    `back_after_s` is the time from the first packet on the new outer port to the first media that came back to it,
    `back_after_check_s` that from the first connectivity check on it; both as the client sees it. `delay_s` is that of
    each direction.
    """

    def __init__(self, server: Address, delay_s: float = 0.0) -> None:
        self.port = free_port(socket.SOCK_DGRAM)
        self.rebinds = 0
        self.back_after_s: float | None = None
        self.back_after_check_s: float | None = None
        self._delay_s = delay_s
        self._checked_at: float | None = None
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
        self.back_after_s = self.back_after_check_s = self._went_at = self._checked_at = None
        self.rebinds += 1
        await self._bind()
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
        loop = asyncio.get_running_loop()
        if self._went_at is None:
            self._went_at = loop.time()
        # RFC 7983: 0 to 3 is STUN.
        if self._checked_at is None and packet[0] <= 3:
            self._checked_at = loop.time()
        loop.call_later(self._delay_s, self._send_out, self._outer, packet)

    def _send_out(self, outer: asyncio.DatagramTransport, packet: bytes) -> None:
        if not outer.is_closing():
            outer.sendto(packet)

    def _from_server(self, packet: bytes, address: Address) -> None:
        asyncio.get_running_loop().call_later(self._delay_s, self._deliver, packet, self.rebinds)

    def _deliver(self, packet: bytes, rebinds: int) -> None:
        now = asyncio.get_running_loop().time()
        # RFC 7983: 128 to 191 is RTP or RTCP; answers to checks are no media. What came to the old port does not count.
        media = rebinds == self.rebinds and 128 <= packet[0] <= 191
        if media and self.back_after_s is None and self._went_at is not None and self._checked_at is not None:
            self.back_after_s, self.back_after_check_s = now - self._went_at, now - self._checked_at
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
async def udp_relay(server: Address, delay_s: float = 0.0) -> AsyncIterator[UdpRelay]:
    relay = UdpRelay(server, delay_s)
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
