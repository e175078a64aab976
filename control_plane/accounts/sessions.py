"""Signing in and being signed in: who calls, read anew at every call (ACC-07); sessions that end by time or by hand.

A password is compared outside of any transaction (it takes 0.1 s): `credentials` reads, the pool compares, `sign_in`
writes, and looks whether the password is still the one that was compared.
"""

from __future__ import annotations

import datetime
from dataclasses import dataclass
from typing import Any, cast

import sqlalchemy as sa

from control_plane.accounts import account as machine
from control_plane.accounts import addresses
from control_plane.accounts.setup import Setup
from control_plane.accounts.tables import accounts, memberships, people, sessions, staff
from control_plane.accounts.tokens import csrf_of, kept, new_id, new_secret
from control_plane.api.caller import RIGHTS, Caller, Right
from control_plane.errors import Forbidden, Invalid, NotFound, Unauthorized
from control_plane.running import audit
from control_plane.storage.prepared import Prepared

IDLE_LASTS = datetime.timedelta(hours=12)
LASTS = datetime.timedelta(days=14)
# How exact `seen_at` is: a session costs one write in so long.
SEEN_EVERY = datetime.timedelta(minutes=1)
DEVICE_CHARACTERS_MAX = 120
# What a suspended account's owner still does (model 3.2); privacy and support need no right.
_WHILE_SUSPENDED: frozenset[Right] = frozenset(("billing",))


@dataclass(frozen=True)
class Credentials:
    """What is known of an address before its password was compared."""

    person: str
    password_hash: str


@dataclass(frozen=True)
class SignedIn:
    """A new session. `secret` is for the cookie alone and is kept nowhere."""

    session: str
    secret: str
    csrf: str
    person: str
    account: str | None
    expires_at: datetime.datetime


@dataclass(frozen=True)
class Present:
    """A session that holds: the caller, and what the doors need of it."""

    caller: Caller
    session: str
    csrf: str
    seen_at: datetime.datetime
    staff: bool
    suspended: bool


def credentials(connection: sa.Connection, email: str) -> Credentials | None:
    """Of the person with this address; None where nobody with a password has it."""
    try:
        key = addresses.sign_in_key(email)
    except Invalid:
        return None
    row = connection.execute(sa.select(people.c.id, people.c.password_hash).where(people.c.email_key == key)).first()
    return None if row is None or row.password_hash is None else Credentials(row.id, row.password_hash)


def sign_in(
    connection: sa.Connection,
    now: datetime.datetime,
    setup: Setup,
    compared: Credentials,
    *,
    newer_hash: str | None = None,
    device: str = "",
) -> SignedIn:
    """A session for somebody whose password was right. `newer_hash` replaces one with old parameters (ACC-02).
    Raises Unauthorized when the password has just been changed, else as `begin`."""
    person = connection.execute(people.select().where(people.c.id == compared.person)).one_or_none()
    if person is None or person.password_hash != compared.password_hash:
        raise wrong_credentials()
    if newer_hash is not None:
        connection.execute(people.update().where(people.c.id == person.id).values(password_hash=newer_hash))
    return begin(connection, now, setup, person.id, device=device)


def begin(
    connection: sa.Connection, now: datetime.datetime, setup: Setup, person: str, *, device: str = ""
) -> SignedIn:
    """A session for somebody who has proved who he is. Raises Forbidden: `email_unverified`, `account_closed`."""
    one = connection.execute(people.select().where(people.c.id == person)).one()
    if one.verified_at is None:
        raise Forbidden("email_unverified", "open the link in the mail that we sent you first")
    account = _first_account(connection, person)
    if account is None and not is_staff(connection, person):
        raise Forbidden("account_closed", "this account is closed; support can tell more")
    session, secret = new_id("ses", setup.draw), new_secret("ss", setup.draw)
    connection.execute(
        sessions.insert().values(
            id=session,
            hash=kept(secret),
            person=person,
            account=account,
            device=device[:DEVICE_CHARACTERS_MAX],
            created_at=now,
            seen_at=now,
            expires_at=now + LASTS,
        )
    )
    actor = f"person:{person}"
    audit.record(connection, now, actor=actor, account=account, code="signed_in", ids={"session": session})
    return SignedIn(session, secret, csrf_of(secret), person, account, now + LASTS)


# Written once: of a statement that is asked at every request, writing it costs more than asking it.
_PRESENT = Prepared(
    sa.select(
        sessions,
        memberships.c.role,
        memberships.c.rights,
        accounts.c.status,
        staff.c.person.label("staff"),
    )
    .outerjoin(memberships, (memberships.c.person == sessions.c.person) & (memberships.c.account == sessions.c.account))
    .outerjoin(accounts, accounts.c.id == memberships.c.account)
    .outerjoin(staff, staff.c.person == sessions.c.person)
    .where(sessions.c.hash == sa.bindparam("hash"))
)


