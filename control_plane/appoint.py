"""[I/O] `stentor appoint`: makes somebody with an account a member of the staff. No page can, on purpose."""

from __future__ import annotations

from pathlib import Path

import sqlalchemy as sa

from control_plane.accounts import addresses, staff
from control_plane.accounts.tables import people
from control_plane.clock import Clock
from control_plane.errors import NotFound
from control_plane.storage import migrate
from control_plane.storage.store import Store


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
