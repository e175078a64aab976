"""What waits, fails and stands still at one moment, for operators. Reads only, out of indexes, and never more rows of a
table than COUNTED_MAX: a count that reaches it says "so many or more"."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from dataclasses import dataclass

import sqlalchemy as sa

from control_plane.running import jobs, outbox
from control_plane.running.tables import audit_entry, job, staff_task, webhook
from control_plane.running.tables import outbox as outbox_rows

COUNTED_MAX = 20_000


@dataclass(frozen=True)
class Waiting:
    """Rows of one kind that wait, and how long the first of them has."""

    rows: int
    oldest_s: float


@dataclass(frozen=True)
class Backlog:
    """`jobs_late_s`: since when the first job that may go has been due; behind a parked one nothing may go. `tasks`:
    what the staff has to look at, by kind. `audit_rows`: the newest row's number."""

    jobs_waiting: int
    jobs_parked: int
    jobs_late_s: float
    outbox: Mapping[str, Waiting]
    webhooks_failing: int
    webhooks_failing_s: float
    tasks: Mapping[str, int]
    audit_rows: int


def read(connection: sa.Connection, now: datetime.datetime) -> Backlog:
    """The state at `now`, in one consistent view."""
    failing = _first_rows(sa.select(webhook.c.failing_since).where(webhook.c.failing_since.is_not(None)))
    hooks = connection.execute(sa.select(sa.func.count(), sa.func.min(failing.c.failing_since))).one()
    return Backlog(
        jobs_waiting=_count(connection, sa.select(job.c.id).where(job.c.state == "waiting")),
        jobs_parked=_count(connection, _parked()),
        jobs_late_s=_age_s(now, jobs.oldest_due(connection)),
        outbox=_outbox(connection, now),
        webhooks_failing=hooks[0],
        webhooks_failing_s=_age_s(now, hooks[1]),
        tasks=_tasks(connection),
        audit_rows=connection.execute(sa.select(sa.func.max(audit_entry.c.id))).scalar_one() or 0,
    )


def _parked() -> sa.Select[tuple[int]]:
    """By way of the open tasks, which have an index: parked jobs have none of their own."""
    task = (staff_task.c.kind == jobs.PARKED) & staff_task.c.done_at.is_(None) & (staff_task.c.ref == job.c.key)
    return sa.select(job.c.id).join(staff_task, task).where(job.c.state == "parked")


def _outbox(connection: sa.Connection, now: datetime.datetime) -> dict[str, Waiting]:
    rows = _first_rows(sa.select(outbox_rows.c.kind, outbox_rows.c.put_at).where(outbox_rows.c.state == "waiting"))
    wanted = sa.select(rows.c.kind, sa.func.count(), sa.func.min(rows.c.put_at)).group_by(rows.c.kind)
    found = {kind: Waiting(count, _age_s(now, put_at)) for kind, count, put_at in connection.execute(wanted)}
    return {kind: found.get(kind, Waiting(0, 0.0)) for kind in (*outbox.RETRIES, *found)}


def _tasks(connection: sa.Connection) -> dict[str, int]:
    rows = _first_rows(sa.select(staff_task.c.kind).where(staff_task.c.done_at.is_(None)))
    wanted = sa.select(rows.c.kind, sa.func.count().label("open")).group_by(rows.c.kind)
    found: dict[str, int] = {row.kind: row.open for row in connection.execute(wanted)}
    return {kind: found.get(kind, 0) for kind in (jobs.PARKED, outbox.STUCK, outbox.REFUSED, *found)}


def _count(connection: sa.Connection, wanted: sa.Select[tuple[int]]) -> int:
    return connection.execute(sa.select(sa.func.count()).select_from(_first_rows(wanted))).scalar_one()


def _first_rows(wanted: sa.Select) -> sa.Subquery:  # type: ignore[type-arg]
    return wanted.limit(COUNTED_MAX).subquery()


def _age_s(now: datetime.datetime, since: datetime.datetime | None) -> float:
    """0 where there is none, or it lies ahead."""
    return 0.0 if since is None else max(0.0, (now - since).total_seconds())
