"""Signatures of webhooks, as Standard Webhooks has them (version v1, HMAC-SHA256). Pure, the standard library alone.

This file is for receivers as well: copy it. `verify` is all that they need; docs/webhooks.md says how to use it.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

PREFIX = "whsec_"
# How far a sender's clock and ours may be apart, and how old a repeated request may be.
TOLERANCE_S = 300


class Forged(Exception):
    """The request is not to be believed. `code`: header_missing, bad_timestamp, too_old, too_new, bad_signature."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


@dataclass(frozen=True)
class Received:
    """A request that holds. With `fresh` False its event came before: answer 200 and do nothing more."""

    id: str
    timestamp_s: int
    fresh: bool


def secret_of(key: bytes, endpoint: str, number: int) -> str:
    """The secret of an endpoint, derived from the operator's key: a copy of the database alone signs nothing.
    `number` counts its rotations."""
    raw = hmac.new(key, f"webhook:{endpoint}:{number}".encode(), hashlib.sha256).digest()
    return PREFIX + base64.b64encode(raw).decode()


def sign(secrets: Iterable[str], message: str, timestamp_s: int, body: bytes) -> dict[str, str]:
    """The headers of a request. More than one secret while an old one is still good."""
    signatures = [f"v1,{base64.b64encode(_mac(secret, message, timestamp_s, body)).decode()}" for secret in secrets]
    return {
        "webhook-id": message,
        "webhook-timestamp": str(timestamp_s),
        "webhook-signature": " ".join(signatures),
    }


def verify(
    secrets: Iterable[str],
    headers: Mapping[str, str],
    body: bytes,
    now_s: int,
    remember: Callable[[str], bool],
    *,
    tolerance_s: int = TOLERANCE_S,
) -> Received:
    """Is this request from Stentor, whole, and new? `body` is the bytes as they came, before any parsing.
    `remember(id)` keeps the id (in the transaction that does the work, best under a unique key) and tells whether it
    was new; ids may be forgotten after a month. Raises Forged. Compares in constant time."""
    found = {name.lower(): value for name, value in headers.items()}
    try:
        message, stamp, given = (found[f"webhook-{name}"] for name in ("id", "timestamp", "signature"))
    except KeyError:
        raise Forged("header_missing") from None
    if not (stamp.isascii() and stamp.isdigit() and len(stamp) <= 12):
        raise Forged("bad_timestamp")
    timestamp_s = int(stamp)
    if timestamp_s < now_s - tolerance_s:
        raise Forged("too_old")
    if timestamp_s > now_s + tolerance_s:
        raise Forged("too_new")
    expected = [_mac(secret, message, timestamp_s, body) for secret in secrets]
    # All are compared, none is left out when one fits.
    fits = [hmac.compare_digest(mac, mine) for mac in _macs(given) for mine in expected]
    if not any(fits):
        raise Forged("bad_signature")
    return Received(message, timestamp_s, remember(message))


def _mac(secret: str, message: str, timestamp_s: int, body: bytes) -> bytes:
    raw = base64.b64decode(secret.removeprefix(PREFIX), validate=True)
    return hmac.new(raw, f"{message}.{timestamp_s}.".encode() + body, hashlib.sha256).digest()


def _macs(given: str) -> list[bytes]:
    macs = []
    # More than a handful is no rotation.
    for part in given.split(" ")[:10]:
        version, _, encoded = part.partition(",")
        if version == "v1":
            try:
                macs.append(base64.b64decode(encoded, validate=True))
            except ValueError:
                continue
    return macs
