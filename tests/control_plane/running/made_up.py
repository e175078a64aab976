"""Made-up kinds of jobs that post rows and mails and put further jobs, and a world outside that takes what is sent."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa

from control_plane.ledger import journal
from control_plane.ledger import tables as ledger
from control_plane.ledger.chart import credit, debit
from control_plane.money import Money
from control_plane.running import events, inserts, jobs, outbox
from control_plane.running.tables import audit_entry, event, job, staff_task, webhook
from control_plane.running.tables import outbox as outbox_table
from control_plane.storage.store import Store

NOON = datetime.datetime(2026, 1, 31, 12, tzinfo=datetime.UTC)
SECOND, MINUTE, HOUR, DAY = (datetime.timedelta(seconds=n) for n in (1, 60, 3600, 86_400))
LINES = [debit("bank", Money(1000, "EUR")), credit("revenue:plan", Money(1000, "EUR"))]

_tables = sa.MetaData()
posted = sa.Table(
    "made_up_posted",
    _tables,
    sa.Column("key", sa.Text, primary_key=True),
    sa.Column("at", sa.Text),
    sa.Column("amount", sa.BigInteger),
    # In what order rows were posted is part of what must be the same.
    sa.Column("place", sa.BigInteger),
)


def prepared(store: Store) -> Store:
    store.write(_tables.create_all)
    return store


def post(connection: sa.Connection, at: datetime.datetime, key: str, amount: int) -> None:
    place = connection.execute(sa.select(sa.func.count()).select_from(posted)).scalar_one()
    row = {"key": key, "at": at.isoformat(), "amount": amount, "place": place}
    inserts.once(connection, posted, row, index_elements=["key"])


def rent(connection: sa.Connection, at: datetime.datetime, job: jobs.Job) -> None:
    """Posts, in the ledger too, mails, and puts the next of its kind 30 days on, `left` times."""
    post(connection, at, job.key, 1000)
    journal.post(connection, at, idem_key=f"rent:{job.key}", effective_at=at, reason="rent", ref=job.key, lines=LINES)
    outbox.put(connection, at, kind="mail", key=f"mail:{job.key}", account=job.account, payload={"at": at.isoformat()})
    if job.account is not None and first_time(connection, job.key):
        events.emit(connection, at, account=job.account, kind="rent.paid", payload={"job": job.key})
    left = job.payload["left"]
    if left:
        again = at + 30 * DAY
        key = f"{job.key.split(':')[0]}:{again.date().isoformat()}"
        jobs.put(connection, kind="rent", key=key, due_at=again, account=job.account, payload={"left": left - 1})


def first_time(connection: sa.Connection, key: str) -> bool:
    """An event has no key of its own; what emits it once guards it by a row of its own."""
    row = {"key": f"event:{key}", "at": "", "amount": 0, "place": -1}
    return inserts.once(connection, posted, row, index_elements=["key"])


def spread(connection: sa.Connection, at: datetime.datetime, job: jobs.Job) -> None:
    """Puts jobs at these hours from its own (some in the past), the later ones with the better priority."""
    for place, hours in enumerate(job.payload["hours"]):
        jobs.put(
            connection,
            kind="note",
            key=f"{job.key}/{place}",
            due_at=at + hours * HOUR,
            account=job.account,
            payload={"amount": hours},
            priority=100 - place,
        )


def note(connection: sa.Connection, at: datetime.datetime, job: jobs.Job) -> None:
    post(connection, at, job.key, job.payload["amount"])


def flaky(connection: sa.Connection, at: datetime.datetime, job: jobs.Job) -> None:
    """Fails so many times, having written half of it each time."""
    post(connection, at, job.key, job.attempts)
    if job.attempts <= job.payload["fails"]:
        raise RuntimeError("not yet")
    outbox.put(connection, at, kind="mail", key=f"mail:{job.key}", account=job.account, payload={})


def revoke(connection: sa.Connection, at: datetime.datetime, job: jobs.Job) -> None:
    """Cancels another one."""
    post(connection, at, job.key, 0)
    jobs.cancel(connection, job.payload["target"])


HANDLERS: Mapping[str, jobs.Handler] = {
    "rent": rent,
    "spread": spread,
    "note": note,
    "flaky": flaky,
    "revoke": revoke,
}


@dataclass
class Outside:
    """Takes letters; fails where it is told to. `got` keeps what arrived, repetitions too."""

    got: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    fails: int = 0

    def __call__(self, letter: outbox.Letter) -> None:
        if self.fails:
            self.fails -= 1
            raise ConnectionError("away")
        self.got.append((letter.key, dict(letter.payload)))

    @property
    def keys(self) -> list[str]:
        return [key for key, _ in self.got]


def put(
    store: Store, kind: str, key: str, due_at: datetime.datetime, account: str | None = "acc_a", **payload: Any
) -> bool:
    return store.write(
        lambda connection: jobs.put(connection, kind=kind, key=key, due_at=due_at, account=account, payload=payload)
    )


def rows(store: Store) -> dict[str, list[tuple[Any, ...]]]:
    """Every row that is there, for comparing. Ids are left out where two runs may count differently."""

    def look(connection: sa.Connection) -> dict[str, list[tuple[Any, ...]]]:
        found: dict[str, list[tuple[Any, ...]]] = {}
        books = (ledger.accounts, ledger.transactions, ledger.lines, ledger.seals)
        for table in (job, outbox_table, staff_task, audit_entry, event, webhook, posted, *books):
            columns = [column for column in table.c if column.name not in ("id",)]
            order = [table.c.id] if "id" in table.c and table is not event else list(table.primary_key)
            found[table.name] = [tuple(row) for row in connection.execute(sa.select(*columns).order_by(*order))]
        return found

    return store.read(look)


def amounts(store: Store) -> list[int]:
    """What was posted, in order."""
    wanted = sa.select(posted.c.amount).where(posted.c.place >= 0).order_by(posted.c.place)
    return list(store.read(lambda connection: connection.execute(wanted).scalars().all()))


def state(store: Store, key: str) -> tuple[str, int]:
    """(state, attempts) of a job."""
    wanted = sa.select(job.c.state, job.c.attempts).where(job.c.key == key)
    row = store.read(lambda connection: connection.execute(wanted).one())
    return row.state, row.attempts


def note_of(amount: int) -> jobs.Handler:
    """A handler that posts this amount whatever it was given."""

    def handler(connection: sa.Connection, at: datetime.datetime, job: jobs.Job) -> None:
        post(connection, at, job.key, amount)

    return handler