def present(connection: sa.Connection, now: datetime.datetime, secret: str) -> Present:
    """The session of this secret and what its person may do now. Raises Unauthorized."""
    row = _PRESENT.first(connection, {"hash": kept(secret)})
    if row is None or not holds(row, now):
        raise Unauthorized("session_over", "sign in again")
    role, rights, account, suspended = "member", frozenset[Right](), row.account or "", False
    if row.role is None or machine.access(row.status, "active").sign_in == "none":
        account = ""  # put out of it, or it is closed: what concerns himself he still reaches until the session ends
    else:
        role = row.role
        rights = frozenset(RIGHTS) if role == "owner" else rights_of(row.rights)
        suspended = row.status == "suspended"
        rights = rights & _WHILE_SUSPENDED if suspended else rights
    caller = Caller(f"person:{row.person}", account, row.person, cast(Any, role), rights)
    return Present(caller, row.id, csrf_of(secret), row.seen_at, row.staff is not None, suspended)


def holds(row: sa.Row[Any], now: datetime.datetime) -> bool:
    """Whether a session's row still lets in."""
    return row.revoked_at is None and now < row.expires_at and now - row.seen_at < IDLE_LASTS


def seen(connection: sa.Connection, now: datetime.datetime, session: str) -> None:
    """Put off the idle end. Callers do so once in SEEN_EVERY at most."""
    connection.execute(sessions.update().where(sessions.c.id == session).values(seen_at=now))


def listed(connection: sa.Connection, now: datetime.datetime, person: str) -> list[sa.Row[Any]]:
    """His sessions that hold, newest first."""
    rows = connection.execute(
        sessions.select()
        .where(sessions.c.person == person, sessions.c.revoked_at.is_(None), sessions.c.expires_at > now)
        .order_by(sessions.c.created_at.desc(), sessions.c.id)
    )
    return [row for row in rows if holds(row, now)]


def revoke(connection: sa.Connection, now: datetime.datetime, person: str, session: str) -> None:
    """End one of his sessions. Raises NotFound, for somebody else's too."""
    ended = connection.execute(
        sessions.update()
        .where(sessions.c.id == session, sessions.c.person == person, sessions.c.revoked_at.is_(None))
        .values(revoked_at=now)
    ).rowcount
    if not ended:
        raise NotFound("session_unknown", "there is no such session")
    audit.record(
        connection, now, actor=f"person:{person}", account=None, code="session_ended", ids={"session": session}
    )


def revoke_all(connection: sa.Connection, now: datetime.datetime, person: str, *, but: str = "") -> None:
    """End all his sessions, but for one."""
    connection.execute(
        sessions.update()
        .where(sessions.c.person == person, sessions.c.id != but, sessions.c.revoked_at.is_(None))
        .values(revoked_at=now)
    )


def choose_account(connection: sa.Connection, person: str, session: str, account: str) -> None:
    """Look at another account he belongs to (ACC-06). Raises NotFound."""
    if connection.scalar(
        sa.select(sa.exists().where(memberships.c.person == person, memberships.c.account == account))
    ):
        connection.execute(sessions.update().where(sessions.c.id == session).values(account=account))
        return
    raise NotFound("account_unknown", "there is no such account")


def rights_of(words: str) -> frozenset[Right]:
    """Rights out of a column."""
    return frozenset(right for right in RIGHTS if right in words.split())


_IS_STAFF = sa.select(sa.exists().where(staff.c.person == sa.bindparam("person")))


def is_staff(connection: sa.Connection, person: str) -> bool:
    return connection.scalar(_IS_STAFF, {"person": person}) or False


def wrong_credentials() -> Unauthorized:
    """The one answer to a wrong password, an unknown address and an address without a password."""
    return Unauthorized("credentials_wrong", "e-mail address or password is wrong")


def _first_account(connection: sa.Connection, person: str) -> str | None:
    """One that he may sign in to: the one he owns first, else the oldest membership."""
    rows = connection.execute(
        sa.select(memberships.c.account, memberships.c.role, accounts.c.status)
        .join(accounts, accounts.c.id == memberships.c.account)
        .where(memberships.c.person == person)
        .order_by(memberships.c.role.desc(), memberships.c.created_at)
    )
    for row in rows:
        if machine.access(row.status, "active").sign_in != "none":
            return str(row.account)
    return None
