"""[I/O] A night of renewals: a control plane in a process of its own, and many subscriptions that are due at once.

It is the product as its process builds it (control_plane.assembly): the application over HTTP, the runner's threads, on
SQLite with synchronous=FULL or on PostgreSQL, the faithful gateway and the development's mailbox. Only the clock is
ours: it goes on from the eve, and is put over the boundary when it is told to; and where it is asked for, the gateway
is a way off. It obeys lines on standard input and answers in JSON.
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import os
import socket
import sqlite3
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

import msgspec
import sqlalchemy as sa
import uvicorn
import uvloop
from anyio.from_thread import start_blocking_portal
from sqlalchemy import event

from benchmarks.control_plane import moved, subscribers
from benchmarks.control_plane.judge import Night
from benchmarks.control_plane.subscribers import BOUNDARY, EVE
from control_plane import assembly, clockwork, paying
from control_plane.assembly import Built
from control_plane.billing.tables import invoices, payments, periods
from control_plane.gateway.fake.shelf import FILE as GATEWAY_FILE
from control_plane.gateway.memory import MemoryGateway
from control_plane.gateway.port import ChargeOrder, Outcome
from control_plane.ledger import journal
from control_plane.ledger import tables as ledger
from control_plane.running import jobs, tables
from control_plane.storage.store import Store
from sfu import companion
from tests.control_plane.people import World
from tests.control_plane.product import BASE_URL, told

LOOK_EVERY_S = 1.0
END_WITHIN_S = 30.0
MOMENT = datetime.timedelta(microseconds=1)


@dataclass(frozen=True)
class Place:
    """Where a night falls. `database` of PostgreSQL, or SQLite; a gateway that takes `gateway_ms` more for each charge
    and has so many `at_once`."""

    database: str = ""
    gateway_ms: int = 0
    at_once: int = 1


class Ready(msgspec.Struct, frozen=True, kw_only=True):
    """It answers at this port; `room` is the number of a meeting that everybody may join."""

    port: int
    room: str


class Progress(msgspec.Struct, frozen=True, kw_only=True, tag="progress"):
    """So many are renewed."""

    renewed: int


class _Clock:
    """Stands; then goes with the machine's."""

    def __init__(self, at: datetime.datetime) -> None:
        self._at, self._since = at, 0.0

    def now(self) -> datetime.datetime:
        gone = time.monotonic() - self._since if self._since else 0.0
        return self._at + datetime.timedelta(seconds=gone)

    def advance_to(self, instant: datetime.datetime) -> None:
        self._at, self._since = instant, time.monotonic() if self._since else 0.0

    def go(self) -> None:
        self._since = time.monotonic()


class _Counted:
    """What the runner's threads send to the database, by lane, and when they committed first and last."""

    def __init__(self, store: Store) -> None:
        self.statements: Counter[str] = Counter()
        self.commits: Counter[str] = Counter()
        self.first_s = self.last_s = 0.0
        event.listen(store.engine, "before_cursor_execute", self._statement)
        event.listen(store.engine, "commit", self._commit)

    def begin(self) -> None:
        self.statements.clear()
        self.commits.clear()
        self.first_s = self.last_s = 0.0

    def _statement(self, *ignored: Any) -> None:
        lane = _lane()
        if lane:
            self.statements[lane] += 1

    def _commit(self, connection: sa.Connection) -> None:
        lane = _lane()
        if lane:
            self.commits[lane] += 1
            self.last_s = time.monotonic()
            self.first_s = self.first_s or self.last_s


def _far(place: Place) -> type[MemoryGateway]:
    """A gateway that is a way off."""

    class Far(MemoryGateway):
        at_once = place.at_once

        def charge(self, order: ChargeOrder) -> Outcome:
            # Nothing is awaited: this is the load itself, the time that another machine takes for a charge.
            time.sleep(place.gateway_ms / 1000)
            return super().charge(order)

    return Far


def _lane() -> str:
    """Of the thread, by the name that its runner gave it; "" where it is another."""
    if threading.current_thread().name.startswith("carrying"):
        return "gateway"  # the only one that carries several at one time
    name, _, number = threading.current_thread().name.rpartition("-")
    return name if number.isdigit() and name in ("jobs", "gateway", "mail", "media", "webhooks") else ""


