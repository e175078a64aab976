"""Which addresses this machine has: those that the worker binds."""

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
