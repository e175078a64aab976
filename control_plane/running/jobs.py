"""What happens later: one row a job, with a key of its own and its business time.

A runner takes due jobs in the order of (due_at, priority, id). Whatever hour it is really, the handler is given
`due_at`, so that late, repeated and big-step runs come to the same. Jobs of one account never overtake each other:
while one waits to be tried again, the later ones of its account wait too. A job that failed PARK_AFTER times is parked,
its account's jobs stand still, the staff gets a task; everybody else goes on.

Jobs that stand at one place of the order (`due_at` and priority) and were never tried are taken and done several in one
transaction, each behind a savepoint of its own: all that a job does is kept, or nothing of it. They are of different
accounts, or of none. One that fails, and every one that was tried before, is done alone.

Handlers must be repeatable: all they write has keys, so that a second run of a job changes nothing.
"""

from __future__ import annotations

import datetime
import functools
import itertools
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from control_plane.errors import NotFound
from control_plane.running import audit, canonical, inserts, tasks
from control_plane.running.canonical import JSON
from control_plane.running.delays import HOUR, MINUTE, Delays
from control_plane.running.faults import told
from control_plane.running.tables import job
from control_plane.storage.columns import Instant, Serial
from control_plane.storage.prepared import Prepared
from sfu import logs

log = logging.getLogger("stentor.control")
RETRIES = Delays((10, MINUTE, 5 * MINUTE, 30 * MINUTE, 2 * HOUR))
PARK_AFTER = 6
# So long a job that was taken is its taker's. One that takes longer is still locked by it (`hold`).
LEASE = datetime.timedelta(minutes=1)
PARKED = "job_parked"
ACTOR = "system:jobs"


@dataclass(frozen=True)
class Job:
    """A job as its handler sees it. `attempts` counts this one, from 1."""

    id: int
    key: str
    kind: str
    account: str | None
    due_at: datetime.datetime
    payload: Mapping[str, Any]
    attempts: int


# (connection, due_at, job). Its rows are committed together with the job's being done, or not at all.
Handler = Callable[[sa.Connection, datetime.datetime, Job], None]


def put(
    connection: sa.Connection,
    *,
    kind: str,
    key: str,
    due_at: datetime.datetime,
    account: str | None,
    payload: Mapping[str, JSON] | None = None,
    priority: int = 100,
) -> bool:
    """Have this done at `due_at` (or as soon as can be when that is past). A key that was put before, even if that job
    was done or cancelled, changes nothing and gives False. Smaller priorities go first. Raises ValueError for a key
    that is more than ids and codes."""
    row = later(kind=kind, key=key, due_at=due_at, account=account, payload=payload, priority=priority)
    return inserts.once(connection, job, row, index_elements=["key"])


def later(
    *,
    kind: str,
    key: str,
    due_at: datetime.datetime,
    account: str | None,
    payload: Mapping[str, JSON] | None = None,
    priority: int = 100,
) -> Mapping[str, Any]:
    """A job for `put_all`; as `put`, which puts one."""
    canonical.plain(key, kind)
    values: dict[str, Any] = {"key": key, "kind": kind, "account": account, "payload": payload or {}}
    return values | {"due_at": due_at, "try_at": due_at, "priority": priority, "state": "waiting", "attempts": 0}


def put_all(connection: sa.Connection, wanted: Sequence[Mapping[str, Any]]) -> None:
    """Several, by one statement; of those whose key was put before nothing changes."""
    inserts.each_once(connection, job, wanted, index_elements=["key"])


def cancel(connection: sa.Connection, key: str) -> bool:
    """It shall not happen. False when there is no such job or it was done. A parked one lets its account go on. The key
    stays taken: what put it will not put it again when it is repeated."""
    return _CANCEL.run(connection, {"of": key}) == 1


def take(connection: sa.Connection, now: datetime.datetime) -> Job | None:
    """The first job that may be tried now, its attempt counted; None if there is none. For LEASE nobody else gets it.

    The attempt is counted before the work, in a transaction of its own: a job that takes the whole process with it
    comes up again by itself, and is parked as well in the end.
    """
    taken = take_some(connection, now, 1)
    return taken[0] if taken else None


def take_some(connection: sa.Connection, now: datetime.datetime, most: int) -> list[Job]:
    """As `take`, the first so many in their order, as far as they are due at one instant with one priority: what one of
    them puts for later comes after them all. More than one only of those that were never tried: whatever took the
    process with it the last time is alone when it does so again, and is parked alone."""
    while rows := _FIRST.all(connection, {"now": now, "most": most}):
        if rows[0].attempts >= PARK_AFTER:
            _park(connection, now, _job(rows[0]), "the process ended in it")
            continue
        chosen = list(itertools.takewhile(functools.partial(_beside, rows[0]), rows)) or rows[:1]
        _TAKE.run_each(connection, [{"of": row.id, "put_off": now + LEASE} for row in chosen])
        return [_job(row, row.attempts + 1) for row in chosen]
    return []


def _beside(first: Any, row: Any) -> bool:
    """Whether it may be done together with the first."""
    return not row.attempts and (row.due_at, row.priority) == (first.due_at, first.priority)


def hold(connection: sa.Connection, taken: Job) -> bool:
    """Lock it for the transaction that does it. False when another one did it, is at it, or it was cancelled."""
    return _HOLD.first(connection, {"of": taken.id}) is not None


def hold_all(connection: sa.Connection, taken: Sequence[Job]) -> set[int]:
    """As `hold`, several; the ids of those that are still to be done."""
    return set(connection.scalars(_HOLD_ALL, {"of": [one.id for one in taken]}))


