"""Passwords set anew: by the reader of the mailbox, or by the person himself. Every other session ends."""

from __future__ import annotations

import datetime

import sqlalchemy as sa

from control_plane.accounts import addresses, mailed, sessions
from control_plane.accounts.setup import Setup
from control_plane.accounts.tables import people
from control_plane.errors import Invalid
from control_plane.running import audit


def ask(connection: sa.Connection, now: datetime.datetime, setup: Setup, email: str) -> None:
    """Mail a link for a new password where the address is a verified person's; tell nobody whether. Raises Invalid."""
    row = connection.execute(
        sa.select(people.c.id, people.c.verified_at).where(people.c.email_key == addresses.sign_in_key(email))
    ).first()
    if row is not None and row.verified_at is not None:
        mailed.send_token(connection, now, setup, "reset", row.id)


def complete(connection: sa.Connection, now: datetime.datetime, setup: Setup, secret: str, password_hash: str) -> str:
    """Set the password by a mailed token; returns the person. Raises Invalid, Gone."""
    person = str(mailed.use(connection, now, "reset", secret).person)
    _set(connection, now, setup, person, password_hash, but="")
    return person


def change(
    connection: sa.Connection,
    now: datetime.datetime,
    setup: Setup,
    person: str,
    compared_hash: str | None,
    password_hash: str,
    session: str,
) -> None:
    """Set it by the person himself, whose old password was compared (None: he had none). His present session stays.
    Raises Invalid when the old one has changed meanwhile."""
    now_kept = connection.scalar(sa.select(people.c.password_hash).where(people.c.id == person))
    if now_kept != compared_hash:
        raise Invalid("password_wrong", "the old password is wrong", field="old")
    _set(connection, now, setup, person, password_hash, but=session)


def _set(
    connection: sa.Connection, now: datetime.datetime, setup: Setup, person: str, password_hash: str, *, but: str
) -> None:
    connection.execute(people.update().where(people.c.id == person).values(password_hash=password_hash))
    mailed.cancel(connection, now, "reset", person)
    sessions.revoke_all(connection, now, person, but=but)
    audit.record(connection, now, actor=f"person:{person}", account=None, code="password_set", ids={"person": person})
    mailed.notify(connection, now, setup, person, "password_changed", {"link": f"{setup.base_url}/support"}, None)
