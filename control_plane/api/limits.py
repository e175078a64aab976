"""How often: token buckets by address and account."""

from __future__ import annotations

import datetime
import ipaddress
import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from control_plane.errors import TooMany

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

    def __init__(
        self,
        limits: dict[str, Limit],
        buckets_max: int = BUCKETS_MAX,
        refused: Callable[[str], None] = lambda name: None,
    ) -> None:
        """`refused` is told the name of the limit at each refusal."""
        self._limits, self._buckets_max, self._refused = limits, buckets_max, refused
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
            self._refused(name)
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
