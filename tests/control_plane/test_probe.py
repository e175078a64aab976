"""What the doctor is told of folder, keys and database; and that looking makes nothing."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from control_plane import keys, probe
from control_plane.storage import migrate
from control_plane.storage.store import Store
from sfu.control import Examine, Examined
from tests.control_plane.conftest import POSTGRESQL
from tests.servers import ROOT


def examine(folder: Path, database: str = "") -> Examined:
    return probe.examine(Examine(database, str(folder)))


def test_before_the_first_start_all_is_well_and_nothing_is_made(tmp_path: Path) -> None:
    folder = tmp_path / "not" / "there"
    found = examine(folder)
    assert (found.folder_error, found.keys_error, found.database_error, found.schema) == ("", "", "", "new")
    assert found.engine == "sqlite" and found.free_bytes
    assert not list(tmp_path.iterdir())
    folder.mkdir(parents=True)
    examine(folder)
    assert not list(folder.iterdir())


def test_a_database_of_this_release_and_of_older_and_newer_ones(tmp_path: Path) -> None:
    store = Store(f"sqlite:///{tmp_path / 'control-plane.sqlite'}")
    migrate.up(store)
    keys.keep(tmp_path)
    assert examine(tmp_path).schema == "current" and examine(tmp_path).database_version >= (3, 35)
    migrate.down(store, "0004_legal")
    assert examine(tmp_path).schema == "old"
    store.write(lambda connection: connection.exec_driver_sql("UPDATE alembic_version SET version_num = '0999_later'"))
    assert examine(tmp_path).schema == "unknown"
    store.write(lambda connection: connection.exec_driver_sql("DELETE FROM alembic_version"))
    assert examine(tmp_path).schema == "new"
    store.close()


def test_a_folder_that_is_a_file_or_not_ours_and_keys_that_are_damaged(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("")
    assert "is no folder" in examine(file).folder_error
    assert "is no folder" in examine(file / "below").folder_error
    (tmp_path / keys.FILE).write_text("{}")
    assert "backup" in examine(tmp_path).keys_error
    (tmp_path / keys.FILE).unlink()
    (tmp_path / keys.FILE).mkdir()
    assert examine(tmp_path).keys_error.startswith(keys.FILE)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_may_not_be_written_to(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    assert "Permission denied" in examine(tmp_path).folder_error
    assert "cannot be made" in examine(tmp_path / "below").folder_error


def test_a_file_that_is_no_database_and_an_address_that_leads_nowhere_tell_no_secret(tmp_path: Path) -> None:
    (tmp_path / "control-plane.sqlite").write_text("this is a letter, and not a database" * 100)
    assert examine(tmp_path).database_error == sqlite3.DatabaseError.__name__
    found = examine(tmp_path, "postgresql+psycopg://ada:secret@127.0.0.1:9/stentor")
    assert (found.engine, found.database_version) == ("postgresql", ())
    assert found.database_error and "secret" not in found.database_error and "ada" not in found.database_error
    for odd in ("no-address", "nothing://x/y", "postgresql+psycopg://ada:secret@[::1/x"):
        error = examine(tmp_path, odd).database_error
        assert error.startswith("control.database is no address") and "secret" not in error


@pytest.mark.skipif(not POSTGRESQL, reason="needs a PostgreSQL server")
def test_the_version_of_a_postgresql_server(store: Store, tmp_path: Path) -> None:
    found = examine(tmp_path, store.engine.url.render_as_string(hide_password=False))
    assert (found.engine, found.database_error, found.schema) == ("postgresql", "", "current")
    assert found.database_version >= (15,)


def test_as_a_program_it_answers_with_one_line_of_json(tmp_path: Path) -> None:
    told = msgspec.json.encode(Examine("", str(tmp_path))) + b"\n"
    done = subprocess.run(
        [sys.executable, "-m", "control_plane", "probe"], input=told, capture_output=True, cwd=ROOT, check=True
    )
    assert json.loads(done.stdout)["schema"] == "new"
