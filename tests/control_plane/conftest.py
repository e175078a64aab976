"""Stores for the tests of the control plane: SQLite by default, PostgreSQL with STENTOR_TEST_POSTGRESQL=1.

PostgreSQL (postgresql_server.py beside this) is started once a run; every test gets a fresh database.
"""

from __future__ import annotations

import contextlib
import datetime
import os
import shutil
import tempfile
import uuid
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
import sqlalchemy as sa
import time_machine

from control_plane.storage import migrate
from control_plane.storage.store import Store
from tests.control_plane import postgresql_server
from tests.control_plane.coverage_plugin import *  # noqa: F403  # the hooks that watch `entry`

POSTGRESQL = os.environ.get("STENTOR_TEST_POSTGRESQL") == "1"
YEARS_AWAY = int(os.environ.get("STENTOR_TEST_YEARS_AWAY", "0"))


@pytest.fixture(scope="session", autouse=True)
def years_away() -> Iterator[None]:
    """With STENTOR_TEST_YEARS_AWAY=10 every clock of this process is ten years on (`make far-clock`): whoever asks one
    behind the product's back gets an answer that does not fit its own. Processes of the tests have the machine's."""
    if not YEARS_AWAY:
        yield
        return
    there = datetime.datetime.now(datetime.UTC) + YEARS_AWAY * datetime.timedelta(days=365.25)
    with time_machine.travel(there, tick=True):
        yield


@pytest.fixture(scope="session")
def postgresql() -> Iterator[str]:
    """The address of a running server, without a database."""
    with postgresql_server.running() as address:
        yield address


@pytest.fixture(scope="session")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A SQLite database with the newest schema; migrating anew for every test would take most of its time."""
    path = tmp_path_factory.mktemp("migrated") / "control-plane.sqlite"
    store = Store(f"sqlite:///{path}")
    migrate.up(store)
    store.close()  # the last one to close it empties the write-ahead log into the file
    return path.read_bytes()


@pytest.fixture
def folder() -> Iterator[Path]:
    """Where a test's database lies: in memory where the system has a place for that, for each commit is synced."""
    memory = Path("/dev/shm")
    made = Path(tempfile.mkdtemp(prefix="stentor-test-", dir=memory if os.access(memory, os.W_OK) else None))
    yield made
    shutil.rmtree(made, ignore_errors=True)


_engines: dict[str, sa.Engine] = {}


def warm(store: Store) -> Store:
    """The same store with all statements that were compiled for databases of tests before it. Compiling them anew
    would take a third of the time of most tests."""
    first = _engines.get(store.engine.dialect.name)
    if first is None:
        first = _engines[store.engine.dialect.name] = store.engine
        first.connect().close()  # a dialect learns its server's version with its own engine's first connection
    store.engine.dialect, store.engine._compiled_cache = first.dialect, first._compiled_cache
    return store


@contextlib.contextmanager
def _database(address: str, template: str) -> Iterator[Store]:
    """A fresh one on the server, a copy of `template`."""
    name = f"t{uuid.uuid4().hex}"
    server = Store(address.format("postgres"))
    with server.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.exec_driver_sql(f"CREATE DATABASE {name} TEMPLATE {template}")
    store = warm(Store(address.format(name)))
    try:
        yield store
    finally:
        store.close()
        with server.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.exec_driver_sql(f"DROP DATABASE {name} WITH (FORCE)")
        server.close()


@pytest.fixture(scope="session")
def migrated_on_postgresql(postgresql: str) -> Iterator[str]:
    """The name of a database with the newest schema, to be copied."""
    with _database(postgresql, "template0") as store:
        migrate.up(store)
        store.close()
        yield str(store.engine.url.database)


@pytest.fixture
def empty_store(request: pytest.FixtureRequest, folder: Path) -> Iterator[Store]:
    """A database without a table."""
    if POSTGRESQL:
        with _database(request.getfixturevalue("postgresql"), "template0") as store:
            yield store
        return
    store = Store(f"sqlite:///{folder / 'control-plane.sqlite'}")
    yield store
    store.close()


Stores = Callable[[], AbstractContextManager[Store]]


@pytest.fixture
def stores(request: pytest.FixtureRequest, folder: Path) -> Stores:
    """Gives any number of databases with the newest schema: for tests that need one an example."""
    if POSTGRESQL:
        template = request.getfixturevalue("migrated_on_postgresql")
        return lambda: _database(request.getfixturevalue("postgresql"), template)
    migrated: bytes = request.getfixturevalue("migrated")

    @contextlib.contextmanager
    def one() -> Iterator[Store]:
        path = folder / f"control-plane-{uuid.uuid4().hex}.sqlite"
        path.write_bytes(migrated)
        store = warm(Store(f"sqlite:///{path}"))
        yield store
        store.close()
        path.unlink()

    return one


@pytest.fixture
def store(stores: Stores) -> Iterator[Store]:
    """A database with the newest schema."""
    with stores() as one:
        yield one
