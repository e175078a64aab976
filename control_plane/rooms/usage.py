"""What the media server reports: what each participant used, and when rooms were open. The same record again changes
nothing, so a report may come as often as it likes (PROD-01, BIL later)."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from control_plane.rooms import policies
from control_plane.rooms.tables import room_events, runs, usage_records
from control_plane.running import events as account_events
from control_plane.running import inserts


@dataclass(frozen=True)
class Used:
    """As the media server tells it; `room` is the event's 9-digit id."""

    room: str
    participant: str
    identity: str
    sender: bool
    from_at: datetime.datetime
    to_at: datetime.datetime
    received_bytes: int
    sent_bytes: int


@dataclass(frozen=True)
class Opened:
    room: str
    number: int
    at: datetime.datetime


@dataclass(frozen=True)
class Ended:
    room: str
    number: int
    at: datetime.datetime


@dataclass(frozen=True)
class Started:
    """The media server began anew."""

    at: datetime.datetime


Record = Used | Opened | Ended | Started


@dataclass(frozen=True)
class Taken:
    """`foreign`: of rooms that are none of ours."""

    new: int
    known: int
    foreign: int


@dataclass(frozen=True)
class Sums:
    """Of one event so far. `people` counts identities, `stays` how often somebody came in."""

    participant_seconds: float
    received_bytes: int
    sent_bytes: int
    people: int
    stays: int


def take(connection: sa.Connection, now: datetime.datetime, boot: str, records: Sequence[Record]) -> Taken:
    """Keep what is new. When this is committed the records may be acknowledged."""
    names = sorted({record.room for record in records if not isinstance(record, Started)})
    rows = connection.execute(
        sa.select(room_events.c.number, room_events.c.id, room_events.c.account).where(room_events.c.number.in_(names))
    )
    ours = {row.number: (row.id, row.account) for row in rows}
    new = known = foreign = 0
    used: list[dict[str, Any]] = []
    for record in records:
        if isinstance(record, Started):
            fresh = _started(connection, now, boot, record)
        elif record.room not in ours:
            foreign += 1
            continue
        elif isinstance(record, Used):
            used.append(_values(ours[record.room][0], record))
            continue
        else:
            fresh = _ran(connection, now, boot, *ours[record.room], record)
        new, known = new + fresh, known + (not fresh)
    added = _add(connection, used)
    return Taken(new + added, known + len(used) - added, foreign)


def of_event(connection: sa.Connection, event: str) -> Sums:
    """All that was reported of it."""
    records = usage_records.c
    # Instants are whole microseconds in the column; their difference is, too.
    lasted = sa.type_coerce(records.to_at, sa.BigInteger) - sa.type_coerce(records.from_at, sa.BigInteger)
    row = connection.execute(
        sa.select(
            sa.func.coalesce(sa.func.sum(lasted), 0),
            sa.func.coalesce(sa.func.sum(records.received_bytes), 0),
            sa.func.coalesce(sa.func.sum(records.sent_bytes), 0),
            sa.func.count(sa.distinct(records.identity)),
            sa.func.count(sa.distinct(records.participant)),
        ).where(records.event == event)
    ).one()
    return Sums(int(row[0]) / 1e6, int(row[1]), int(row[2]), row[3], row[4])


def running(connection: sa.Connection, event: str) -> bool:
    """Somebody is in its room, as far as the media server has told."""
    open_ones = sa.select(runs.c.number).where(runs.c.event == event, runs.c.ended_at.is_(None)).limit(1)
    return connection.execute(open_ones).one_or_none() is not None


def _values(event: str, record: Used) -> dict[str, Any]:
    return {
        "event": event,
        "participant": record.participant,
        "from_at": record.from_at,
        "to_at": record.to_at,
        "identity": record.identity,
        "sender": record.sender,
        "received_bytes": record.received_bytes,
        "sent_bytes": record.sent_bytes,
    }


def _add(connection: sa.Connection, rows: list[dict[str, Any]]) -> int:
    if not rows:
        return 0
    insert = inserts.insert(connection, usage_records).values(rows).on_conflict_do_nothing()
    return len(connection.execute(insert.returning(usage_records.c.participant)).all())


def _ran(
    connection: sa.Connection, now: datetime.datetime, boot: str, event: str, account: str, record: Opened | Ended
) -> bool:
    """A room was opened or ended, in whichever order that is told."""
    this = (runs.c.boot == boot) & (runs.c.number == record.number)
    row = {"boot": boot, "number": record.number, "event": event}
    inserts.once(connection, runs, row, index_elements=["boot", "number"])
    column = runs.c.opened_at if isinstance(record, Opened) else runs.c.ended_at
    done = connection.execute(runs.update().where(this, column.is_(None)).values({column: record.at}))
    fresh = done.rowcount == 1
    if fresh:
        kind = "room.opened" if isinstance(record, Opened) else "room.ended"
        account_events.emit(connection, now, account=account, kind=kind, payload={"event": event})
    return fresh


def _started(connection: sa.Connection, now: datetime.datetime, boot: str, record: Started) -> bool:
    """Rooms of its earlier runs have ended with them, whatever it could still tell; and it knows no order of ours."""
    left = sa.select(runs.c.boot, runs.c.number, runs.c.event, room_events.c.account).join(
        room_events, room_events.c.id == runs.c.event
    )
    stale = connection.execute(left.where(runs.c.boot != boot, runs.c.ended_at.is_(None))).all()
    for run in stale:
        this = (runs.c.boot == run.boot) & (runs.c.number == run.number)
        connection.execute(runs.update().where(this).values(ended_at=record.at))
        account_events.emit(connection, now, account=run.account, kind="room.ended", payload={"event": run.event})
    policies.repeat(connection, now, boot)
    return bool(stale)