def done(connection: sa.Connection, *taken: Job) -> bool:
    """In the same transaction as the work. False when one of them was cancelled meanwhile, so the work must not be
    kept."""
    return not taken or connection.execute(_DONE, {"of": [one.id for one in taken]}).rowcount == len(taken)


def failed(connection: sa.Connection, now: datetime.datetime, taken: Job, fault: Exception) -> None:
    """Try again later, or park it."""
    if taken.attempts >= PARK_AFTER:
        _park(connection, now, taken, told(fault))
        return
    connection.execute(
        job.update()
        .where(job.c.id == taken.id, job.c.state == "waiting")
        .values(try_at=now + RETRIES.after(taken.attempts), error=told(fault))
    )


def give_back(connection: sa.Connection, now: datetime.datetime, taken: Job) -> None:
    """It could not be tried, which is not its fault: the attempt does not count."""
    connection.execute(
        job.update()
        .where(job.c.id == taken.id, job.c.state == "waiting", job.c.attempts == taken.attempts)
        .values(attempts=taken.attempts - 1, try_at=max(now, taken.due_at))
    )


def unpark(connection: sa.Connection, now: datetime.datetime, *, key: str, actor: str) -> None:
    """The cause is gone: the job gets all its attempts anew, and its account goes on. Raises NotFound unless parked."""
    row = connection.execute(sa.select(job).where(job.c.key == key, job.c.state == "parked")).one_or_none()
    if row is None:
        raise NotFound("not_parked", "no job is parked under this key")
    again = {"state": "waiting", "attempts": 0, "try_at": max(now, row.due_at)}
    connection.execute(job.update().where(job.c.id == row.id).values(again))
    tasks.settle(connection, now, kind=PARKED, ref=key, actor=actor)
    audit.record(connection, now, actor=actor, account=row.account, code="job_unparked", ids={"job": key})


def next_at(connection: sa.Connection) -> datetime.datetime | None:
    """When the next job may be tried. It may be in the past; None when nothing waits that may go."""
    at: datetime.datetime | None = _NEXT_AT.value(connection, {})
    return at


def oldest_due(connection: sa.Connection) -> datetime.datetime | None:
    """The business time of the first job that may go, by its place in the order; it may lie ahead. None when nothing
    waits that may go."""
    return connection.execute(_OLDEST_DUE).scalar_one_or_none()


def parked(connection: sa.Connection) -> list[Job]:
    """All that stand still, the oldest first."""
    rows = connection.execute(sa.select(job).where(job.c.state == "parked").order_by(job.c.id))
    return [_job(row) for row in rows]


def _may_go() -> tuple[sa.ColumnElement[bool], ...]:
    """It waits, and nothing of its account is parked or comes before it."""
    other = job.alias("other")
    mine = other.c.account == job.c.account
    before = sa.tuple_(other.c.due_at, other.c.priority, other.c.id) < sa.tuple_(job.c.due_at, job.c.priority, job.c.id)
    return (
        job.c.state == _WAITING,
        ~sa.exists().where(mine, other.c.state == "parked"),
        ~sa.exists().where(mine, other.c.state == "waiting", before),
    )


def _park(connection: sa.Connection, now: datetime.datetime, poison: Job, error: str) -> None:
    connection.execute(
        job.update()
        .where(job.c.id == poison.id, job.c.state == "waiting")
        .values(state="parked", error=error, attempts=poison.attempts)
    )
    # Said before the commit: told twice is better than not at all.
    which = logs.fields(id=poison.id, kind=poison.kind, account=poison.account or "", fault=error)
    log.error("job parked", extra=which)
    words: dict[str, JSON] = {"job": poison.kind, "error": error}
    tasks.raise_task(connection, now, kind=PARKED, ref=poison.key, account=poison.account, payload=words)
    audit.record(connection, now, actor=ACTOR, account=poison.account, code=PARKED, ids={"job": poison.key})


def _job(row: Any, attempts: int | None = None) -> Job:
    counted = row.attempts if attempts is None else attempts
    return Job(row.id, row.key, row.kind, row.account, row.due_at, row.payload, counted)


# Written out, not bound: an index of the waiting rows alone is used by who says so in the statement itself.
_WAITING: sa.ColumnElement[str] = sa.literal_column("'waiting'")
_IN_ORDER = (job.c.due_at, job.c.priority, job.c.id)
_NOW = sa.bindparam("now", type_=Instant)
_FIRST = Prepared(
    sa.select(job)
    .where(job.c.due_at <= _NOW, job.c.try_at <= _NOW, *_may_go())
    .order_by(*_IN_ORDER)
    .limit(sa.bindparam("most", type_=sa.Integer))
    .with_for_update(skip_locked=True)
)
_NEXT_AT = Prepared(sa.select(job.c.try_at).where(*_may_go()).order_by(job.c.try_at).limit(1))
_OLDEST_DUE = sa.select(job.c.due_at).where(*_may_go()).order_by(*_IN_ORDER).limit(1)
_MINE = job.c.id == sa.bindparam("of", type_=Serial)
_TAKE = Prepared(
    job.update().where(_MINE).values(attempts=job.c.attempts + 1, try_at=sa.bindparam("put_off", type_=Instant))
)
_HOLD = Prepared(sa.select(job.c.id).where(_MINE, job.c.state == "waiting").with_for_update(skip_locked=True))
_THEY_WAIT = (job.c.id.in_(sa.bindparam("of", expanding=True)), job.c.state == "waiting")
_HOLD_ALL = sa.select(job.c.id).where(*_THEY_WAIT).with_for_update(skip_locked=True)
_DONE = job.update().where(*_THEY_WAIT).values(state="done", error=None)
_CANCEL = Prepared(
    job.update()
    .where(job.c.key == sa.bindparam("of"), sa.or_(job.c.state == "waiting", job.c.state == "parked"))
    .values(state="cancelled")
)
