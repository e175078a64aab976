"""Statements that are asked thousands of times an hour: written with SQLAlchemy, compiled once, run by the driver.

On SQLite a statement takes the driver 3 us and SQLAlchemy 40 around it, so there it is asked past SQLAlchemy; types,
rows and errors are the same. PostgreSQL is a server away, and is always asked through it.
"""

from __future__ import annotations

import sqlite3
from collections import namedtuple
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NoReturn

import sqlalchemy as sa
from sqlalchemy.sql.compiler import SQLCompiler

# In `info` of a connection: the tables that its transaction has written (control_plane.running.runner rings by it).
WRITTEN = "stentor_written"
_Process = Callable[[Any], Any] | None


class Prepared:
    """A SELECT, INSERT, UPDATE or DELETE of Core; what changes from call to call are its bindparams, or the columns of
    an INSERT or UPDATE without values. Every call gives a value for each of them.

    Rows are tuples that have their columns as attributes. Errors are SQLAlchemy's; who listens to an engine's
    `before_cursor_execute` and `after_cursor_execute` hears of every call, without a cursor. Raises ValueError, at the
    first use, for a statement that SQLAlchemy would have to complete at each call (an IN of any length, a default in
    Python).
    """

    def __init__(self, statement: sa.Executable) -> None:
        self._statement = statement
        self._table: sa.Table | None = getattr(statement, "table", None) if statement.is_dml else None
        self._compiled: dict[tuple[str, ...], _Compiled] = {}

    def all(self, connection: sa.Connection, values: Mapping[str, Any]) -> Sequence[Any]:
        """Its rows."""
        if connection.dialect.name != "sqlite":
            return connection.execute(self._statement, dict(values)).all()
        compiled, cursor = self._run(connection, values)
        return compiled.rows(cursor)

    def first(self, connection: sa.Connection, values: Mapping[str, Any]) -> Any:
        """The only row that can be, by a key; None if there is none."""
        found = self.all(connection, values)
        if len(found) > 1:
            raise sa.exc.MultipleResultsFound("one row was asked for, and more were found")
        return found[0] if found else None

    def value(self, connection: sa.Connection, values: Mapping[str, Any]) -> Any:
        """The first column of the only row; None if there is none."""
        found = self.first(connection, values)
        return None if found is None else found[0]

    def run(self, connection: sa.Connection, values: Mapping[str, Any]) -> int:
        """How many rows it wrote."""
        if connection.dialect.name != "sqlite":
            return connection.execute(self._statement, dict(values)).rowcount
        return self._run(connection, values)[1].rowcount

    def run_each(self, connection: sa.Connection, several: Sequence[Mapping[str, Any]]) -> int:
        """As `run`, once for each of them, one at least; all of them or, after an error, none. How many rows were
        written, or -1 where that is not known (PostgreSQL)."""
        if connection.dialect.name != "sqlite":
            return connection.execute(self._statement, [dict(values) for values in several]).rowcount
        if len(several) == 1:
            return self.run(connection, several[0])
        compiled = self._on(connection, several[0])
        raw = _raw(connection)
        _tell(connection, "before_cursor_execute", compiled.sql, several)
        raw.execute("SAVEPOINT each")
        try:
            cursor = raw.executemany(compiled.sql, [compiled.bound(values) for values in several])
        except Exception:
            raw.execute("ROLLBACK TO each")
            try:
                self._refused(connection, several)
            finally:
                raw.execute("ROLLBACK TO each")
                raw.execute("RELEASE each")
        raw.execute("RELEASE each")
        _tell(connection, "after_cursor_execute", compiled.sql, several)
        self._mark(connection)
        return cursor.rowcount

    def _run(self, connection: sa.Connection, values: Mapping[str, Any]) -> tuple[_Compiled, sqlite3.Cursor]:
        compiled = self._on(connection, values)
        _tell(connection, "before_cursor_execute", compiled.sql, values)
        try:
            cursor = _raw(connection).execute(compiled.sql, compiled.bound(values))
        except Exception:
            # A statement that fails has changed nothing.
            self._refused(connection, values)
        _tell(connection, "after_cursor_execute", compiled.sql, values)
        self._mark(connection)
        return compiled, cursor

    def _on(self, connection: sa.Connection, values: Mapping[str, Any]) -> _Compiled:
        names = tuple(values)
        found = self._compiled.get(names)
        if found is None:
            found = self._compiled[names] = _Compiled(self._statement, connection.dialect, names)
        return found

    def _mark(self, connection: sa.Connection) -> None:
        if self._table is not None:
            connection.info.setdefault(WRITTEN, set()).add(self._table)

    def _refused(self, connection: sa.Connection, values: Any) -> NoReturn:
        """Ask again through SQLAlchemy, which has the error's name, counts it, and knows what of it may be told. It is
        in the same transaction, so nothing that it could be refused for has changed."""
        connection.execute(self._statement, values)
        raise RuntimeError("what was refused a moment ago is done now")


