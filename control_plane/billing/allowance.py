"""What an account may have: the limits of its plan, and what its add-ons give beside (BIL-10).

The one place that says so. Rooms ask it for seats and presenters, the accounts area for people; both through their
setups, so neither knows billing's rows.
"""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from dataclasses import dataclass

import sqlalchemy as sa

from control_plane.billing.catalogue import FREE, Adds, Catalogue, EventKind
from control_plane.billing.tables import add_ons, limit_notices, subscriptions
from control_plane.running import inserts, outbox
from control_plane.storage.prepared import Prepared


@dataclass(frozen=True)
class Allowance:
    """`seats` by kind of event; a kind that is not named cannot be held. `presenters`: who may send in a webinar or
    large event at a time. `members`: people beside the owner."""

    plan: str
    seats: Mapping[EventKind, int]
    presenters: int
    members: int
    storage_bytes: int
    recording_bytes: int


def of_plan(catalogue: Catalogue, plan: str, more: Mapping[Adds, int] | None = None) -> Allowance:
    """Of a plan, with `more` by add-ons. A plan that left the catalogue counts as the free one."""
    known, more = catalogue.plans.get(plan) or catalogue.plans[FREE], more or {}
    return Allowance(
        known.name,
        known.seats,
        known.presenters + more.get("presenters", 0),
        known.members,
        known.storage_bytes + more.get("storage_bytes", 0),
        known.recording_bytes + more.get("recording_bytes", 0),
    )


def of_account(connection: sa.Connection, catalogue: Catalogue, account: str) -> Allowance:
    """What is in force now; for an id that nobody has, the free version's. One statement: each join asks it.

    Add-ons count in paid days. One that was cancelled, or bought for one time, counts until the next period is paid,
    and not a moment less: a renewal at midnight takes seconds, and nobody shall lose his place for that time.
    """
    rows = _IN_FORCE.all(connection, {"account": account})
    more: dict[Adds, int] = {}
    for row in rows:
        kind = catalogue.add_ons.get(row.add_on or "")
        if kind is not None:
            more[kind.adds] = more.get(kind.adds, 0) + kind.amount * int(row.quantity)
    return of_plan(catalogue, rows[0].plan if rows else FREE, more)


def changed(connection: sa.Connection, now: datetime.datetime, account: str, key: str, reason: str) -> None:
    """What may be done in the account has changed: have every event of it looked at anew, running rooms among them.
    It is the order that a suspension gives. `key` makes it once."""
    order = {"command": "end_rooms", "account": account, "reason": reason}
    outbox.put(connection, now, kind="media", key=key, account=account, payload=order)


def notice(
    connection: sa.Connection, now: datetime.datetime, account: str, name: str, level: str, period: datetime.date
) -> bool:
    """Note that the customer is told of this limit, once in the period that began on that day. False where he was. Who
    has reached a limit at once is not told afterwards that it is near."""
    levels = ("near", "reached") if level == "reached" else (level,)
    fresh = False
    for each in levels:
        row = {"account": account, "name": name, "level": each, "period": period, "at": now}
        fresh = inserts.once(connection, limit_notices, row, index_elements=["account", "name", "level", "period"])
    return fresh


_IN_FORCE = Prepared(
    sa.select(subscriptions.c.plan, add_ons.c.add_on, sa.func.sum(add_ons.c.quantity).label("quantity"))
    .select_from(
        subscriptions.outerjoin(
            add_ons,
            (add_ons.c.account == subscriptions.c.account)
            & (add_ons.c.state == sa.literal("active"))
            & (subscriptions.c.state == sa.literal("active")),
        )
    )
    .where(subscriptions.c.account == sa.bindparam("account"))
    .group_by(subscriptions.c.plan, add_ons.c.add_on)
)
