"""[I/O] Listens at the database's engine: how long transactions take, what the database refuses, connections in use."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import sqlalchemy as sa
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from sqlalchemy import event
from sqlalchemy.pool import QueuePool

from control_plane.storage.store import SERIALIZATION_FAILURES, Store
from control_plane.watch.measures import PREFIX, Measures
from control_plane.watch.timing import stopwatch

_STOPWATCH, _WROTE = "stentor_stopwatch", "stentor_wrote"


def watch(store: Store, measures: Measures) -> None:
    """From now on every transaction of this store is measured. What was not committed counts as read."""
    engine = store.engine

    @event.listens_for(engine, "checkout")
    def _out(raw: Any, record: Any, proxy: Any) -> None:
        record.info[_STOPWATCH] = stopwatch()

    @event.listens_for(engine, "commit")
    def _commit(connection: sa.Connection) -> None:
        connection.info[_WROTE] = True

    @event.listens_for(engine, "checkin")
    def _back(raw: Any, record: Any) -> None:
        took = record.info.pop(_STOPWATCH, None)
        kind = "write" if record.info.pop(_WROTE, False) else "read"
        if took is not None:
            measures.transactions.labels(kind).observe(took())

    @event.listens_for(engine, "handle_error")
    def _wrong(context: Any) -> None:
        measures.database_errors.labels(_kind(context.original_exception, context.sqlalchemy_exception)).inc()

    if isinstance(engine.pool, QueuePool):
        measures.registry.register(_Connections(engine.pool))


class _Connections(Collector):
    """How many of the pool's connections are in use, read at the scrape."""

    def __init__(self, pool: QueuePool) -> None:
        self._pool = pool

    def collect(self) -> Iterator[Metric]:
        yield GaugeMetricFamily(
            PREFIX + "database_connections", "Connections to the database in use.", value=self._pool.checkedout()
        )


def _kind(original: BaseException, wrapped: BaseException | None) -> str:
    """One of measures.DATABASE_ERRORS."""
    if getattr(original, "sqlstate", None) in SERIALIZATION_FAILURES:
        return "serialization"
    if isinstance(wrapped, sa.exc.IntegrityError):
        return "integrity"
    return "operational" if isinstance(wrapped, sa.exc.OperationalError | sa.exc.InterfaceError) else "other"
