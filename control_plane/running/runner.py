"""[I/O] Does what is due, by the real clock, in threads of its own; wakes when something was committed, ends cleanly.

As many runners as one likes may work on one database: on PostgreSQL rows are taken with SKIP LOCKED, on SQLite one
writes at a time; no job is done twice.
"""

from __future__ import annotations

import contextlib
import datetime
import logging
import threading
import time
from collections import Counter
from collections.abc import Collection, Iterator
from typing import Any

import sqlalchemy as sa
from sqlalchemy import event

from control_plane.clock import Clock
from control_plane.running.faults import told
from control_plane.running.work import Lane, Work
from control_plane.storage.prepared import WRITTEN
from control_plane.storage.store import Store
from sfu import logs

log = logging.getLogger("stentor.control")
# What another process has committed rings no bell here.
LOOK_EVERY_S = 1.0
# Slow endpoints hold up others only when there are so many of them at once.
HOOK_THREADS = 4
_SHORTEST_S, _LONGEST_S = 0.02, 30.0


class Bell:
    """Rung for the tables that were written. Who counts before he looks misses no ringing.

    Of the threads of a lane one is woken, and wakes the next if he finds something: every look costs a read.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._rung: Counter[sa.Table] = Counter()
        self._waiting: dict[Lane, threading.Condition] = {}

    def count(self, lane: Lane) -> int:
        """How often it was rung for tables that this lane looks at."""
        with self._lock:
            return self._counted(lane)

    def ring(self, tables: Collection[sa.Table]) -> None:
        with self._lock:
            self._rung.update(tables)
            for lane, condition in self._waiting.items():
                if any(table in tables for table in lane.tables):
                    condition.notify()

    def wait(self, lane: Lane, counted: int, within_s: float) -> bool:
        """Until it was rung more often than `counted`, or `within_s` has passed. Tells whether it was."""
        with self._lock:
            condition = self._waiting.get(lane)
            if condition is None:
                condition = self._waiting[lane] = threading.Condition(self._lock)
            return condition.wait_for(lambda: self._counted(lane) != counted, within_s)

    def _counted(self, lane: Lane) -> int:
        return sum(self._rung[table] for table in lane.tables)


def ring_after_commits(store: Store, bell: Bell) -> None:
    """From now on every commit through this store rings the bell for what it wrote, once its rows can be seen."""

    @event.listens_for(store.engine, "after_execute")
    def _executed(connection: Any, clause: Any, several: Any, one: Any, options: Any, result: Any) -> None:
        if getattr(clause, "is_dml", False):
            connection.info.setdefault(WRITTEN, set()).add(clause.table)

    @event.listens_for(store.engine, "rollback")
    def _rolled_back(connection: Any) -> None:
        connection.info.pop(WRITTEN, None)

    # The event "commit" comes before the commit; when the connection is back in the pool it is done.
    @event.listens_for(store.engine, "commit")
    def _committing(connection: Any) -> None:
        connection.info["stentor_committed"] = connection.info.pop(WRITTEN, None)

    @event.listens_for(store.engine, "checkin")
    def _back(raw: Any, record: Any) -> None:
        record.info.pop(WRITTEN, None)
        written = record.info.pop("stentor_committed", None)
        if written:
            bell.ring(written)


class Runner:
    """`start` once, `stop` once."""

    def __init__(self, work: Work, clock: Clock, bell: Bell) -> None:
        self._work, self._clock, self._bell = work, clock, bell
        self._stopping = threading.Event()
        self._threads: list[threading.Thread] = []
        self._steps = threading.Condition()
        self._under_way, self._held = 0, False

    def start(self) -> None:
        for lane in self._work.lanes():
            for number in range(HOOK_THREADS if lane.name == "webhooks" else 1):
                name = f"{lane.name}-{number}"
                self._threads.append(threading.Thread(target=self._run, args=(lane,), name=name, daemon=True))
        for thread in self._threads:
            thread.start()

    def stop(self, within_s: float = 20.0) -> bool:
        """Finish the steps that are being taken and begin no other. False when one was not finished in time: it loses
        nothing, it will be taken again."""
        self._stopping.set()
        self._ring_all()
        with self._steps:
            self._steps.notify_all()
        deadline = time.monotonic() + within_s
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        return not any(thread.is_alive() for thread in self._threads)

    @contextlib.contextmanager
    def paused(self) -> Iterator[None]:
        """Within it no step is taken. It begins when those under way are finished. One at a time."""
        with self._steps:
            self._held = True
            self._steps.wait_for(lambda: not self._under_way)
        try:
            yield
        finally:
            with self._steps:
                self._held = False
                self._steps.notify_all()
            self._ring_all()

    def _ring_all(self) -> None:
        """Once a thread, for of the threads of a lane one ringing wakes one."""
        everything = {table for lane in self._work.lanes() for table in lane.tables}
        for _ in self._threads:
            self._bell.ring(everything)

    def _step(self, lane: Lane) -> bool:
        with self._steps:
            self._steps.wait_for(lambda: not self._held or self._stopping.is_set())
            if self._stopping.is_set():
                return False
            self._under_way += 1
        try:
            return lane.step(self._clock.now())
        finally:
            with self._steps:
                self._under_way -= 1
                self._steps.notify_all()

    def _run(self, lane: Lane) -> None:
        failures = 0
        while not self._stopping.is_set():
            counted = self._bell.count(lane)
            try:
                pause_s = self._until(lane)
                if pause_s <= 0:
                    # Somebody else of this lane may take the next meanwhile, and looks whether there is one.
                    self._bell.ring(lane.tables)
                    counted = self._bell.count(lane)
                    while self._step(lane):
                        pass
                    pause_s = max(_SHORTEST_S, self._until(lane))
                failures = 0
            except Exception as fault:
                # The database is away or busy. Nothing is lost; it will come back.
                failures += 1
                pause_s = min(_LONGEST_S, 0.1 * 2 ** min(failures, 10))
                log.warning("a runner pauses", extra=logs.fields(lane=lane.name, wait_s=pause_s, fault=told(fault)))
                self._stopping.wait(pause_s)
                continue
            self._bell.wait(lane, counted, pause_s)

    def _until(self, lane: Lane) -> float:
        """Seconds until it is to look again; 0 or less: something may be taken now."""
        at = self._work.store.read(lane.next_at)
        if at is None:
            return LOOK_EVERY_S
        return min(LOOK_EVERY_S, (at - self._clock.now()) / datetime.timedelta(seconds=1))
