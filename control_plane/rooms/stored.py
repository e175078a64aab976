"""What is kept of an account's rooms, as whoever keeps it reports: recordings piece by piece, files, and what is gone
again (BIL-10). The same record again changes nothing, in whatever order they come.

Bytes count as long as an object is there; what was recorded counts on the day on which its piece begins.
"""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, get_args

import sqlalchemy as sa

from control_plane.rooms.tables import recorded_days, stored_objects, stored_pieces
from control_plane.running import inserts

StoredKind = Literal["recording", "file"]
KINDS: tuple[StoredKind, ...] = get_args(StoredKind)
_MICROSECOND = datetime.timedelta(microseconds=1)


@dataclass(frozen=True)
class Stored:
    """So many bytes of an object came to be kept. `room` is the event's 9-digit id, `name` the object's within it. Of a
    recording: recorded from one instant to another; of a file both are the instant at which it came."""

    room: str
    name: str
    kind: StoredKind
    from_at: datetime.datetime
    to_at: datetime.datetime
    size_bytes: int


@dataclass(frozen=True)
class Removed:
    """Nothing of the object is kept any more, and nothing comes after it."""

    room: str
    name: str
    at: datetime.datetime


def keep(connection: sa.Connection, event: str, account: str, record: Stored) -> bool:
    """False for a piece that is known. A name stands for one kind: whichever came first."""
    piece = {"event": event, "name": record.name, "from_at": record.from_at, "to_at": record.to_at}
    piece["size_bytes"] = record.size_bytes
    if not inserts.once(connection, stored_pieces, piece, index_elements=["event", "name", "from_at"]):
        return False
    row = {"event": event, "name": record.name, "account": account, "kind": record.kind}
    if not inserts.once(
        connection, stored_objects, row | {"size_bytes": record.size_bytes}, index_elements=["event", "name"]
    ):
        objects = stored_objects.c
        this = (objects.event == event) & (objects.name == record.name)
        # What was said to be gone before it was said what it is has no kind yet.
        known = sa.case((objects.kind == "", record.kind), else_=objects.kind)
        grown = {"size_bytes": objects.size_bytes + record.size_bytes, "kind": known}
        connection.execute(stored_objects.update().where(this).values(grown))
    if record.kind == "recording":
        _recorded(connection, event, account, record)
    return True


def remove(connection: sa.Connection, event: str, account: str, record: Removed) -> bool:
    """False where it was gone already."""
    row = {"event": event, "name": record.name, "account": account, "kind": "", "size_bytes": 0}
    inserts.once(connection, stored_objects, row, index_elements=["event", "name"])
    objects = stored_objects.c
    there = (objects.event == event) & (objects.name == record.name) & objects.removed_at.is_(None)
    return connection.execute(stored_objects.update().where(there).values(removed_at=record.at)).rowcount == 1


def sizes_bytes(connection: sa.Connection, account: str) -> Mapping[StoredKind, int]:
    """What is kept of the account now, by kind."""
    objects = stored_objects.c
    rows = connection.execute(
        sa.select(objects.kind, sa.func.sum(objects.size_bytes))
        .where(objects.account == account, objects.removed_at.is_(None))
        .group_by(objects.kind)
    )
    found = {kind: int(size) for kind, size in rows}
    return {kind: found.get(kind, 0) for kind in KINDS}


def recorded_seconds(connection: sa.Connection, account: str, first: datetime.date, end: datetime.date) -> float:
    """How much was recorded in the account's rooms on the days from `first` on, before `end`; also of what is gone."""
    days = recorded_days.c
    wanted = sa.select(sa.func.coalesce(sa.func.sum(days.recorded_us), 0))
    return int(connection.scalar(wanted.where(days.account == account, days.day >= first, days.day < end)) or 0) / 1e6


def _recorded(connection: sa.Connection, event: str, account: str, record: Stored) -> None:
    lasted = (record.to_at - record.from_at) // _MICROSECOND
    row = {"account": account, "day": record.from_at.date(), "event": event, "recorded_us": lasted}
    made = inserts.insert(connection, recorded_days).values(row)
    again = {"recorded_us": recorded_days.c.recorded_us + made.excluded.recorded_us}
    connection.execute(made.on_conflict_do_update(index_elements=["account", "day", "event"], set_=again))
