"""Which candidates are told, and in which order."""

from __future__ import annotations

from sfu.signalling.announced import candidates

BOUND = [("127.0.0.1", 7000), ("192.0.2.1", 7000), ("::1", 7000), ("2001:db8::1", 7000)]


def told(announced: tuple[str, ...] = (), reached: str = "") -> list[str]:
    return [candidate.address for candidate in candidates(BOUND, announced, reached)]


def test_loopback_comes_last() -> None:
    assert told() == ["192.0.2.1", "2001:db8::1", "127.0.0.1", "::1"]


def test_what_is_configured_takes_the_place_of_what_is_bound() -> None:
    assert told(announced=("203.0.113.9",)) == ["203.0.113.9"]


def test_the_address_by_which_the_page_was_reached_is_told_too_and_loopback_stays_last() -> None:
    assert told(reached="198.51.100.4") == ["192.0.2.1", "2001:db8::1", "198.51.100.4", "127.0.0.1", "::1"]
    assert told(announced=("203.0.113.9",), reached="198.51.100.4") == ["203.0.113.9", "198.51.100.4", "127.0.0.1"]


def test_a_name_is_not_an_address_and_one_told_twice_stands_once() -> None:
    assert told(reached="localhost") == told(reached="192.0.2.1") == told()


def test_without_a_bound_socket_nothing_is_told() -> None:
    assert candidates([], ("203.0.113.9",), "198.51.100.4") == []


def test_a_configured_address_may_have_a_port_of_its_own_as_behind_a_router_that_maps_ports() -> None:
    announced = ("203.0.113.6:9000", "[2001:db8::6]:9001", "[2001:db8::7]", "203.0.113.7")
    assert [(one.address, one.port) for one in candidates(BOUND, announced, "")] == [
        ("203.0.113.6", 9000),
        ("2001:db8::6", 9001),
        ("2001:db8::7", 7000),
        ("203.0.113.7", 7000),
    ]
