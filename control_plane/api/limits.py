"""How often, and how much: token buckets by address and account, and the cap on a body's size."""

from __future__ import annotations

import datetime
import ipaddress
import threading
from collections import OrderedDict
from dataclasses import dataclass
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from control_plane.errors import TooMany

# The largest that anything here is sent is a scanned order (base64 in JSON); all else is a few KiB.
BODY_BYTES_MAX = 64 * 1024
LARGE_BODY_BYTES_MAX = 8 * 1024 * 1024
LARGE_BODIES = frozenset(("/api/v1/staff/accounts",))
# A flood from many addresses must not fill the memory: the bucket longest untouched goes first.
BUCKETS_MAX = 50_000


@dataclass(frozen=True)
class Limit:
    """`burst` at once, then one more every `every_s` seconds."""

    burst: int
    every_s: float


# By what is limited. A mailbox gets few mails from us whoever asks for them; whole offices share one address.
LIMITS: dict[str, Limit] = {
    "address": Limit(600, 0.05),
    "sign_in_address": Limit(60, 1.0),
    "sign_in_account": Limit(10, 30.0),
    "sign_up_address": Limit(20, 10.0),
    "mail_account": Limit(5, 300.0),
    "token_address": Limit(30, 2.0),
    "caller": Limit(1200, 0.05),
}


class Limits:
    """Buckets of one process, by name and key."""

    def __init__(self, limits: dict[str, Limit], buckets_max: int = BUCKETS_MAX) -> None:
        self._limits, self._buckets_max = limits, buckets_max
        self._left: OrderedDict[tuple[str, str], tuple[float, datetime.datetime]] = OrderedDict()
        self._lock = threading.Lock()

    def take(self, name: str, key: str, now: datetime.datetime) -> None:
        """Count one. Raises TooMany with `retry_after_s`."""
        limit = self._limits[name]
        with self._lock:
            left, at = self._left.pop((name, key), (float(limit.burst), now))
            left = min(limit.burst, left + max(0.0, (now - at).total_seconds()) / limit.every_s)
            allowed = left >= 1
            self._left[name, key] = (left - 1 if allowed else left, now)
            if len(self._left) > self._buckets_max:
                self._left.popitem(last=False)
        if not allowed:
            raise TooMany("too_often", "too often; try again later", retry_after_s=(1 - left) * limit.every_s)

    def __len__(self) -> int:
        return len(self._left)


def address_key(host: str) -> str:
    """The part of a network address that one customer is given: IPv4 whole, IPv6 the first 64 bits."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is None:
        return str(ipaddress.ip_network((address, 64), strict=False).network_address)
    return str(getattr(address, "ipv4_mapped", None) or address)


class BodyLimit:
    """Refuses a body that is too large, by its announced length or as it comes in."""

    def __init__(self, app: ASGIApp, refuse: Any) -> None:
        self._app, self._refuse = app, refuse

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        most = LARGE_BODY_BYTES_MAX if scope["path"] in LARGE_BODIES else BODY_BYTES_MAX
        announced = dict(scope["headers"]).get(b"content-length", b"0")
        if not announced.isdigit() or int(announced) > most:
            await self._refuse(scope, receive, send)
            return
        # Read here, so that a body without a length is refused before anything of it is looked at.
        chunks, size = [], 0
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                return
            chunks.append(message.get("body", b""))
            size += len(chunks[-1])
            if size > most:
                await self._refuse(scope, receive, send)
                return
            if not message.get("more_body", False):
                break
        body: Message | None = {"type": "http.request", "body": b"".join(chunks), "more_body": False}

        async def replay() -> Message:
            nonlocal body
            whole, body = body, None
            return whole if whole is not None else await receive()

        await self._app(scope, replay, send)
