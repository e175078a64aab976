"""sfu.transport.candidates: which addresses are bound and which are told."""

from __future__ import annotations

import ipaddress
import socket

import pytest

from sfu.transport.candidates import announced, local_addresses, order


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


def test_without_configuration_every_bound_address_is_told_loopback_last_and_no_wildcard() -> None:
    bound = [("127.0.0.1", 7000), ("0.0.0.0", 7000), ("192.0.2.1", 7000), ("::1", 7000), ("2001:db8::1", 7000)]
    assert announced(bound, ()) == [
        ("192.0.2.1", 7000),
        ("2001:db8::1", 7000),
        ("127.0.0.1", 7000),
        ("::1", 7000),
    ]


def test_configured_addresses_are_told_alone_with_the_port_of_their_family() -> None:
    bound = [("192.0.2.1", 7000), ("2001:db8::1", 7001)]
    configured = ("203.0.113.5", "203.0.113.6:9000", "2001:db8::5", "[2001:db8::6]:9001", "[2001:db8::7]")
    assert announced(bound, configured) == [
        ("203.0.113.5", 7000),
        ("203.0.113.6", 9000),
        ("2001:db8::5", 7001),
        ("2001:db8::6", 9001),
        ("2001:db8::7", 7001),
    ]
    assert announced([("2001:db8::1", 7001)], ("203.0.113.5",)) == [("203.0.113.5", 7001)]


@pytest.mark.parametrize("entry", ["media.example.org", "203.0.113.5:http", "203.0.113.5:0", "203.0.113.5:70000", ""])
def test_what_is_no_address_is_refused_with_the_entry_named(entry: str) -> None:
    with pytest.raises(ValueError, match="announced address '" + entry):
        announced([("192.0.2.1", 7000)], (entry,))
