"""What happened in an account, for programs: numbered 1, 2, 3 without a gap, read by `after`, told by webhooks."""

from __future__ import annotations

import base64
import datetime
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from control_plane.running import inserts
from control_plane.running.canonical import JSON
from control_plane.running.tables import event, event_counter
from control_plane.storage.prepared import Prepared

PAGE_MAX = 500


@dataclass(frozen=True)
class Event:
    """`seq` counts the account's events from 1; `id` is the same wherever and however often it is told."""

    id: str
    account: str
    seq: int
    kind: str
    payload: Mapping[str, Any]
    at: datetime.datetime


def emit(
    connection: sa.Connection, now: datetime.datetime, *, account: str, kind: str, payload: Mapping[str, JSON]
) -> int:
    """Add an event with the account's next number, and return that. It holds ids and codes, no personal values. The
    number is drawn in the caller's transaction: what is rolled back leaves no gap."""
    seq = inserts.counted_up(connection, event_counter, "account", account)
    row = {"account": account, "seq": seq, "id": _id(account, seq), "kind": kind, "payload": payload, "at": now}
    _EMIT.run(connection, row)
    return seq


def read(connection: sa.Connection, account: str, *, after: int = 0, limit: int = 100) -> list[Event]:
    """The account's events behind number `after`, in order, at most `limit` (500)."""
    wanted = (
        sa.select(event)
        .where(event.c.account == account, event.c.seq > after)
        .order_by(event.c.seq)
        .limit(max(1, min(limit, PAGE_MAX)))
    )
    return [Event(row.id, row.account, row.seq, row.kind, row.payload, row.at) for row in connection.execute(wanted)]


def last(connection: sa.Connection, account: str) -> int:
    """The number of the account's newest event; 0 before the first."""
    wanted = sa.select(event_counter.c.last).where(event_counter.c.account == account)
    return connection.execute(wanted).scalar_one_or_none() or 0


_EMIT = Prepared(event.insert())


def _id(account: str, seq: int) -> str:
    # Not by chance: a transaction that is run again names its event the same.
    raw = hashlib.sha256(f"event:{account}:{seq}".encode()).digest()
    return "evt_" + base64.b32encode(raw).decode().lower()[:20]
