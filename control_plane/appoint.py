"""[I/O] `stentor appoint`: makes somebody with an account a member of the staff. No page can, on purpose."""

from __future__ import annotations

import sys
from pathlib import Path

import msgspec
import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError

from control_plane.accounts import addresses, staff
from control_plane.accounts.tables import people
from control_plane.clock import Clock, SystemClock
from control_plane.errors import NotFound, RequestError
from control_plane.storage import migrate
from control_plane.storage.store import Store
from sfu.control import Appoint


def url_of(database: str, folder: Path) -> str:
    """SQLAlchemy's address: as configured, else SQLite in the folder."""
    return database or f"sqlite:///{folder / 'control-plane.sqlite'}"


def appoint(url: str, email: str, clock: Clock) -> None:
    """Twice is once. Raises NotFound, Invalid, and sqlalchemy's errors where the database cannot be used."""
    store = Store(url)
    try:
        migrate.up(store)
        store.write(lambda connection: _appoint(connection, email, clock))
    finally:
        store.close()


def _appoint(connection: sa.Connection, email: str, clock: Clock) -> None:
    key = addresses.sign_in_key(email)
    person = connection.scalar(sa.select(people.c.id).where(people.c.email_key == key))
    if person is None:
        raise NotFound("person_unknown", "nobody signed up with this address")
    staff.appoint(connection, clock.now(), person, "command_line")


def main() -> int:
    """What to do is one line of JSON on standard input (sfu.control.Appoint). The exit code: 2 = not done."""
    told = msgspec.json.decode(sys.stdin.buffer.readline(), type=Appoint)
    try:
        appoint(url_of(told.database, Path(told.folder)), told.email, SystemClock())
    except RequestError as error:
        sys.stderr.write(f"stentor: {error.reason}\n")
        return 2
    except SQLAlchemyError:
        sys.stderr.write("stentor: the database cannot be used; start the server once, or see control.database\n")
        return 2
    print("done: the staff desk is in the menu after the next sign-in")
    return 0
