"""The signature of an event: `t=<seconds>,v1=<HMAC-SHA256 of "t.body" in hex>`, as Stripe has it. Pure."""

from __future__ import annotations

import datetime
import hashlib
import hmac
from collections.abc import Iterable

from control_plane.gateway.errors import EventForged, EventStale, EventUnreadable
from control_plane.gateway.port import EVENT_BYTES_MAX, EVENT_TOLERANCE_S

# More parts than this are no rotation of a secret.
PARTS_MAX = 20


def sign(secret: str, at: datetime.datetime, body: bytes) -> str:
    """The header's value."""
    stamp = str(int(at.timestamp()))
    return f"t={stamp},v1={_mac(secret, stamp, body)}"


def check(secrets: Iterable[str], header: str | None, body: bytes, now: datetime.datetime) -> None:
    """Raises EventForged unless one of the secrets signed exactly this body, EventStale when that was too long ago or
    lies ahead, EventUnreadable for a body longer than any event. Compares in constant time."""
    if len(body) > EVENT_BYTES_MAX:
        raise EventUnreadable(f"an event has at most {EVENT_BYTES_MAX} bytes")
    stamp, given = _parts(header or "")
    expected = [_mac(secret, stamp, body) for secret in secrets]
    # All are compared, none is left out when one fits.
    fits = [hmac.compare_digest(mac, mine) for mac in given for mine in expected]
    if not any(fits):
        raise EventForged("the signature does not fit the body")
    # After the signature: who has no secret learns nothing of our clock.
    if abs(int(now.timestamp()) - int(stamp)) > EVENT_TOLERANCE_S:
        raise EventStale("the signature is not of this hour")


def _parts(header: str) -> tuple[str, list[str]]:
    stamp, given = "", []
    for part in header.split(",")[:PARTS_MAX]:
        name, _, value = part.strip().partition("=")
        if name == "t":
            stamp = value
        elif name == "v1" and value.isascii():
            given.append(value)
    if not (stamp.isascii() and stamp.isdigit() and len(stamp) <= 12):
        raise EventForged("no time in the signature")
    return stamp, given


def _mac(secret: str, stamp: str, body: bytes) -> str:
    return hmac.new(secret.encode(), stamp.encode() + b"." + body, hashlib.sha256).hexdigest()
