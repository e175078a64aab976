"""Invitation links: each opens one event in one role, until it is taken back. Only the hash of a token is kept."""

from __future__ import annotations

import datetime
from typing import Any, Literal

import sqlalchemy as sa

from control_plane.accounts.tokens import kept, new_id, new_secret
from control_plane.api.caller import Caller
from control_plane.errors import Conflict, Invalid, NotFound
from control_plane.rooms import events
from control_plane.rooms.setup import Setup
from control_plane.rooms.tables import invitations
from control_plane.running import audit

Role = Literal["host", "presenter", "attendee"]
LABEL_CHARACTERS_MAX = 100
PER_EVENT_MAX = 20_000


def make(
    connection: sa.Connection,
    now: datetime.datetime,
    setup: Setup,
    caller: Caller,
    event: str,
    role: Role,
    label: str = "",
) -> tuple[str, str]:
    """(id, link). The link is told this once. Raises NotFound, Conflict for an event that is over or has too many."""
    caller.needs("events")
    row = events.own(connection, caller, event)
    if row.state != "planned":
        raise Conflict("event_over", f"this event is {row.state}")
    if len(label) > LABEL_CHARACTERS_MAX or not label.isprintable():
        raise Invalid("label_malformed", f"a label has at most {LABEL_CHARACTERS_MAX} characters", field="label")
    count = sa.select(sa.func.count()).where(invitations.c.event == event, invitations.c.revoked_at.is_(None))
    if int(connection.execute(count).scalar_one()) >= PER_EVENT_MAX:
        raise Conflict("invitations_max", f"{PER_EVENT_MAX} links are the most of one event")
    identity, token = new_id("inv", setup.draw), new_secret("il", setup.draw)
    values = {"id": identity, "event": event, "role": role, "label": label, "token_hash": kept(token)}
    connection.execute(invitations.insert().values(created_at=now, **values))
    ids = {"event": event, "invitation": identity, "role": role}
    audit.record(connection, now, actor=caller.actor, account=caller.account, code="invitation.made", ids=ids)
    setup.used(connection, now, caller, "host")
    return identity, setup.invitation_link(row.number, token)


def listed(connection: sa.Connection, caller: Caller, event: str) -> list[sa.Row[Any]]:
    """Those that hold, without their tokens. Raises NotFound."""
    events.own(connection, caller, event)
    wanted = sa.select(invitations.c.id, invitations.c.role, invitations.c.label, invitations.c.created_at)
    holding = wanted.where(invitations.c.event == event, invitations.c.revoked_at.is_(None))
    return list(connection.execute(holding.order_by(invitations.c.created_at, invitations.c.id)))


def revoke(connection: sa.Connection, now: datetime.datetime, caller: Caller, event: str, invitation: str) -> None:
    """The link opens nothing any more; who is in by it stays in. A second time changes nothing. Raises NotFound."""
    caller.needs("events")
    events.own(connection, caller, event)
    this = (invitations.c.id == invitation) & (invitations.c.event == event)
    if connection.execute(sa.select(invitations.c.id).where(this)).one_or_none() is None:
        raise NotFound("invitation_unknown", "there is no such invitation")
    connection.execute(invitations.update().where(this, invitations.c.revoked_at.is_(None)).values(revoked_at=now))
    ids = {"event": event, "invitation": invitation}
    audit.record(connection, now, actor=caller.actor, account=caller.account, code="invitation.revoked", ids=ids)
