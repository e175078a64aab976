"""[I/O] Where the fake gateway keeps what it knows: in memory, or in a file of its own within a directory.

The file is SQLite, because it outlives a kill -9 between any two steps and lets several processes ask one gateway, as
they would the real one. It has nothing to do with the control plane's database.
"""

from __future__ import annotations

import contextlib
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import TypeVar

import msgspec

FILE = "gateway.sqlite"
# How long a process waits for another that asks at the same time.
BUSY_TIMEOUT_S = 30

Record = TypeVar("Record", bound=msgspec.Struct)

_TABLES = """
CREATE TABLE IF NOT EXISTS record (
    kind TEXT NOT NULL, id TEXT NOT NULL, parent TEXT NOT NULL, number INTEGER NOT NULL, body BLOB NOT NULL,
    PRIMARY KEY (kind, id)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS record_by_parent ON record (kind, parent, number);
CREATE TABLE IF NOT EXISTS counted (name TEXT PRIMARY KEY, number INTEGER NOT NULL);
"""


class Drawer:
    """The records within one transaction. Each kind of record is one Struct; a record may have a parent."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def get(self, form: type[Record], id: str) -> Record | None:
        row = self._connection.execute("SELECT body FROM record WHERE kind = ? AND id = ?", (form.__name__, id))
        found = row.fetchone()
        return None if found is None else msgspec.json.decode(found[0], type=form)

    def put(self, id: str, record: msgspec.Struct, parent: str = "") -> None:
        """Writes or rewrites one; a rewritten one keeps its place among its parent's."""
        self._connection.execute(
            "INSERT INTO record VALUES (?, ?, ?, ?, ?) ON CONFLICT (kind, id) DO UPDATE SET body = excluded.body, "
            "parent = excluded.parent",
            (type(record).__name__, id, parent, self.count("record"), msgspec.json.encode(record)),
        )

    def remove(self, form: type[msgspec.Struct], id: str) -> None:
        self._connection.execute("DELETE FROM record WHERE kind = ? AND id = ?", (form.__name__, id))

    def of(self, form: type[Record], parent: str = "") -> list[Record]:
        """All of a parent, the oldest first."""
        rows = self._connection.execute(
            "SELECT body FROM record WHERE kind = ? AND parent = ? ORDER BY number", (form.__name__, parent)
        )
        return [msgspec.json.decode(body, type=form) for (body,) in rows]

    def count(self, name: str) -> int:
        """One more than the last time, from 1."""
        row = self._connection.execute(
            "INSERT INTO counted VALUES (?, 1) ON CONFLICT (name) DO UPDATE SET number = number + 1 RETURNING number",
            (name,),
        )
        return int(row.fetchone()[0])


class Shelf:
    """Records, one transaction at a time, whoever asks."""

    def __init__(self, directory: Path | None) -> None:
        path = ":memory:"
        if directory is not None:
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            path = str(directory.joinpath(FILE))
        self._lock = threading.Lock()
        # Every use is within the lock, so threads may share the one connection.
        self._connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=BUSY_TIMEOUT_S)
        # A killed process loses nothing by this; only a power cut might, and then nobody is charged for real.
        self._connection.executescript("PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;" + _TABLES)

    @contextlib.contextmanager
    def open(self) -> Iterator[Drawer]:
        """All that is done inside is kept together, or, after an exception, nothing of it."""
        with self._lock:
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield Drawer(self._connection)
            except BaseException:
                self._connection.execute("ROLLBACK")
                raise
            self._connection.execute("COMMIT")

    def close(self) -> None:
        self._connection.close()
