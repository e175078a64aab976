"""A private PostgreSQL for tests: Debian's, in a folder of its own, by a user of its own where they run as root."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def _programs() -> Path:
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name))
    if not found:
        raise RuntimeError("PostgreSQL is not installed: apt-get install postgresql")
    return found[-1]


@contextmanager
def running() -> Iterator[str]:
    """SQLAlchemy's address of a running server, with {} where the name of a database belongs; "postgres" is there."""
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
