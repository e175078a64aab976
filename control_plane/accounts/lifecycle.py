"""Drives the account's state machine over its rows and carries out the effects, all in the caller's transaction."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Iterable
from typing import Any, cast

import sqlalchemy as sa

from control_plane.accounts import account as machine
from control_plane.accounts import erasure, mailed
from control_plane.accounts.setup import Setup
from control_plane.accounts.tables import accounts, api_keys, memberships, sessions
from control_plane.errors import NotFound
from control_plane.legal import notices
from control_plane.running import audit, events, jobs, outbox

# C3: a limit includes its last instant; what follows comes the moment after.
MOMENT = datetime.timedelta(microseconds=1)
_CODES: dict[type, str] = {
    machine.Verify: "verified",
    machine.Suspend: "suspended",
    machine.Lift: "suspension_lifted",
    machine.Close: "closed",
    machine.Reactivate: "reactivated",
    machine.Purge: "purged",
}


_STATE = accounts.select().where(accounts.c.id == sa.bindparam("id"))


def state(connection: sa.Connection, account: str) -> machine.Account:
    """What the machine knows of an account. Raises NotFound."""
    row = connection.execute(_STATE, {"id": account}).one_or_none()
    if row is None:
        raise NotFound("account_unknown", "there is no such account")
    return machine.Account(cast(machine.Status, row.status), row.free, row.reason, row.window_ends_at)


def access(connection: sa.Connection, setup: Setup, account: str) -> machine.Access:
    """What the account may do now, out of its own state and its subscription's. Raises NotFound."""
    status = state(connection, account).status
    return machine.access(status, setup.subscription(connection, account))


def step(
    connection: sa.Connection,
    now: datetime.datetime,
    setup: Setup,
    account: str,
    event: machine.Event,
    *,
    actor: str,
    ticket: str = "",
) -> machine.Account:
    """Apply one event. Raises NotFound, or Conflict where the machine refuses; then nothing has changed."""
    after, effects = machine.apply(state(connection, account), event, now)
    values: dict[str, object] = {"status": after.status, "reason": after.reason, "window_ends_at": after.window_ends_at}
    if isinstance(event, machine.Verify):
        values["opened_at"] = now
    if isinstance(event, machine.Close):
        values["closed_at"] = now
    connection.execute(
        accounts.update().where(accounts.c.id == account).values(version=accounts.c.version + 1, **values)
    )
    carry_out(connection, now, setup, account, effects, actor=actor, code=_CODES[type(event)], ticket=ticket)
    setup.stepped(connection, now, account, event)
    return after


def carry_out(
    connection: sa.Connection,
    now: datetime.datetime,
    setup: Setup,
    account: str,
    effects: Iterable[machine.Effect],
    *,
    actor: str,
    code: str,
    ticket: str = "",
) -> None:
    """Do what follows from a transition and write down who made it and why (ACC-03, ACC-21)."""
    row = connection.execute(accounts.select().where(accounts.c.id == account)).one()
    ids = {"status": row.status, "reason": row.reason, "ticket": ticket}
    audit.record(
        connection, now, actor=actor, account=account, code=code, ids={name: ids[name] for name in ids if ids[name]}
    )
    events.emit(connection, now, account=account, kind=f"account.{code}", payload={"status": row.status})
    for effect in effects:
        if effect in _EFFECTS:
            _EFFECTS[effect](connection, now, setup, row)


def owner(connection: sa.Connection, account: str) -> str:
    """The owner's person id."""
    found = connection.scalar(
        sa.select(memberships.c.person).where(memberships.c.account == account, memberships.c.role == "owner")
    )
    if found is None:
        raise NotFound("account_unknown", "there is no such account")
    return str(found)


def purge_due(connection: sa.Connection, due_at: datetime.datetime, setup: Setup, account: str) -> None:
    """The job `accounts.purge`: a sign-up that nobody verified, or a closed account whose window is over. Run late,
    early or twice it does no more than is due."""
    now_state = state(connection, account)
    if now_state.status == "pending" or (now_state.window_ends_at is not None and due_at > now_state.window_ends_at):
        step(connection, due_at, setup, account, machine.Purge(), actor="system:accounts")


_Effect = Callable[[sa.Connection, datetime.datetime, Setup, sa.Row[Any]], None]


def _mail_verification(connection: sa.Connection, now: datetime.datetime, setup: Setup, row: sa.Row[Any]) -> None:
    mailed.send_token(connection, now, setup, "verify", owner(connection, row.id), row.id)


def _welcome(connection: sa.Connection, now: datetime.datetime, setup: Setup, row: sa.Row[Any]) -> None:
    mailed.notify(connection, now, setup, owner(connection, row.id), "welcome", {"link": setup.base_url}, row.id)
    jobs.cancel(connection, f"purge:{row.id}:pending")


def _end_rooms(connection: sa.Connection, now: datetime.datetime, setup: Setup, row: sa.Row[Any]) -> None:
    key = f"end_rooms:{row.id}:{row.version}"
    payload = {"command": "end_rooms", "account": row.id, "reason": row.reason}
    outbox.put(connection, now, kind="media", key=key, account=row.id, payload=payload)


def _end_sessions(connection: sa.Connection, now: datetime.datetime, setup: Setup, row: sa.Row[Any]) -> None:
    connection.execute(
        sessions.update().where(sessions.c.account == row.id, sessions.c.revoked_at.is_(None)).values(revoked_at=now)
    )


def _revoke_keys(connection: sa.Connection, now: datetime.datetime, setup: Setup, row: sa.Row[Any]) -> None:
    connection.execute(
        api_keys.update().where(api_keys.c.account == row.id, api_keys.c.revoked_at.is_(None)).values(revoked_at=now)
    )


def _start_window(connection: sa.Connection, now: datetime.datetime, setup: Setup, row: sa.Row[Any]) -> None:
    key = f"purge:{row.id}:{row.version}"
    jobs.put(connection, kind="accounts.purge", key=key, due_at=row.window_ends_at + MOMENT, account=row.id)


def _cancel_window(connection: sa.Connection, now: datetime.datetime, setup: Setup, row: sa.Row[Any]) -> None:
    jobs.cancel(connection, f"purge:{row.id}:{row.version - 1}")


def _end_agreement(connection: sa.Connection, now: datetime.datetime, setup: Setup, row: sa.Row[Any]) -> None:
    notices.ended(connection, now, row.id)


def _erase(connection: sa.Connection, now: datetime.datetime, setup: Setup, row: sa.Row[Any]) -> None:
    erasure.erase(connection, now, row.id)


# Not here: hide_profile, stop_keys and restore. Profile and keys look at the account's status at every call, so
# nothing has to be stored for them; rooms read `access`. Nor review_commission and destroy_key_later: there are neither
# affiliates nor keys of subjects yet. Their areas put the jobs together with the handlers; a job without one would park
# its account (docs/control-plane.md, "Jobs").
_EFFECTS: dict[machine.Effect, _Effect] = {
    "mail_verification": _mail_verification,
    "welcome": _welcome,
    "end_rooms": _end_rooms,
    "end_sessions": _end_sessions,
    "revoke_keys": _revoke_keys,
    "start_window": _start_window,
    "cancel_window": _cancel_window,
    "end_agreement": _end_agreement,
    "erase": _erase,
}