class _Compiled:
    """One statement with values of one set of names, as text for SQLite and functions for its values and rows."""

    def __init__(self, statement: sa.Executable, dialect: sa.Dialect, names: tuple[str, ...]) -> None:
        if isinstance(statement, sa.Insert):
            # Without it SQLAlchemy asks for keys back that nobody reads.
            statement = statement.inline()
        made: Any = statement.compile(dialect=dialect, column_keys=list(names))  # type: ignore[attr-defined]
        assert isinstance(made, SQLCompiler) and made.positiontup is not None
        if made.post_compile_params or made.insert_prefetch or made.update_prefetch:
            raise ValueError("SQLAlchemy completes this statement at each call; it cannot be prepared")
        self.sql = made.string
        types = {name: bind.type.dialect_impl(dialect) for bind, name in made.bind_names.items()}
        process = {name: type_.bind_processor(dialect) for name, type_ in types.items()}
        # What stands in the statement itself is the same at every call.
        fixed = {bind_name: bind.value for bind, bind_name in made.bind_names.items() if not bind.required}
        self._places: list[tuple[str, _Process, bool, Any]] = []
        for name in made.positiontup:
            own = name in names or name not in fixed
            constant = None if own else _processed(process[name], fixed[name])
            self._places.append((name, process[name], own, constant))
        columns: list[Any] = list(statement.exported_columns)  # type: ignore[attr-defined]
        row: Any = namedtuple("Row", [str(column.key) for column in columns], rename=True)  # type: ignore[misc]
        self._row: Any = row
        reads = [column.type.dialect_impl(dialect).result_processor(dialect, None) for column in columns]
        self._reads: list[tuple[int, Callable[[Any], Any]]] = [
            (place, read) for place, read in enumerate(reads) if read is not None
        ]

    def bound(self, values: Mapping[str, Any]) -> list[Any]:
        """The values in the order of the text. Raises KeyError for one that is missing."""
        return [
            (values[name] if process is None else process(values[name])) if own else constant
            for name, process, own, constant in self._places
        ]

    def rows(self, cursor: sqlite3.Cursor) -> list[Any]:
        row, reads = self._row, self._reads
        if not reads:
            return [row(*found) for found in cursor.fetchall()]
        made = []
        for found in cursor.fetchall():
            raw = list(found)
            for place, read in reads:
                raw[place] = read(raw[place])
            made.append(row(*raw))
        return made


def _processed(process: _Process, value: Any) -> Any:
    return value if process is None else process(value)


def _tell(connection: sa.Connection, what: str, sql: str, values: Any) -> None:
    listening = getattr(connection.engine.dispatch, what)
    if listening:
        for hear in listening:
            hear(connection, None, sql, values, None, isinstance(values, list))


def _raw(connection: sa.Connection) -> sqlite3.Connection:
    # `connection` begins its transaction with its first statement; a use case's has begun (Store).
    if not connection.in_transaction():
        connection.begin()
    raw: Any = connection.connection.driver_connection
    return raw  # type: ignore[no-any-return]
