"""[I/O] The database: opened, brought up to date, and used in transactions.

A use case is one function of a connection, run by `Store.write`: it is committed whole or not at all, and run again
when another transaction was in its way, so it must have no effect but its rows (mail goes through the outbox).
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.exc import DBAPIError

from control_plane.errors import Unavailable
from control_plane.storage.turns import NotMyTurn, Turns

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
        sqlite = url.startswith("sqlite")
        self.engine = _sqlite(url) if sqlite else _postgresql(url, connect_within_s)
        self._turns = Turns() if sqlite else None

    def write(self, use_case: Callable[[sa.Connection], T]) -> T:
        """Run it in a serializable transaction. Raises Unavailable when others were in the way again and again. On
        SQLite the threads of a process take turns, so never one within another."""
        if self._turns is None:
            return self._write(use_case)
        try:
            with self._turns.taken(BUSY_WITHIN_S):
                return self._write(use_case)
        except NotMyTurn:
            raise Unavailable("busy", "too much at once; try again", retry_after_s=1) from None

    def _write(self, use_case: Callable[[sa.Connection], T]) -> T:
        for _ in range(ATTEMPTS):
            try:
                with self.engine.begin() as connection:
                    return use_case(connection)
            except DBAPIError as error:
                if not in_the_way(error):
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


def in_the_way(fault: BaseException) -> bool:
    """Whether another transaction is the cause: then the whole of this one is run again, and no savepoint helps."""
    return isinstance(fault, DBAPIError) and getattr(fault.orig, "sqlstate", None) in SERIALIZATION_FAILURES


@contextlib.contextmanager
def savepoint(connection: sa.Connection) -> Iterator[None]:
    """What is written within is kept, or, after an exception, nothing of it, and the transaction goes on. (As
    SQLAlchemy's begin_nested, at a small part of its cost.)"""
    # On SQLite it is no more than a mark in memory; past SQLAlchemy it costs a tenth.
    raw: Any = connection.connection.driver_connection if connection.dialect.name == "sqlite" else None
    say = connection.exec_driver_sql if raw is None else raw.execute
    say("SAVEPOINT within")
    try:
        yield
    except BaseException:
        say("ROLLBACK TO SAVEPOINT within")
        say("RELEASE SAVEPOINT within")
        raise
    say("RELEASE SAVEPOINT within")


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
