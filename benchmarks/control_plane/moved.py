"""[I/O] A night on PostgreSQL: the rows that were made on SQLite, carried into a schema of their own."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator

import sqlalchemy as sa

from control_plane.ledger.tables import seals
from control_plane.storage import migrate
from control_plane.storage.columns import metadata
from control_plane.storage.store import Store

PAGE = 5_000


@contextlib.contextmanager
def schema(database: str) -> Iterator[str]:
    """The address of the same database with a new, empty schema before all others. It is dropped at the end with
    whatever is in it; nothing else of the database is touched."""
    name = f"stentor_night_{os.getpid()}"
    server = sa.create_engine(database, isolation_level="AUTOCOMMIT", hide_parameters=True)
    with server.connect() as connection:
        connection.exec_driver_sql(f"CREATE SCHEMA {name}")
    try:
        address = sa.make_url(database).update_query_dict({"options": f"-csearch_path={name}"})
        yield address.render_as_string(hide_password=False)
    finally:
        with server.connect() as connection:
            connection.exec_driver_sql(f"DROP SCHEMA {name} CASCADE")
        server.dispose()


def carry(source: Store, target: Store) -> None:
    """All rows of one database into another, empty one, in an order that foreign keys allow; the ledger's triggers are
    in force. Counters go on where they stood."""
    migrate.up(target)
    with source.engine.connect() as old, target.engine.begin() as new:
        # A transaction of the journal is sealed when its lines are there.
        for table in sorted(metadata.sorted_tables, key=lambda table: table is seals):
            if new.execute(table.select().limit(1)).first() is not None:
                continue  # the migrations brought its rows: kinds of accounts
            for page in old.execute(table.select()).mappings().partitions(PAGE):
                new.execute(table.insert(), [dict(row) for row in page])
            _count_on(new, table)
        new.exec_driver_sql("ANALYZE")


def _count_on(connection: sa.Connection, table: sa.Table) -> None:
    counted = table.autoincrement_column
    if counted is not None:
        last = connection.scalar(sa.select(sa.func.max(counted)))
        if last is not None:
            named = sa.func.pg_get_serial_sequence(table.name, counted.name)
            connection.execute(sa.select(sa.func.setval(named, last)))
