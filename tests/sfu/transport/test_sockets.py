"""sfu.transport.sockets: what is asked of the system, and what is said when it refuses."""

from __future__ import annotations

import errno
import select
import socket
import struct

import pytest

from sfu.interfaces import local_addresses
from sfu.transport import sockets
from sfu.transport.sockets import SocketUnavailable, open_sockets


def test_each_address_has_a_non_blocking_socket_of_its_own() -> None:
    opened = open_sockets(["127.0.0.1", "127.0.0.2", "127.0.0.1"], 0)
    try:
        assert [bound.address for bound in opened] == ["127.0.0.1", "127.0.0.2"]
        for bound in opened:
            assert bound.socket.getsockname() == (bound.address, bound.port)
            assert bound.port > 0
            assert min(bound.receive_buffer_bytes, bound.send_buffer_bytes) > 100_000
            assert bound.socket.getsockopt(socket.IPPROTO_IP, sockets.IP_MTU_DISCOVER) == sockets.PMTUDISC_DONT
            with pytest.raises(BlockingIOError):
                bound.socket.recv(1)
    finally:
        for bound in opened:
            bound.socket.close()


def test_a_datagram_comes_with_the_time_the_system_took_it() -> None:
    (bound,) = open_sockets(["127.0.0.1"], 0)
    with bound.socket, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.sendto(b"x", (bound.address, bound.port))
        assert select.select([bound.socket], [], [], 5)[0]
        data, extra, _, _ = bound.socket.recvmsg(10, 100)
        assert data == b"x"
        seconds, nanoseconds = struct.unpack("@qq", extra[0][2])
        assert seconds > 1_600_000_000
        assert 0 <= nanoseconds < 1_000_000_000


def test_an_ipv6_socket_takes_no_ipv4() -> None:
    if "::1" not in local_addresses():
        with pytest.raises(SocketUnavailable):
            open_sockets(["::1"], 0)
        return
    (bound,) = open_sockets(["::1"], 0)
    with bound.socket:
        assert bound.socket.family == socket.AF_INET6
        assert bound.socket.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY) == 1


def test_a_taken_port_is_named_with_what_to_do_and_nothing_stays_open() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.bind(("127.0.0.2", 0))
        port = other.getsockname()[1]
        with pytest.raises(SocketUnavailable, match=rf"UDP port {port} on 127.0.0.2: .*another port") as caught:
            open_sockets(["127.0.0.1", "127.0.0.2"], port)
    # both are free again, closed by us: `caught` still holds the frames and what was in them
    for bound in open_sockets(["127.0.0.1", "127.0.0.2"], port):
        bound.socket.close()
    assert caught.value.errno == errno.EADDRINUSE


def test_an_address_of_another_machine_and_no_address_are_refused_in_words() -> None:
    with pytest.raises(SocketUnavailable, match=r"does not have this address"):
        open_sockets(["192.0.2.77"], 0)
    with pytest.raises(ValueError, match="no address to listen on"):
        open_sockets([], 0)
