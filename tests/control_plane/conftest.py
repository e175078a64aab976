"""Stores for the tests of the control plane: SQLite by default, PostgreSQL with STENTOR_TEST_POSTGRESQL=1.

PostgreSQL is Debian's, started once a run in a private folder, by a user of its own where the tests run as root; every
test gets a fresh database.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from control_plane.storage import migrate
from control_plane.storage.store import Store
from tests.control_plane.coverage_plugin import *  # noqa: F403  # the hooks that watch `entry`

POSTGRESQL = os.environ.get("STENTOR_TEST_POSTGRESQL") == "1"


def _programs() -> Path:
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name))
    if not found:
        raise RuntimeError("PostgreSQL is not installed: apt-get install postgresql")
    return found[-1]


@pytest.fixture(scope="session")
def postgresql() -> Iterator[str]:
    """The address of a running server, without a database."""
    folder = Path(tempfile.mkdtemp(prefix="stentor-postgresql-"))
    as_user: list[str] = []
    if os.geteuid() == 0:
        shutil.chown(folder, "postgres", "postgres")
        as_user = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"]
    programs, rows = _programs(), folder / "rows"
    quiet = {"check": True, "stdout": subprocess.DEVNULL}
    initdb = [programs / "initdb", "-D", rows, "-A", "trust", "-U", "stentor", "--no-sync", "-E", "UTF8"]
    subprocess.run([*as_user, *map(str, initdb)], cwd=folder, **quiet)  # type: ignore[call-overload]
    # No TCP at all; without fsync, because nobody will need these rows after a crash.
    options = f"-c listen_addresses='' -c unix_socket_directories={folder} -c fsync=off -c max_connections=200"
    start = [programs / "pg_ctl", "-D", rows, "-o", options, "-l", folder / "log", "-w", "start"]
    subprocess.run([*as_user, *map(str, start)], cwd=folder, **quiet)  # type: ignore[call-overload]
    try:
        yield f"postgresql+psycopg://stentor@/{{}}?host={folder}"
    finally:
        stop = [programs / "pg_ctl", "-D", rows, "-m", "immediate", "-w", "stop"]
        subprocess.run([*as_user, *map(str, stop)], cwd=folder, **quiet)  # type: ignore[call-overload]
        shutil.rmtree(folder, ignore_errors=True)


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
    first = _engines.setdefault(store.engine.dialect.name, store.engine)
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


@pytest.fixture
def store(request: pytest.FixtureRequest, folder: Path) -> Iterator[Store]:
    """A database with the newest schema."""
    if POSTGRESQL:
        template = request.getfixturevalue("migrated_on_postgresql")
        with _database(request.getfixturevalue("postgresql"), template) as store:
            yield store
        return
    path = folder / "control-plane.sqlite"
    path.write_bytes(request.getfixturevalue("migrated"))
    store = warm(Store(f"sqlite:///{path}"))
    yield store
    store.close()
