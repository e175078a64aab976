"""Which addresses a stranger may have us call: public ones (no SSRF into our own network). Pure."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from urllib.parse import urlsplit

from control_plane.errors import Invalid

URL_MAX = 2000
_Address = ipaddress.IPv4Address | ipaddress.IPv6Address
# IPv6 that carries an IPv4 address inside and may be turned into it on the way: NAT64, 6to4, Teredo; and what is old.
_TUNNELS = [
    ipaddress.ip_network(net)
    for net in ("64:ff9b::/96", "64:ff9b:1::/48", "2002::/16", "2001::/32", "fec0::/10", "::/96", "192.88.99.0/24")
]


@dataclass(frozen=True)
class Target:
    """Where to connect and what to ask for."""

    scheme: str
    host: str
    port: int
    path: str

    @property
    def authority(self) -> str:
        """The value of the Host header."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == {"https": 443, "http": 80}[self.scheme] else f"{host}:{self.port}"


def parse(url: str, *, private: bool = False) -> Target:
    """Take an endpoint's URL apart. Raises Invalid (field "url"): https only, no user, no fragment, a usual port, and
    an address only if it is public. `private`, a setting for development, allows plain http, any port and any
    address."""
    if len(url) > URL_MAX or not url.isascii() or any(ord(sign) <= 32 or sign in '\\"<>^`{|}' for sign in url):
        raise _bad("an address of at most 2000 plain characters, without spaces")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise _bad("this is no address") from None
    if parts.scheme not in (("https", "http") if private else ("https",)):
        raise _bad("the address begins with https://")
    if not parts.hostname or "%" in parts.netloc:
        raise _bad("the address needs a host")
    if parts.username is not None or parts.password is not None or parts.fragment:
        raise _bad("no user, password or fragment in the address")
    port = port if port is not None else (443 if parts.scheme == "https" else 80)
    if not private and port not in (443, 8443) and port < 1024:
        raise _bad("port 443, 8443 or one above 1023")
    try:
        plain: _Address | None = ipaddress.ip_address(parts.hostname)
    except ValueError:
        plain = None
    if plain is not None and not private and not public(plain):
        raise _bad("the address is not a public one")
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return Target(parts.scheme, parts.hostname, port, path)


def public(address: _Address) -> bool:
    """Is this reachable by everybody, so that calling it opens nothing of ours?"""
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            return public(address.ipv4_mapped)
        if address.scope_id is not None:
            return False
    if any(address in net for net in _TUNNELS if net.version == address.version):
        return False
    local = address.is_private or address.is_loopback or address.is_link_local
    nowhere = address.is_multicast or address.is_reserved or address.is_unspecified
    return address.is_global and not local and not nowhere


def _bad(reason: str) -> Invalid:
    return Invalid("bad_url", reason, field="url")
