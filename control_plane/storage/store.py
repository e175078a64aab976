"""[I/O] The database: opened, brought up to date, and used in transactions.

A use case is one function of a connection, run by `Store.write`: it is committed whole or not at all, and run again
when another transaction was in its way, so it must have no effect but its rows (mail goes through the outbox).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.exc import DBAPIError

from control_plane.errors import Unavailable

T = TypeVar("T")

# Transactions that met on PostgreSQL are tried so often; each meeting lets one of them through.
ATTEMPTS = 10
# A writer of SQLite waits for the other one. A transaction of ours lasts a few milliseconds.
BUSY_WITHIN_S = 30
# Kept open: a new one costs more than most transactions. As many again are opened and closed where that is not enough.
CONNECTIONS = 20
SERIALIZATION_FAILURES = ("40001", "40P01")


class Store:
    """One database. `url` is SQLAlchemy's; "sqlite://" alone is in memory and for tests of pure code only.
    `connect_within_s`: of a server that may not be there; None = as long as the system waits."""

    def __init__(self, url: str, connect_within_s: int | None = None) -> None:
        self.engine = _sqlite(url) if url.startswith("sqlite") else _postgresql(url, connect_within_s)

    def write(self, use_case: Callable[[sa.Connection], T]) -> T:
        """Run it in a serializable transaction. Raises Unavailable when others were in the way again and again."""
        for _ in range(ATTEMPTS):
            try:
                with self.engine.begin() as connection:
                    return use_case(connection)
            except DBAPIError as error:
                if getattr(error.orig, "sqlstate", None) not in SERIALIZATION_FAILURES:
                    raise
        raise Unavailable("busy", "too much at once; try again", retry_after_s=1)

    def read(self, question: Callable[[sa.Connection], T]) -> T:
        """Run it on one consistent view; what it writes is thrown away."""
        with self.engine.connect() as connection:
            if self.engine.dialect.name == "sqlite":
                connection = connection.execution_options(reads_only=True)
            return question(connection)

    def close(self) -> None:
        self.engine.dispose()


def _sqlite(url: str) -> sa.Engine:
    # In memory there is but one connection.
    pool = {} if sa.make_url(url).database in (None, "", ":memory:") else {"pool_size": CONNECTIONS}
    busy = {"timeout": BUSY_WITHIN_S, "check_same_thread": False}
    engine = sa.create_engine(url, connect_args=busy, hide_parameters=True, **pool)

    @event.listens_for(engine, "connect")
    def _settle(raw: Any, record: Any) -> None:
        raw.isolation_level = None  # the driver begins no transactions of its own; `_begin` does
        for pragma in ("journal_mode=WAL", "foreign_keys=ON", "synchronous=FULL", "recursive_triggers=ON"):
            raw.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def _begin(connection: sa.Connection) -> None:
        # A transaction that may write takes the lock at once: one that began by reading could not get it later.
        if connection.get_execution_options().get("reads_only", False):
            # It takes no lock yet and cannot fail; past SQLAlchemy it costs a tenth.
            connection.connection.driver_connection.execute("BEGIN")  # type: ignore[union-attr]
        else:
            connection.exec_driver_sql("BEGIN IMMEDIATE")

    return engine


def _postgresql(url: str, connect_within_s: int | None) -> sa.Engine:
    within = {} if connect_within_s is None else {"connect_timeout": connect_within_s}
    # Parameters are what people typed: no error's text shall quote them (hide_parameters, on both engines).
    return sa.create_engine(
        url,
        isolation_level="SERIALIZABLE",
        pool_size=CONNECTIONS,
        pool_pre_ping=True,
        hide_parameters=True,
        connect_args=within,
    )
