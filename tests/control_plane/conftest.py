"""Stores for the tests of the control plane: SQLite by default, PostgreSQL with STENTOR_TEST_POSTGRESQL=1.

PostgreSQL is Debian's, started once a run in a private folder, by a user of its own where the tests run as root; every
test gets a fresh database.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

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


@pytest.fixture
def empty_store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    """A database without a table."""
    if not POSTGRESQL:
        store = Store(f"sqlite:///{tmp_path / 'control-plane.sqlite'}")
        yield store
        store.close()
        return
    address = request.getfixturevalue("postgresql")
    name = f"t{uuid.uuid4().hex}"
    server = Store(address.format("postgres"))
    with server.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.exec_driver_sql(f"CREATE DATABASE {name}")
    store = Store(address.format(name))
    try:
        yield store
    finally:
        store.close()
        with server.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.exec_driver_sql(f"DROP DATABASE {name} WITH (FORCE)")
        server.close()


@pytest.fixture
def store(empty_store: Store) -> Store:
    """A database with the newest schema."""
    migrate.up(empty_store)
    return empty_store
