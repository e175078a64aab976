"""A night's rows on PostgreSQL: all of them, counters that go on, and a database that is left as it was."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from benchmarks.control_plane import moved, subscribers
from control_plane.running import jobs
from control_plane.storage.columns import metadata
from control_plane.storage.store import Store
from tests.control_plane import postgresql_server
from tests.control_plane.conftest import POSTGRESQL

pytestmark = pytest.mark.skipif(not POSTGRESQL, reason="wants a PostgreSQL: `make postgresql` runs it")


@pytest.fixture
def server() -> Iterator[str]:
    with postgresql_server.running() as address:
        yield address.format("postgres")


def rows(store: Store) -> dict[str, list[tuple[object, ...]]]:
    """Of every table, in no order."""

    def look(connection: sa.Connection) -> dict[str, list[tuple[object, ...]]]:
        return {
            table.name: sorted((tuple(row) for row in connection.execute(table.select())), key=repr)
            for table in metadata.sorted_tables
        }

    return store.read(look)


def test_rows_are_carried_counters_go_on_and_nothing_stays(server: str, tmp_path: Path) -> None:
    subscribers.make(tmp_path, 3)
    made = Store(f"sqlite:///{tmp_path / subscribers.FILE}")
    with moved.schema(server) as address:
        carried = Store(address)
        moved.carry(made, carried)
        assert rows(carried) == rows(made)
        wanted = {"kind": "late", "key": "late:1", "due_at": subscribers.BOUNDARY, "account": None}
        assert carried.write(lambda connection: jobs.put(connection, **wanted))  # type: ignore[arg-type]
        carried.close()
    made.close()
    left = Store(server)
    schemas = left.read(lambda connection: sa.inspect(connection).get_schema_names())
    left.close()
    assert not [name for name in schemas if "night" in name]
