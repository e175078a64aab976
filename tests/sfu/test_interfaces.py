"""sfu.interfaces: which addresses are there to bind."""

from __future__ import annotations

import ipaddress
import socket

from sfu.interfaces import local_addresses, order


def test_every_local_address_can_be_bound_and_loopback_is_last() -> None:
    found = local_addresses()
    assert "127.0.0.1" in found
    assert len(set(found)) == len(found)
    loopback = [ipaddress.ip_address(ip).is_loopback for ip in found]
    assert loopback == sorted(loopback)
    for ip in found:
        family = socket.AF_INET6 if ":" in ip else socket.AF_INET
        with socket.socket(family, socket.SOCK_DGRAM) as bound:
            bound.bind((ip, 0))
            assert bound.getsockname()[0] == ip


def test_link_local_ipv6_is_left_out_and_ipv4_stands_first() -> None:
    given = ["::1", "127.0.0.1", "fe80::1", "2001:db8::1", "192.0.2.1", "192.0.2.1"]
    assert order([ipaddress.ip_address(ip) for ip in given]) == ["192.0.2.1", "2001:db8::1", "127.0.0.1", "::1"]
