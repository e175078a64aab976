"""[I/O] Walks the audit's chains, one after the other, in a thread of its own, so slowly that nobody notices.

A row that was changed, cut off or slipped in by somebody with access to the database is found within one walk, logged,
and counted for the alert; nothing is mended.
"""

from __future__ import annotations

import datetime
import logging
import threading
from collections.abc import Iterator
from dataclasses import dataclass

import sqlalchemy as sa
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from control_plane.clock import Clock
from control_plane.running import audit
from control_plane.running.faults import told
from control_plane.storage.store import Store
from control_plane.watch.measures import PREFIX
from sfu import logs

log = logging.getLogger("stentor.control")
# A row costs some 30 us of the one core that Python has, so this is about one per cent of it. A chain is not divided.
ROWS_A_STEP, STEP_EVERY_S = 400, 1.0
WALK_EVERY_S = 3600.0


@dataclass(frozen=True)
class Walk:
    """All chains were looked at once."""

    chains: int
    rows: int
    breaks: int
    ended_at: datetime.datetime


class Auditor(Collector):
    """`start` once, `stop` once. `last` is the newest whole walk."""

    def __init__(self, store: Store, clock: Clock, rows_a_step: int = ROWS_A_STEP) -> None:
        self._store, self._clock, self._rows_a_step = store, clock, rows_a_step
        self.last: Walk | None = None
        self._begin()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="auditor", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self, within_s: float) -> None:
        self._stopping.set()
        if self._thread.ident is not None:
            self._thread.join(within_s)

    def step(self) -> bool:
        """Look at the next chains. True when that ended a walk; the next step begins another."""
        if self._store.read(self._look):
            return False
        self.last = Walk(self._chains, self._rows, self._breaks, self._clock.now())
        self._begin()
        return True

    def collect(self) -> Iterator[Metric]:
        last = self.last
        breaks = max(self._breaks, 0 if last is None else last.breaks)
        yield GaugeMetricFamily(
            PREFIX + "audit_breaks", "Places at which the audit's chains do not hold, in the newest walk.", value=breaks
        )
        if last is not None:
            age_s = (self._clock.now() - last.ended_at).total_seconds()
            yield GaugeMetricFamily(
                PREFIX + "audit_walked_rows", "Rows of the audit that the last whole walk looked at.", value=last.rows
            )
            yield GaugeMetricFamily(
                PREFIX + "audit_walked_age_seconds", "Since all chains were last looked at.", value=age_s
            )

    def _begin(self) -> None:
        self._after, self._chains, self._rows, self._breaks = "", 0, 0, 0

    def _look(self, connection: sa.Connection) -> bool:
        """False at the end of a walk."""
        until = self._rows + self._rows_a_step
        while self._rows < until and not self._stopping.is_set():
            found = audit.next_chain(connection, self._after)
            if found is None:
                return False
            chain, number = found
            for one in audit.verify_chain(connection, chain):
                self._breaks += 1
                # A chain's name is an account's id, or an actor's.
                log.error("audit chain broken", extra=logs.fields(chain=one.chain, number=one.number, why=one.why))
            self._after = chain
            self._chains += 1
            self._rows += max(1, number)
        return True

    def _run(self) -> None:
        pause_s = STEP_EVERY_S
        while not self._stopping.wait(pause_s):
            try:
                pause_s = WALK_EVERY_S if self.step() else STEP_EVERY_S
            except Exception as fault:  # the database is away; the walk goes on where it stood
                log.warning("the audit's walk pauses", extra=logs.fields(fault=told(fault)))
                pause_s = STEP_EVERY_S * 30
