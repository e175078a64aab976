"""[I/O] The worker's UDP sockets: one for each local address, so that an answer leaves from where it was asked."""

from __future__ import annotations

import errno
import ipaddress
import socket
from collections.abc import Sequence
from dataclasses import dataclass

# At 1 Gbit/s this is 32 ms of packets. Smaller loses bursts while the kernel thread waits for its core,
# larger only holds memory: what is older than that is late anyway.
BUFFER_BYTES_ASKED = 4 * 1024 * 1024

# Linux's own numbers, the same on x86-64 and aarch64; Python 3.11 does not name them.
SO_SNDBUFFORCE = 32
SO_RCVBUFFORCE = 33
SO_TIMESTAMPNS = 35
SO_RXQ_OVFL = 40
IP_MTU_DISCOVER = 10
IPV6_MTU_DISCOVER = 23
PMTUDISC_DONT = 0

# What to do, by errno of bind().
_ADVICE = {
    errno.EADDRINUSE: "another program has it: stop that one or set another port",
    errno.EADDRNOTAVAIL: "this machine does not have this address (any more): set the addresses to listen on",
    errno.EACCES: "ports below 1024 need a privilege: set a higher port",
}


class SocketUnavailable(OSError):
    """A media socket could not be bound; the text says which and what to do."""


@dataclass(frozen=True, slots=True)
class BoundSocket:
    """A non-blocking UDP socket. The buffer sizes are what the system says it has, its own overhead included."""

    socket: socket.socket
    address: str
    port: int
    receive_buffer_bytes: int
    send_buffer_bytes: int


def open_sockets(addresses: Sequence[str], port: int) -> list[BoundSocket]:
    """One socket for each address, all on `port` (0 = each its own, for tests). All or none.

    Raises SocketUnavailable, and ValueError for no address or one that is not an IP address.
    """
    if not addresses:
        raise ValueError("there is no address to listen on: is every network interface down?")
    opened: list[BoundSocket] = []
    try:
        for address in dict.fromkeys(addresses):
            opened.append(_open(ipaddress.ip_address(address), port))
    except BaseException:
        for bound in opened:
            bound.socket.close()
        raise
    return opened


def granted(bound: Sequence[BoundSocket]) -> dict[str, int]:
    """The smallest buffer that any of the sockets was given, by direction."""
    return {
        "receive": min(one.receive_buffer_bytes for one in bound),
        "send": min(one.send_buffer_bytes for one in bound),
    }


def _open(ip: ipaddress.IPv4Address | ipaddress.IPv6Address, port: int) -> BoundSocket:
    made = socket.socket(socket.AF_INET if ip.version == 4 else socket.AF_INET6, socket.SOCK_DGRAM)
    try:
        made.setblocking(False)
        _set_options(made, ip.version)
        made.bind((str(ip), port))
    except OSError as error:
        made.close()
        where = f"UDP port {port} on {ip}" if ip.version == 4 else f"UDP port {port} on [{ip}]"
        advice = _ADVICE.get(error.errno or 0, "see the system's reason")
        raise SocketUnavailable(error.errno, f"cannot listen on {where}: {error.strerror}; {advice}") from error
    return BoundSocket(
        made,
        str(ip),
        int(made.getsockname()[1]),
        made.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF),
        made.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF),
    )


def _set_options(made: socket.socket, version: int) -> None:
    if version == 4:
        made.setsockopt(socket.IPPROTO_IP, IP_MTU_DISCOVER, PMTUDISC_DONT)
    else:
        made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)  # IPv4 has sockets of its own
        made.setsockopt(socket.IPPROTO_IPV6, IPV6_MTU_DISCOVER, PMTUDISC_DONT)
    made.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)  # receive times are taken by the system, not by our turn
    made.setsockopt(socket.SOL_SOCKET, SO_RXQ_OVFL, 1)  # each datagram tells how many were dropped before it
    _ask_buffer(made, SO_RCVBUFFORCE, socket.SO_RCVBUF)
    _ask_buffer(made, SO_SNDBUFFORCE, socket.SO_SNDBUF)


def _ask_buffer(made: socket.socket, forced: int, usual: int) -> None:
    """As much as is granted: past the system's limit with CAP_NET_ADMIN, else up to it."""
    try:
        made.setsockopt(socket.SOL_SOCKET, forced, BUFFER_BYTES_ASKED)
    except PermissionError:
        made.setsockopt(socket.SOL_SOCKET, usual, BUFFER_BYTES_ASKED)