def faults_of(store: Store, folder: Path, count: int) -> list[str]:
    """What a night must not have done, and did: each was to be renewed exactly once."""

    def look(connection: sa.Connection) -> list[tuple[str, Any, Any]]:
        def number(*wanted: Any, where: Any) -> tuple[int, ...]:
            return tuple(int(one or 0) for one in connection.execute(sa.select(*wanted).where(where)).one())

        new = invoices.c.made_at >= BOUNDARY
        accounts = sa.func.count(sa.distinct(invoices.c.account))
        six_last = sa.func.substr(invoices.c.number, sa.func.length(invoices.c.number) - 5)
        digits = sa.cast(six_last, sa.Integer)
        yearly = invoices.c.number.is_not(None)
        sums: Counter[str] = Counter()
        for account, amount in journal.balances(connection).items():
            sums[account.currency] += amount
        posted = sa.func.count(ledger.transactions.c.id)
        booked = ledger.transactions.c.effective_at >= BOUNDARY
        of = ledger.transactions.c.reason
        return [
            ("invoices, and of how many", number(sa.func.count(), accounts, where=new), (count, count)),
            ("paid invoices", number(sa.func.count(), where=new & (invoices.c.state == "paid")), (count,)),
            ("first and last number of an invoice", number(sa.func.min(digits), sa.func.max(digits), where=yearly),
             (1, 2 * count)),
            ("payments, and of how many", number(sa.func.count(), sa.func.count(sa.distinct(payments.c.account)),
             where=payments.c.made_at >= BOUNDARY), (count, count)),
            ("payments that succeeded", number(sa.func.count(), where=(payments.c.made_at >= BOUNDARY)
             & (payments.c.state == "succeeded")), (count,)),
            ("periods, and of how many", number(sa.func.count(), sa.func.count(sa.distinct(periods.c.account)),
             where=periods.c.first == BOUNDARY.date()), (count, count)),
            ("postings of payments", number(posted, where=booked & (of == "invoice_paid")), (count,)),
            ("postings of revenue", number(posted, where=booked & (of == "revenue")), (count,)),
            ("sums of the ledger", dict(sums), {"EUR": 0}),
            ("mails of payments", number(sa.func.count(), where=(tables.outbox.c.kind == "mail")
             & (tables.outbox.c.state == "sent") & tables.outbox.c.key.startswith("billing_paid:")), (count,)),
            ("rows of the outbox not sent", number(sa.func.count(), where=tables.outbox.c.state != "sent"), (0,)),
            ("parked jobs", len(jobs.parked(connection)), 0),
            ("tasks for the staff", number(sa.func.count(), where=tables.staff_task.c.done_at.is_(None)), (0,)),
        ]  # fmt: skip

    with contextlib.closing(sqlite3.connect(folder / GATEWAY_FILE)) as gateway:
        (charged,) = gateway.execute("SELECT count(*) FROM record WHERE kind = 'Charge'").fetchone()
    # One of them paid there before; the others' first payments are copies that it never saw.
    seen = [*store.read(look), ("charges at the gateway", charged, count + 1)]
    return [f"{what}: {found}, not {wanted}" for what, found, wanted in seen if found != wanted]


def _renewed(connection: sa.Connection) -> int:
    wanted = sa.select(sa.func.count()).where(periods.c.first == BOUNDARY.date())
    return int(connection.scalar(wanted) or 0)


def _over(connection: sa.Connection, now: datetime.datetime) -> bool:
    # Written out, so that it looks into the index of what waits, and not through all that was sent.
    waits = sa.select(tables.outbox.c.id).where(tables.outbox.c.state == sa.literal_column("'waiting'")).limit(1)
    # By its business time: a job that somebody is at is not to be tried again for a while, and not done.
    at = jobs.oldest_due(connection)
    return (at is None or at > now) and connection.execute(waits).one_or_none() is None


def _room(built: Built, clock: _Clock) -> str:
    """A host signs up by the API and plans a meeting."""
    with start_blocking_portal() as portal:
        world = World(built.store, clock, built.app, portal, BASE_URL)  # type: ignore[arg-type]
        made = world.customer("host@example.com").call("POST", "/events", {"kind": "meeting", "title": "Lesson"})
        if not made.is_success:
            raise RuntimeError(f"no room: {made.status_code} {made.text}")
        return str(made.json()["number"])


