"""Which addresses this machine has, and which of them are told to peers as host candidates. No DNS."""

from __future__ import annotations

import ctypes
import ipaddress
import os
import socket
from collections.abc import Iterator, Sequence

IFF_UP = 1  # <net/if.h>


class _SocketAddress(ctypes.Structure):
    """`struct sockaddr_in6`, long enough for IPv4 as well: there the address stands where `flow` is here."""

    _fields_ = (
        ("family", ctypes.c_ushort),
        ("port", ctypes.c_ushort),
        ("flow", ctypes.c_ubyte * 4),
        ("address", ctypes.c_ubyte * 16),
    )


class _Interface(ctypes.Structure):
    """The head of `struct ifaddrs` (getifaddrs(3)), as far as it is read here."""


_Interface._fields_ = (
    ("next", ctypes.POINTER(_Interface)),
    ("name", ctypes.c_char_p),
    ("flags", ctypes.c_uint),
    ("address", ctypes.POINTER(_SocketAddress)),
)

_libc = ctypes.CDLL(None, use_errno=True)
_libc.getifaddrs.argtypes = (ctypes.POINTER(ctypes.POINTER(_Interface)),)
_libc.freeifaddrs.argtypes = (ctypes.POINTER(_Interface),)
_libc.freeifaddrs.restype = None

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


def _interface_addresses() -> Iterator[Address]:
    """Every IP address of every interface that is up. Raises OSError."""
    first = ctypes.POINTER(_Interface)()
    if _libc.getifaddrs(ctypes.byref(first)) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"getifaddrs: {os.strerror(number)}")
    try:
        entry = first
        while entry:
            interface = entry.contents
            if interface.flags & IFF_UP and interface.address:
                found = interface.address.contents
                if found.family == socket.AF_INET:
                    yield ipaddress.IPv4Address(bytes(found.flow))
                elif found.family == socket.AF_INET6:
                    yield ipaddress.IPv6Address(bytes(found.address))
            entry = interface.next
    finally:
        _libc.freeifaddrs(first)


def order(found: Sequence[Address]) -> list[str]:
    """Each usable address once: IPv4 before IPv6, loopback last. Link-local IPv6 is left out.

    A link-local address means nothing without the name of an interface, which a candidate cannot carry.
    """
    usable = [ip for ip in dict.fromkeys(found) if not (ip.version == 6 and ip.is_link_local)]
    return [str(ip) for ip in sorted(usable, key=lambda ip: (ip.is_loopback, ip.version))]


def local_addresses() -> list[str]:
    """Addresses to bind: those of all interfaces that are up, loopback last. Raises OSError."""
    return order(list(_interface_addresses()))


def announced(addresses: Sequence[tuple[str, int]], configured: Sequence[str]) -> list[tuple[str, int]]:
    """The host candidates, best first.

    `addresses` are the bound (ip, port) pairs. `configured` is what the operator says that peers reach
    us by (behind NAT, say): "ip", which takes the port of the first socket of its family, or "ip:port" or
    "[ip]:port". When it says nothing, every bound address is told, loopback last; a wildcard is never told.
    Raises ValueError, with words for the operator, for an entry that is not an IP address.
    """
    if configured:
        return list(dict.fromkeys(_configured(entry, addresses) for entry in configured))
    told = [(ipaddress.ip_address(ip), port) for ip, port in dict.fromkeys(addresses)]
    told = [(ip, port) for ip, port in told if not ip.is_unspecified]
    return [(str(ip), port) for ip, port in sorted(told, key=lambda pair: pair[0].is_loopback)]


def _configured(entry: str, addresses: Sequence[tuple[str, int]]) -> tuple[str, int]:
    ip_text, port_text = entry, ""
    if entry.startswith("["):
        ip_text, _, port_text = entry[1:].partition("]:")
        ip_text = ip_text.removesuffix("]")
    elif entry.count(":") == 1:
        ip_text, _, port_text = entry.partition(":")
    try:
        ip = ipaddress.ip_address(ip_text)
        port = int(port_text) if port_text else _port_for(ip, addresses)
    except ValueError as error:
        raise ValueError(
            f"announced address {entry!r}: write an IP address, or ip:port; names are not looked up"
        ) from error
    if not 0 < port < 65536:
        raise ValueError(f"announced address {entry!r}: the port is not from 1 to 65535")
    return str(ip), port


def _port_for(ip: Address, addresses: Sequence[tuple[str, int]]) -> int:
    """The port of the first socket of the same family, else of the first socket. Raises ValueError if none is bound."""
    ports = [port for bound, port in addresses if ipaddress.ip_address(bound).version == ip.version]
    ports += [port for _, port in addresses]
    if not ports:
        raise ValueError("no socket is bound")
    return ports[0]
