"""Inserts that know of rows which are there already, alike on both engines."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite


def once(connection: sa.Connection, table: sa.Table, values: Mapping[str, Any], **unless: Any) -> bool:
    """Add a row unless one stands in its way; tells whether it was added. `unless` is ON CONFLICT's own wording."""
    added = insert(connection, table).values(**values).on_conflict_do_nothing(**unless)
    # Rows come back for what was added alone; `rowcount` means something else on each engine.
    return connection.execute(added.returning(sa.literal(1))).one_or_none() is not None


def insert(connection: sa.Connection, table: sa.Table) -> postgresql.Insert:
    """An INSERT that takes ON CONFLICT. (SQLite's has the same methods under another class.)"""
    if connection.dialect.name == "sqlite":
        return sqlite.insert(table)  # type: ignore[return-value]
    return postgresql.insert(table)
