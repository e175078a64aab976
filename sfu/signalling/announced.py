"""Which candidates an answer tells. Pure."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable

from sfu.config_sources import address_and_port
from sfu.signalling.negotiation import Candidate


def candidates(bound: Iterable[tuple[str, int]], announced: tuple[str, ...], reached: str) -> list[Candidate]:
    """What a client is told, best first: what is configured, else what is bound; loopback last.

    `announced` are entries of `media.announced`: without a port of their own they take the first socket's.

    `reached` is the host of the page's address; where it is an IP address it is told as well (a container's or a
    router's outer address, which the server cannot find by itself).
    """
    bound = list(bound)
    addresses = bound
    if bound and announced:
        told = [address_and_port(entry) for entry in announced]
        addresses = [(address, port or bound[0][1]) for address, port in told]
    if bound and _is_address(reached):
        addresses = [*addresses, (reached, bound[0][1])]
        if not any(ipaddress.ip_address(address) == ipaddress.ip_address("127.0.0.1") for address, _ in addresses):
            addresses += [pair for pair in bound if pair[0] == "127.0.0.1"]
    ordered = sorted(dict.fromkeys(addresses), key=lambda pair: ipaddress.ip_address(pair[0]).is_loopback)
    return [Candidate(address, port) for address, port in ordered]


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True
