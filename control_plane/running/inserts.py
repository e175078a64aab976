"""Inserts that know of rows which are there already, alike on both engines."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from control_plane.storage.prepared import Prepared


def once(
    connection: sa.Connection,
    table: sa.Table,
    values: Mapping[str, Any],
    *,
    index_elements: Sequence[str],
    index_where: sa.ColumnElement[bool] | None = None,
) -> bool:
    """Add a row unless one with the same `index_elements` stands in its way; tells whether it was added. `index_where`,
    of an index that is not of all rows, is one and the same object at every call: statements are kept by it."""
    added = _once(connection.dialect.name, table, tuple(index_elements), index_where)
    # Rows come back for what was added alone; `rowcount` means something else on each engine.
    return added.value(connection, values) is not None


def each_once(
    connection: sa.Connection, table: sa.Table, rows: Sequence[Mapping[str, Any]], *, index_elements: Sequence[str]
) -> None:
    """As `once`, several of the same columns by one statement, and nothing is told."""
    if rows:
        _each(connection.dialect.name, table, tuple(index_elements)).run_each(connection, rows)


def insert(connection: sa.Connection, table: sa.Table) -> postgresql.Insert:
    """An INSERT that takes ON CONFLICT. (SQLite's has the same methods under another class.)"""
    return _insert(connection.dialect.name, table)


def counted_up(connection: sa.Connection, table: sa.Table, key: str, value: str) -> int:
    """The next number of a counter: a row of `table` with this `key` and its `last`, which begins with 1."""
    return int(_counted_up(connection.dialect.name, table, key).value(connection, {key: value, "last": 1}))


# Each is written once: for SQLAlchemy that costs more than asking it.


@functools.cache
def _once(
    dialect: str, table: sa.Table, index_elements: tuple[str, ...], index_where: sa.ColumnElement[bool] | None
) -> Prepared:
    return Prepared(_each_once(dialect, table, index_elements, index_where).returning(sa.literal(1)))


@functools.cache
def _each(dialect: str, table: sa.Table, index_elements: tuple[str, ...]) -> Prepared:
    return Prepared(_each_once(dialect, table, index_elements))


def _each_once(
    dialect: str,
    table: sa.Table,
    index_elements: tuple[str, ...],
    index_where: sa.ColumnElement[bool] | None = None,
) -> postgresql.Insert:
    made = _insert(dialect, table)
    return made.on_conflict_do_nothing(index_elements=list(index_elements), index_where=index_where)


@functools.cache
def _counted_up(dialect: str, table: sa.Table, key: str) -> Prepared:
    drawn = _insert(dialect, table).on_conflict_do_update(index_elements=[key], set_={"last": table.c.last + 1})
    return Prepared(drawn.returning(table.c.last))


@functools.cache
def _insert(dialect: str, table: sa.Table) -> postgresql.Insert:
    if dialect == "sqlite":
        return sqlite.insert(table)  # type: ignore[return-value]
    return postgresql.insert(table)
