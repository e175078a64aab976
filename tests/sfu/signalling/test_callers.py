"""Origin and Host of a request."""

from __future__ import annotations

import pytest
from starlette.datastructures import Headers

from sfu.signalling.callers import host_only, origin_allowed


@pytest.mark.parametrize(
    ("headers", "allowed"),
    [
        ({"host": "a.example"}, True),
        ({"host": "a.example", "origin": "https://a.example"}, True),
        ({"host": "a.example:8080", "origin": "https://a.example"}, False),
        ({"host": "a.example", "origin": "null"}, False),
        ({"origin": "https://"}, False),
        ({"host": "", "origin": "null"}, False),
        ({"host": "[", "origin": "http://["}, False),
    ],
)
def test_an_origin_must_be_our_own_host_and_port(headers: dict[str, str], allowed: bool) -> None:
    assert origin_allowed(Headers(headers), ()) is allowed


def test_a_configured_origin_is_allowed_and_its_neighbour_is_not() -> None:
    headers = Headers({"host": "a.example", "origin": "https://player.example"})
    assert origin_allowed(headers, ("https://player.example",))
    assert not origin_allowed(headers, ("https://player.example:8443", "http://player.example"))


def test_a_host_is_read_without_port_and_brackets() -> None:
    assert [host_only(text) for text in ("a.example:80", "[2001:db8::1]:80", "192.0.2.1", "[", "")] == [
        "a.example",
        "2001:db8::1",
        "192.0.2.1",
        "",
        "",
    ]