class _HttpServer(uvicorn.Server):
    """uvicorn without signal handlers of its own."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@contextlib.asynccontextmanager
async def _serving(built: Built) -> AsyncIterator[int]:
    """The application at a free port, as its process serves it, and the runner's threads."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as bound:
        bound.bind(("127.0.0.1", 0))
        http = _HttpServer(uvicorn.Config(built.app, log_config=None, access_log=False, server_header=False))
        serving = asyncio.ensure_future(http.serve(sockets=[bound]))
        built.runner.start()
        try:
            yield bound.getsockname()[1]
        finally:
            http.should_exit = True
            await serving
            await asyncio.to_thread(built.runner.stop)


async def _night(built: Built, clock: _Clock, folder: Path, count: int) -> Night:
    counted = _Counted(built.store)
    cpu_s = time.process_time()
    clock.advance_to(BOUNDARY + MOMENT)
    while not await asyncio.to_thread(built.store.read, lambda connection: _over(connection, clock.now())):
        _say(Progress(renewed=await asyncio.to_thread(built.store.read, _renewed)))
        await asyncio.sleep(LOOK_EVERY_S)
    cpu_s = time.process_time() - cpu_s
    return Night(
        subscribers=count,
        took_s=counted.last_s - counted.first_s,
        cpu_s=cpu_s,
        statements=dict(counted.statements),
        commits=dict(counted.commits),
        faults=await asyncio.to_thread(faults_of, built.store, folder, count),
    )


def _say(what: msgspec.Struct) -> None:
    sys.stdout.buffer.write(msgspec.json.encode(what) + b"\n")
    sys.stdout.buffer.flush()


async def _obey(folder: Path, count: int, place: Place, database: str) -> None:
    subscribers.make(folder, count)
    clock = _Clock(EVE)
    store = Store(f"sqlite:///{folder / subscribers.FILE}")
    if database:
        made, store = store, Store(database)
        moved.carry(made, store)
        made.close()
    with mock.patch.object(paying, "MemoryGateway", _far(place)):
        built = assembly.build(told(store, str(folder), dev=True), clock)
    store.close()
    room = await asyncio.to_thread(_room, built, clock)
    clockwork.settle(clock, built.work)  # type: ignore[arg-type]
    clock.go()
    async with _serving(built) as port:
        _say(Ready(port=port, room=room))
        await asyncio.to_thread(sys.stdin.buffer.readline)
        _say(await _night(built, clock, folder, count))
        # Who asks meanwhile is answered to the end.
        await asyncio.to_thread(sys.stdin.buffer.readline)
    built.close()


def main() -> None:
    # Not in /tmp, which may be memory: a commit is to reach the disk.
    count, place = int(sys.argv[1]), msgspec.json.decode(sys.argv[2], type=Place)
    with (
        tempfile.TemporaryDirectory(prefix="stentor-night-", dir="/var/tmp") as folder,
        moved.schema(place.database) if place.database else contextlib.nullcontext("") as address,
    ):
        uvloop.run(_obey(Path(folder), count, place, address))


# -- the side of whoever measures --


class Nightly:
    """`async with Nightly.of(count, place) as night`."""

    def __init__(self, child: asyncio.subprocess.Process, ready: Ready) -> None:
        self._child, self.ready = child, ready

    @classmethod
    @contextlib.asynccontextmanager
    async def of(cls, count: int, place: Place) -> AsyncIterator[Nightly]:
        """With so many subscribers. Raises RuntimeError when it does not come up."""
        child = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "benchmarks.control_plane.night", str(count), msgspec.json.encode(place).decode()),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            env=companion.environment(os.environ),
        )
        try:
            yield cls(child, msgspec.json.decode(await _line(child), type=Ready))
        finally:
            if child.stdin is not None:
                child.stdin.close()
            try:
                await asyncio.wait_for(child.wait(), END_WITHIN_S)
            except TimeoutError:
                child.kill()
                await child.wait()

    async def falls(self, progress: Callable[[int], None]) -> Night:
        """The boundary is passed, and everything done that is due; `progress` is told how many are renewed."""
        if self._child.stdin is None:
            raise RuntimeError("the night has no pipe")
        self._child.stdin.write(b"go\n")
        await self._child.stdin.drain()
        while True:
            said = msgspec.json.decode(await _line(self._child), type=Progress | Night)
            if isinstance(said, Night):
                return said
            progress(said.renewed)


async def _line(child: asyncio.subprocess.Process) -> bytes:
    line = b"" if child.stdout is None else await child.stdout.readline()
    if not line:
        raise RuntimeError("the process of the night has ended")
    return line


if __name__ == "__main__":
    main()
