"""`struct sockaddr_in` and `sockaddr_in6` of Linux, as the kernel thread keeps paths: 28 bytes at most."""

from __future__ import annotations

import ipaddress
import socket
import sys


class SocketAddressError(ValueError):
    """The bytes are no IPv4 or IPv6 socket address."""


def pack(address: str, port: int) -> bytes:
    """16 bytes for IPv4, 28 for IPv6; flow label and scope are 0. Raises ValueError for no address."""
    ip = ipaddress.ip_address(address)
    family = socket.AF_INET if ip.version == 4 else socket.AF_INET6
    head = int(family).to_bytes(2, sys.byteorder) + port.to_bytes(2, "big")
    if ip.version == 4:
        return head + ip.packed + bytes(8)
    return head + bytes(4) + ip.packed + bytes(4)


def unpack(data: bytes) -> tuple[str, int]:
    """The address and port; raises SocketAddressError."""
    family = int.from_bytes(data[:2], sys.byteorder)
    port = int.from_bytes(data[2:4], "big")
    if family == socket.AF_INET and len(data) >= 8:
        return str(ipaddress.IPv4Address(data[4:8])), port
    if family == socket.AF_INET6 and len(data) >= 24:
        return str(ipaddress.IPv6Address(data[8:24])), port
    raise SocketAddressError(f"{len(data)} bytes of family {family} are no socket address")
