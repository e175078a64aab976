"""API keys of an account: scopes are rights, never more than their maker has at the moment of the call (PROD-24)."""

from __future__ import annotations

import datetime
from collections.abc import Iterable
from typing import Any

import sqlalchemy as sa

from control_plane.accounts import account as machine
from control_plane.accounts.sessions import rights_of
from control_plane.accounts.setup import Setup
from control_plane.accounts.tables import accounts, api_keys, memberships
from control_plane.accounts.tokens import kept, new_id, new_secret
from control_plane.api.caller import RIGHTS, Caller, Right
from control_plane.errors import Conflict, Forbidden, Invalid, NotFound, Unauthorized
from control_plane.running import audit

KEYS_MAX = 50
# A key cannot put people in or out, nor make keys: what leaks from a server must not spread.
SCOPES: tuple[Right, ...] = ("account", "events", "content", "billing")


def make(
    connection: sa.Connection,
    now: datetime.datetime,
    setup: Setup,
    caller: Caller,
    name: str,
    scopes: Iterable[Right],
    expires_at: datetime.datetime | None = None,
) -> tuple[str, str]:
    """A new key: (id, secret); the secret is told this once. Raises Forbidden, Invalid, Conflict."""
    wanted = frozenset(scopes)
    if not wanted <= frozenset(SCOPES):
        raise Invalid("scope_unknown", f"some of {', '.join(SCOPES)}", field="scopes")
    if not wanted <= caller.rights:
        raise Forbidden("right_missing", "a key cannot have a right that you have not")
    if expires_at is not None and expires_at <= now:
        raise Invalid("expired_already", "this is in the past", field="expires_at")
    if len(listed(connection, now, caller.account)) >= KEYS_MAX:
        raise Conflict("too_many_keys", f"at most {KEYS_MAX} keys; revoke one first")
    key, secret = new_id("key", setup.draw), new_secret("sk", setup.draw)
    connection.execute(
        api_keys.insert().values(
            id=key,
            hash=kept(secret),
            account=caller.account,
            person=caller.person,
            name=name,
            scopes=" ".join(sorted(wanted)),
            created_at=now,
            expires_at=expires_at,
        )
    )
    audit.record(connection, now, actor=caller.actor, account=caller.account, code="key_made", ids={"key": key})
    return key, secret


# Written once, as sessions' own: it is asked at every call.
_CALLER = (
    sa.select(api_keys, accounts.c.status, memberships.c.role, memberships.c.rights)
    .join(accounts, accounts.c.id == api_keys.c.account)
    .outerjoin(memberships, (memberships.c.account == api_keys.c.account) & (memberships.c.person == api_keys.c.person))
    .where(api_keys.c.hash == sa.bindparam("hash"))
)


def caller(connection: sa.Connection, now: datetime.datetime, secret: str) -> Caller:
    """Who calls with this key, and what he may do now. Raises Unauthorized."""
    row = connection.execute(_CALLER, {"hash": kept(secret)}).one_or_none()
    if row is None or not _holds(row, now) or not machine.access(row.status, "active").keys:
        raise _refused()
    if row.role is None:  # who made it has left the account
        raise _refused()
    rights = frozenset(RIGHTS) if row.role == "owner" else rights_of(row.rights)
    return Caller(f"key:{row.id}", row.account, "", "key", rights & rights_of(row.scopes))


def listed(connection: sa.Connection, now: datetime.datetime, account: str) -> list[sa.Row[Any]]:
    """The account's keys that hold, newest first."""
    rows = connection.execute(
        api_keys.select()
        .where(api_keys.c.account == account, api_keys.c.revoked_at.is_(None))
        .order_by(api_keys.c.created_at.desc(), api_keys.c.id)
    )
    return [row for row in rows if _holds(row, now)]


def revoke(connection: sa.Connection, now: datetime.datetime, caller: Caller, key: str) -> None:
    """Raises NotFound, for another account's too."""
    ended = connection.execute(
        api_keys.update()
        .where(api_keys.c.id == key, api_keys.c.account == caller.account, api_keys.c.revoked_at.is_(None))
        .values(revoked_at=now)
    ).rowcount
    if not ended:
        raise NotFound("key_unknown", "there is no such key")
    audit.record(connection, now, actor=caller.actor, account=caller.account, code="key_revoked", ids={"key": key})


def _holds(row: sa.Row[Any], now: datetime.datetime) -> bool:
    return row.revoked_at is None and (row.expires_at is None or now < row.expires_at)


def _refused() -> Unauthorized:
    return Unauthorized("key_refused", "this key does not hold")
