"""What somebody of the staff has to look at: one open task a cause, however often it is raised."""

from __future__ import annotations

import datetime
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from control_plane.errors import NotFound
from control_plane.running import inserts
from control_plane.running.canonical import JSON
from control_plane.running.tables import staff_task

_OPEN = staff_task.c.done_at.is_(None)


@dataclass(frozen=True)
class Task:
    """`ref` names what it is about (a job's key, a kind of the outbox)."""

    id: int
    kind: str
    ref: str
    account: str | None
    payload: Mapping[str, Any]
    raised_at: datetime.datetime


def raise_task(
    connection: sa.Connection,
    now: datetime.datetime,
    *,
    kind: str,
    ref: str,
    account: str | None,
    payload: Mapping[str, JSON] | None = None,
) -> bool:
    """Ask the staff. False when the same question is open already."""
    values = {"kind": kind, "ref": ref, "account": account, "payload": payload or {}, "raised_at": now}
    return inserts.once(connection, staff_task, values, index_elements=["kind", "ref"], index_where=_OPEN)


def settle(connection: sa.Connection, now: datetime.datetime, *, kind: str, ref: str, actor: str) -> None:
    """The cause is gone. Nothing happens where no such task is open."""
    connection.execute(
        staff_task.update()
        .where(staff_task.c.kind == kind, staff_task.c.ref == ref, staff_task.c.done_at.is_(None))
        .values(done_at=now, done_by=actor)
    )


def settle_one(connection: sa.Connection, now: datetime.datetime, *, task: int, actor: str) -> None:
    """Somebody of the staff is done with it. Raises NotFound unless it was open."""
    done = connection.execute(
        staff_task.update()
        .where(staff_task.c.id == task, staff_task.c.done_at.is_(None))
        .values(done_at=now, done_by=actor)
    )
    if not done.rowcount:
        raise NotFound("no_such_task", "no such open task")


def all_open(connection: sa.Connection, *, after: int = 0, limit: int = 100) -> list[Task]:
    """Open tasks, the oldest first, from behind this id."""
    wanted = (
        sa.select(staff_task)
        .where(staff_task.c.done_at.is_(None), staff_task.c.id > after)
        .order_by(staff_task.c.id)
        .limit(limit)
    )
    return [_task(row) for row in connection.execute(wanted)]


def of_account(connection: sa.Connection, account: str, kinds: Collection[str], *, limit: int = 100) -> list[Task]:
    """Those of these kinds that are open about one account, the oldest first."""
    mine = (staff_task.c.account == account) & staff_task.c.kind.in_(kinds) & _OPEN
    wanted = sa.select(staff_task).where(mine).order_by(staff_task.c.id).limit(limit)
    return [_task(row) for row in connection.execute(wanted)]


def _task(row: sa.Row[Any]) -> Task:
    return Task(row.id, row.kind, row.ref, row.account, row.payload, row.raised_at)
