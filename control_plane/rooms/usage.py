"""What the media server reports: what each participant used, when rooms were open, and what is kept of them (`stored`).
The same record again changes nothing, so a report may come as often as it likes (PROD-01). What an account used on its
days is summed on the way."""

from __future__ import annotations

import datetime
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from control_plane.rooms import policies, stored
from control_plane.rooms.stored import Removed, Stored
from control_plane.rooms.tables import room_events, runs, usage_days, usage_records
from control_plane.running import events as account_events
from control_plane.running import inserts

_MICROSECOND = datetime.timedelta(microseconds=1)


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


Record = Used | Opened | Ended | Started | Stored | Removed


@dataclass(frozen=True)
class Taken:
    """`foreign`: of rooms that are none of ours. `grew`: accounts in one of whose rooms more people were at once than
    was known of that day, or of which more is kept."""

    new: int
    known: int
    foreign: int
    grew: tuple[str, ...] = ()


@dataclass(frozen=True)
class Sums:
    """Of one event so far. `people` counts identities, `stays` how often somebody came in."""

    participant_seconds: float
    received_bytes: int
    sent_bytes: int
    people: int
    stays: int


@dataclass(frozen=True)
class Most:
    """So many people were in one room of a kind at once; so many of them might send."""

    people: int
    senders: int


@dataclass(frozen=True)
class OfDays:
    """What an account used on some days. `most` by kind of event, those that were held."""

    participant_seconds: float
    most: Mapping[str, Most]


def take(connection: sa.Connection, now: datetime.datetime, boot: str, records: Sequence[Record]) -> Taken:
    """Keep what is new. When this is committed the records may be acknowledged."""
    names = sorted({record.room for record in records if not isinstance(record, Started)})
    rows = connection.execute(
        sa.select(room_events.c.number, room_events.c.id, room_events.c.account).where(room_events.c.number.in_(names))
    )
    ours = {row.number: (row.id, row.account) for row in rows}
    new = known = foreign = 0
    used: list[dict[str, Any]] = []
    more = set[str]()
    for record in records:
        if isinstance(record, Started):
            fresh = _started(connection, now, boot, record)
        elif record.room not in ours:
            foreign += 1
            continue
        elif isinstance(record, Used):
            used.append(_values(ours[record.room][0], record))
            continue
        elif isinstance(record, Stored):
            fresh = stored.keep(connection, *ours[record.room], record)
            more.update({ours[record.room][1]} if fresh else ())
        elif isinstance(record, Removed):
            fresh = stored.remove(connection, *ours[record.room], record)
        else:
            fresh = _ran(connection, now, boot, *ours[record.room], record)
        new, known = new + fresh, known + (not fresh)
    added = _add(connection, used)
    accounts = dict(ours.values())
    grew = tuple(sorted({*_count(connection, accounts, added), *more}))
    return Taken(new + len(added), known + len(used) - len(added), foreign, grew)


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


def of_days(connection: sa.Connection, account: str, first: datetime.date, end: datetime.date) -> OfDays:
    """All rooms of an account on the days from `first` on, before `end`."""
    days = usage_days.c
    rows = connection.execute(
        sa.select(
            room_events.c.kind,
            sa.func.sum(days.participant_us).label("us"),
            sa.func.max(days.most).label("most"),
            sa.func.max(days.most_senders).label("senders"),
        )
        .join(room_events, room_events.c.id == days.event)
        .where(days.account == account, days.day >= first, days.day < end)
        .group_by(room_events.c.kind)
    ).all()
    most = {row.kind: Most(row.most, row.senders) for row in rows}
    return OfDays(sum(int(row.us) for row in rows) / 1e6, most)


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


def _add(connection: sa.Connection, rows: list[dict[str, Any]]) -> Sequence[sa.Row[Any]]:
    """Those that were not there."""
    if not rows:
        return ()
    insert = inserts.insert(connection, usage_records).values(rows).on_conflict_do_nothing()
    told = (usage_records.c.event, usage_records.c.from_at, usage_records.c.to_at)
    return connection.execute(insert.returning(*told)).all()


def _count(connection: sa.Connection, accounts: Mapping[str, str], added: Sequence[sa.Row[Any]]) -> set[str]:
    """Sum new records to their days; in whose rooms were more people at once than was known. `accounts` by event."""
    grew = set[str]()
    by_day: dict[tuple[str, datetime.date], list[sa.Row[Any]]] = {}
    for row in added:
        by_day.setdefault((row.event, row.from_at.date()), []).append(row)
    for (event, day), rows in sorted(by_day.items()):
        most = _at_once(connection, event, min(row.from_at for row in rows), max(row.to_at for row in rows))
        lasted = sum(((row.to_at - row.from_at) // _MICROSECOND for row in rows), 0)
        mine = (usage_days.c.account == accounts[event]) & (usage_days.c.day == day) & (usage_days.c.event == event)
        before = connection.execute(usage_days.select().where(mine)).one_or_none()
        if before is None:
            values = {"account": accounts[event], "day": day, "event": event, "participant_us": lasted}
            connection.execute(usage_days.insert().values(values | {"most": most.people, "most_senders": most.senders}))
        else:
            values = {"participant_us": before.participant_us + lasted, "most": max(before.most, most.people)}
            values |= {"most_senders": max(before.most_senders, most.senders)}
            connection.execute(usage_days.update().where(mine).values(values))
        if before is None or most.people > before.most or most.senders > before.most_senders:
            grew.add(accounts[event])
    return grew


def _at_once(connection: sa.Connection, event: str, since: datetime.datetime, until: datetime.datetime) -> Most:
    """The most people who were in at one moment between the two, as far as is known."""
    records = usage_records.c
    there = (records.event == event) & (records.to_at > since) & (records.from_at < until)
    sends = sa.case((records.sender, 1), else_=0)
    came = sa.select(records.from_at.label("at"), sa.literal(1).label("step"), sends.label("sends")).where(there)
    went = sa.select(records.to_at, sa.literal(-1), -sends).where(there)
    steps = sa.union_all(came, went).subquery()
    in_then = sa.select(_so_far(steps, "step").label("people"), _so_far(steps, "sends").label("send")).subquery()
    row = connection.execute(sa.select(sa.func.max(in_then.c.people), sa.func.max(in_then.c.send))).one()
    return Most(int(row[0] or 0), int(row[1] or 0))


def _so_far(steps: sa.Subquery, column: str) -> sa.Over[Any]:
    """The sum up to each step. Who leaves at the moment at which another comes, or at which his own next record begins,
    was not in twice."""
    return sa.func.sum(steps.c[column]).over(order_by=(steps.c.at, steps.c.step), rows=(None, 0))


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
