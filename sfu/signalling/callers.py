"""Who calls by HTTP, and by which name he calls us: the Origin and Host of a request. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urlsplit


def host_only(host: str) -> str:
    """The host of a Host header, without port and brackets."""
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""


def origin_allowed(headers: Mapping[str, str], origins: tuple[str, ...]) -> bool:
    """True without an Origin, for one with our own host and port, and for a configured one.

    An Origin is demanded of browsers only: programs send none, and a page of another site cannot leave it out.
    """
    origin = headers.get("origin")
    if origin is None or origin in origins:
        return True
    try:
        return bool(headers.get("host")) and urlsplit(origin).netloc.lower() == headers.get("host", "").lower()
    except ValueError:  # "http://[" is no address
        return False
