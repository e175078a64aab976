"""[I/O] What a scrape reads of the database, in a thread of its own and in bounded time.

The figures must be told above all when everything else is stuck: so nothing here waits for the threads that serve
requests, and a database that does not answer in time costs its own figures alone.
"""

from __future__ import annotations

import asyncio
import contextlib
import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import sqlalchemy as sa
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from sqlalchemy.exc import SQLAlchemyError

from control_plane.clock import Clock
from control_plane.running import backlog
from control_plane.running.backlog import Backlog
from control_plane.storage.store import Store
from control_plane.watch.measures import PREFIX
from control_plane.watch.timing import stopwatch

# A scraper waits ten seconds by default, and half a minute of stale figures is nothing.
WITHIN_S = 2.0
# /readyz is for strangers, too: however many ask, the database is asked once in so long.
READY_FOR_S = 1.0


class Disk(Collector):
    """What is left where the folder is."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def collect(self) -> Iterator[Metric]:
        # A folder that is away has no figure, and the others are told.
        with contextlib.suppress(OSError):
            free = shutil.disk_usage(self._folder).free
            yield _gauge("folder_free_bytes", "Left on the disk of control.folder.", free)


class Reading(Collector):
    """The backlog as of the newest scrape, and whether the database answers."""

    def __init__(self, store: Store, clock: Clock, within_s: float = WITHIN_S) -> None:
        self._store, self._clock, self._within_s = store, clock, within_s
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="figures")
        self._under_way: Future[None] | None = None
        self._seen: Backlog | None = None
        self._took_s = 0.0
        self._up = False
        self._since: Callable[[], float] | None = None

    async def look(self) -> bool:
        """Read all anew; tells whether the database answered in time. If not, the read goes on and no other begins."""
        if self._under_way is None or self._under_way.done():
            self._under_way = self._thread.submit(self._read)
        try:
            await asyncio.wait_for(asyncio.shield(asyncio.wrap_future(self._under_way)), self._within_s)
        except TimeoutError:
            self._seen, self._up = None, False
        self._since = stopwatch()
        return self._up

    async def ready(self) -> bool:
        """Whether the database answered within the last READY_FOR_S, or does now."""
        if self._since is None or self._since() > READY_FOR_S:
            return await self.look()
        return self._up

    def close(self) -> None:
        self._thread.shutdown(wait=False, cancel_futures=True)

    def _read(self) -> None:
        took = stopwatch()
        try:
            self._seen = self._store.read(self._all)
            self._up = True
        except (SQLAlchemyError, OSError):  # which was counted where it happened
            self._seen, self._up = None, False
        self._took_s = took()

    def _all(self, connection: sa.Connection) -> Backlog:
        if connection.dialect.name == "postgresql":
            connection.exec_driver_sql(f"SET LOCAL statement_timeout = {int(self._within_s * 1000)}")
        return backlog.read(connection, self._clock.now())

    def collect(self) -> Iterator[Metric]:
        yield _gauge("database_up", "1 = the database answered this scrape in time.", int(self._up))
        yield _gauge("database_look_seconds", "How long the newest look at the figures below took.", self._took_s)
        seen = self._seen
        if seen is not None:
            yield from _figures(seen)


def _figures(seen: Backlog) -> Iterator[Metric]:
    standing = _by("jobs", "Jobs that wait for their time or their turn, or are parked.", "state")
    standing.add_metric(["waiting"], seen.jobs_waiting)
    standing.add_metric(["parked"], seen.jobs_parked)
    yield standing
    yield _gauge("jobs_late_seconds", "For how long the first job that may go has been due.", seen.jobs_late_s)
    rows = _by("outbox_waiting", "Mails and media commands that have not arrived.", "kind")
    oldest = _by("outbox_oldest_seconds", "For how long the first of them has waited.", "kind")
    for kind, waiting in seen.outbox.items():
        rows.add_metric([kind], waiting.rows)
        oldest.add_metric([kind], waiting.oldest_s)
    yield from (rows, oldest)
    yield _gauge("webhooks_failing", "Customers' endpoints whose last call failed.", seen.webhooks_failing)
    yield _gauge("webhooks_failing_seconds", "For how long the first of them has.", seen.webhooks_failing_s)
    tasks = _by("staff_tasks", "What the staff has to look at.", "kind")
    for kind, count in seen.tasks.items():
        tasks.add_metric([kind], count)
    yield tasks
    yield _gauge("audit_rows", "Number of the newest row of the audit.", seen.audit_rows)


def _gauge(name: str, words: str, value: float) -> Metric:
    return GaugeMetricFamily(PREFIX + name, words, value=value)


def _by(name: str, words: str, label: str) -> GaugeMetricFamily:
    return GaugeMetricFamily(PREFIX + name, words, labels=[label])
