"""[I/O] What the control plane would find here, for `stentor doctor`: folder, keys, database. It makes and changes
nothing; one line of JSON on standard input says where to look (sfu.control.Examine), one on standard output what is
there."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from pathlib import Path

import msgspec
import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError

from control_plane import keys
from control_plane.appoint import url_of
from control_plane.storage import migrate
from control_plane.storage.store import Store
from sfu.control import Examine, Examined, Schema

ANSWER_WITHIN_S = 5


def examine(asked: Examine) -> Examined:
    """All of it."""
    folder = Path(asked.folder)
    engine = "postgresql" if asked.database else "sqlite"
    version: tuple[int, ...] = ()
    schema: Schema = "new"
    error = ""
    # A database that is not there yet must not come to be by our looking at it.
    if asked.database or (folder / "control-plane.sqlite").exists():
        try:
            version, schema = _database(url_of(asked.database, folder))
        except sa.exc.DBAPIError as fault:
            # Not the driver's words: they hold the address of the database with its user.
            error = type(fault.orig).__name__
        except (SQLAlchemyError, ImportError, ValueError) as fault:
            error = f"control.database is no address of a database ({type(fault).__name__})"
    return Examined(
        folder_error=_folder_error(folder),
        free_bytes=_free(folder),
        keys_error=_keys_error(folder),
        engine=engine,
        database_error=error,
        database_version=version,
        schema=schema,
    )


def _database(url: str) -> tuple[tuple[int, ...], Schema]:
    """Version and state of the schema. Raises SQLAlchemyError."""
    store = Store(url, connect_within_s=ANSWER_WITHIN_S)
    try:
        with store.engine.connect().execution_options(reads_only=True) as connection:
            told = connection.dialect.server_version_info or ()
            version = tuple(part for part in told if isinstance(part, int))
        found = migrate.revision(store)
    finally:
        store.close()
    known = migrate.revisions()
    if not found:
        return version, "new"
    if found == known[0]:
        return version, "current"
    return version, "old" if found in known else "unknown"


def _existing(folder: Path) -> Path:
    """The folder, or the one in which it would be made."""
    return next(path for path in (folder, *folder.parents) if path.exists())


def _folder_error(folder: Path) -> str:
    place = _existing(folder)
    if not place.is_dir():
        return f"{place} is no folder"
    if place == folder:
        try:
            with tempfile.TemporaryFile(dir=folder) as file:
                file.write(b"x")
        except OSError as error:
            return f"{folder}: {error.strerror}"
        return ""
    return "" if os.access(place, os.W_OK | os.X_OK) else f"{folder} cannot be made in {place}"


def _free(folder: Path) -> int | None:
    try:
        return shutil.disk_usage(_existing(folder)).free
    except OSError:
        return None


def _keys_error(folder: Path) -> str:
    try:
        keys.read(folder)
    except keys.KeysUnusable as error:
        return str(error)
    except FileNotFoundError:
        return ""
    except OSError as error:
        return f"{keys.FILE}: {error.strerror}"
    return ""


def main() -> int:
    """The exit code."""
    asked = msgspec.json.decode(sys.stdin.buffer.readline(), type=Examine)
    sys.stdout.write(msgspec.json.encode(examine(asked)).decode() + "\n")
    return 0
