"""What the media server is ordered of each room: one versioned policy an event, told after the commit, acknowledged.

The policy follows from rows: whether the event may be held now, and how many it holds. `settle` looks whether the rows
say something new and, if so, writes a higher version and an order to the media server. A grant carries the limits of
the version in force, so nobody waits for an order to arrive before he joins. Versions are seconds since 1970 where
that is higher than one more: a database that was restored from a backup still speaks with higher versions.
"""

from __future__ import annotations

import datetime
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from control_plane.rooms import limits
from control_plane.rooms.limits import Limits
from control_plane.rooms.setup import Setup
from control_plane.rooms.tables import policies, put_out, room_events
from control_plane.running import outbox
from sfu.contract import IDENTITY_CHARACTERS_MAX, PUT_OUT_MAX

# A grant lets somebody in for 60 s, and clocks may differ by half of that: after this nobody holds an old one.
GRANTS_OUTLIVED = datetime.timedelta(minutes=5)


@dataclass(frozen=True)
class InForce:
    """`closed`: nobody may be in."""

    event: str
    version: int
    limits: Limits
    closed: bool
    acknowledged: int


def in_force(connection: sa.Connection, event: str) -> InForce | None:
    """What was last ordered; None for an event without a policy yet."""
    row = connection.execute(policies.select().where(policies.c.event == event)).one_or_none()
    if row is None:
        return None
    return InForce(event, row.version, Limits(row.seats, row.senders), row.closed, row.acknowledged)


def wanted(connection: sa.Connection, setup: Setup, event: sa.Row[Any]) -> tuple[Limits, bool]:
    """What the rows say now: limits, and whether the room is closed.

    A plan that no longer has this kind of event puts nobody out of a running one, and lets nobody in (0 seats).
    """
    closed = event.state != "planned" or bool(event.suspended_for) or not setup.may_host(connection, event.account)
    return limits.of(event.kind, setup.allowance(connection, event.account), event.seats), closed


def settle(connection: sa.Connection, now: datetime.datetime, setup: Setup, event: str, *, order: bool = False) -> int:
    """Bring the policy up to date; the version in force. `order`: tell the media server in any case.

    The first policy of an event is not told: nobody is in, and the first grant brings it along.
    """
    row = connection.execute(room_events.select().where(room_events.c.id == event)).one()
    size, closed = wanted(connection, setup, row)
    before = in_force(connection, event)
    if before is not None and (before.limits, before.closed) == (size, closed) and not order:
        return before.version
    version = max(int(now.timestamp()), 0 if before is None else before.version + 1)
    values = {"version": version, "seats": size.seats, "senders": size.senders, "closed": closed, "changed_at": now}
    if before is None:
        connection.execute(policies.insert().values(event=event, acknowledged=0, **values))
    else:
        connection.execute(policies.update().where(policies.c.event == event).values(values))
    if before is not None or order:
        _order(connection, now, row.account, event, version)
    return version


def settle_account(connection: sa.Connection, now: datetime.datetime, setup: Setup, account: str) -> None:
    """After its plan or its state has changed: every event that is not over (ACC-21, PROD-02)."""
    mine = sa.select(room_events.c.id).where(room_events.c.account == account, room_events.c.state == "planned")
    for (event,) in connection.execute(mine.order_by(room_events.c.id)).all():
        settle(connection, now, setup, event)


def drop(connection: sa.Connection, now: datetime.datetime, setup: Setup, event: str, identity: str) -> None:
    """Put one person out of the room; only a grant that is signed later lets him in again."""
    row = {"event": event, "identity": identity[:IDENTITY_CHARACTERS_MAX], "at": now}
    same = (put_out.c.event == event) & (put_out.c.identity == row["identity"])
    connection.execute(
        put_out.delete().where(same | ((put_out.c.event == event) & (put_out.c.at < now - GRANTS_OUTLIVED)))
    )
    connection.execute(put_out.insert().values(row))
    settle(connection, now, setup, event, order=True)


def body(connection: sa.Connection, setup: Setup, event: str) -> tuple[str, dict[str, Any]] | None:
    """The room's name and what the media server is sent, as `sfu.contract.Policy` wants it."""
    row = connection.execute(
        sa.select(policies, room_events.c.number)
        .join(room_events, room_events.c.id == policies.c.event)
        .where(policies.c.event == event)
    ).one_or_none()
    if row is None:
        return None
    out = connection.execute(
        sa.select(put_out).where(put_out.c.event == event).order_by(put_out.c.at.desc()).limit(PUT_OUT_MAX)
    ).all()
    return row.number, {
        **setup.media.room,
        # The least that a policy can say is one seat: then nobody new comes in either, once anybody is in.
        "seats": max(1, row.seats),
        "senders": row.senders,
        "closed": row.closed,
        "put_out": [{"identity": one.identity, "at": one.at.timestamp()} for one in out],
        "version": row.version,
    }


def acknowledged(connection: sa.Connection, now: datetime.datetime, event: str, version: int) -> None:
    """The media server has this version in force."""
    connection.execute(
        policies.update()
        .where(policies.c.event == event, policies.c.acknowledged < version)
        .values(acknowledged=version, acknowledged_at=now)
    )


def overtake(connection: sa.Connection, now: datetime.datetime, event: str, version: int) -> None:
    """The media server knows a higher version than was ever written here: order once more, above it."""
    row = connection.execute(
        sa.select(policies, room_events.c.account)
        .join(room_events, room_events.c.id == policies.c.event)
        .where(policies.c.event == event)
    ).one()
    if row.version <= version:
        connection.execute(policies.update().where(policies.c.event == event).values(version=version + 1))
        _order(connection, now, row.account, event, version + 1)


def repeat(connection: sa.Connection, now: datetime.datetime, boot: str) -> None:
    """A media server that began anew knows no policy: tell it those against which somebody may still hold a grant."""
    since = now - GRANTS_OUTLIVED
    dropped = sa.select(put_out.c.event).where(put_out.c.at >= since)
    recent = (policies.c.changed_at >= since) & policies.c.closed | policies.c.event.in_(dropped)
    rows = connection.execute(
        sa.select(policies.c.event, policies.c.version, room_events.c.account)
        .join(room_events, room_events.c.id == policies.c.event)
        .where(recent)
        .order_by(policies.c.event)
    )
    for row in rows.all():
        _order(connection, now, row.account, row.event, row.version, f":{boot}")


def _order(
    connection: sa.Connection, now: datetime.datetime, account: str, event: str, version: int, more: str = ""
) -> None:
    outbox.put(
        connection,
        now,
        kind="media",
        key=f"policy:{event}:{version}{more}",
        account=account,
        payload={"command": "policy", "event": event, "version": version},
    )
