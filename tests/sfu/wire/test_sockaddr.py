"""sfu.wire.sockaddr, judged by the C library's own socket addresses."""

from __future__ import annotations

import ctypes
import ipaddress
import socket
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sfu.wire import sockaddr

few = settings(max_examples=100, deadline=None)
addresses = st.ip_addresses().map(str)
ports = st.integers(0, 65535)
NUMERIC_ONLY = 0x0004 | 0x0400  # AI_NUMERICHOST, AI_NUMERICSERV of netdb.h: nothing is looked up


class AddrInfo(ctypes.Structure):
    """`struct addrinfo` of netdb.h."""


AddrInfo._fields_ = [
    ("flags", ctypes.c_int), ("family", ctypes.c_int), ("type", ctypes.c_int), ("protocol", ctypes.c_int),
    ("length", ctypes.c_uint32), ("address", ctypes.c_void_p), ("name", ctypes.c_char_p),
    ("next", ctypes.POINTER(AddrInfo)),
]  # fmt: skip


def of_the_c_library(address: str, port: int) -> bytes:
    """The socket address that getaddrinfo makes of numbers."""
    libc = ctypes.CDLL(None)
    hints, found = AddrInfo(flags=NUMERIC_ONLY, type=int(socket.SOCK_DGRAM)), ctypes.POINTER(AddrInfo)()
    assert libc.getaddrinfo(address.encode(), str(port).encode(), ctypes.byref(hints), ctypes.byref(found)) == 0
    try:
        return ctypes.string_at(found.contents.address, found.contents.length)
    finally:
        libc.freeaddrinfo(found)


@given(addresses, ports)
@few
def test_an_address_is_packed_as_the_c_library_does(address: str, port: int) -> None:
    assert sockaddr.pack(address, port) == of_the_c_library(address, port)


@given(addresses, ports)
@few
def test_an_address_of_the_c_library_is_read(address: str, port: int) -> None:
    assert sockaddr.unpack(of_the_c_library(address, port)) == (address, port)


@given(addresses, ports, st.binary(max_size=12))
@few
def test_a_packed_address_comes_back_with_anything_behind_it(address: str, port: int, behind: bytes) -> None:
    assert sockaddr.unpack(sockaddr.pack(address, port) + behind) == (address, port)


@given(st.binary(max_size=32) | st.sampled_from([socket.AF_INET, socket.AF_INET6]).flatmap(
    lambda family: st.binary(max_size=28).map(lambda rest: int(family).to_bytes(2, sys.byteorder) + rest)
))  # fmt: skip
@few
def test_any_bytes_are_an_address_or_an_error_of_our_own(data: bytes) -> None:
    try:
        address, port = sockaddr.unpack(data)
    except sockaddr.SocketAddressError:
        return
    assert ipaddress.ip_address(address).packed in data
    assert data[2:4] == port.to_bytes(2, "big")


@pytest.mark.parametrize(("address", "least"), [("127.0.0.1", 8), ("::1", 24)])
def test_a_socket_address_without_its_whole_address_is_refused(address: str, least: int) -> None:
    packed = sockaddr.pack(address, 9)
    assert sockaddr.unpack(packed[:least]) == (address, 9)
    for size in range(least):
        with pytest.raises(sockaddr.SocketAddressError):
            sockaddr.unpack(packed[:size])


@pytest.mark.parametrize("family", [0, 1, 17])
def test_another_family_is_refused(family: int) -> None:
    with pytest.raises(sockaddr.SocketAddressError, match=f"family {family} "):
        sockaddr.unpack(family.to_bytes(2, sys.byteorder) + bytes(26))


@pytest.mark.parametrize("name", ["", "localhost", "127.0.0.1:80", "1.2.3", "::1::"])
def test_a_name_is_no_address(name: str) -> None:
    with pytest.raises(ValueError, match="does not appear to be an IPv4 or IPv6 address"):
        sockaddr.pack(name, 9)
