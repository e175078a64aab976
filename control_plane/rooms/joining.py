"""From an id to a grant (PROD-17). Who may not come in learns nothing of the event, neither by words nor by time.

An id that nobody has, one of a private, cancelled, ended or suspended event, and one of an account that may not host:
the same statements are run and the same answer is given. Only who shows a link that was right is told more.
"""

from __future__ import annotations

import datetime
import unicodedata
from dataclasses import dataclass
from typing import Any, cast

import sqlalchemy as sa

from control_plane.accounts.tokens import kept, new_id
from control_plane.api.caller import Caller
from control_plane.errors import Forbidden, Gone, Invalid, NotFound
from control_plane.rooms import grants, limits, policies
from control_plane.rooms.invitations import Role
from control_plane.rooms.limits import Kind, Limits
from control_plane.rooms.setup import Setup
from control_plane.rooms.tables import invitations, room_events
from control_plane.rooms.tables import policies as policy_rows

NAME_CHARACTERS_MAX = 60


@dataclass(frozen=True)
class Admission:
    """How somebody comes in. `address` is the media server's page, with the grant behind #."""

    event: str
    number: str
    title: str
    kind: Kind
    role: Role
    token: str
    address: str


def display_name(typed: str) -> str:
    """The name that others will see. Raises Invalid with field `name`."""
    name = " ".join(unicodedata.normalize("NFC", typed).split())
    if not 1 <= len(name) <= NAME_CHARACTERS_MAX or not name.isprintable():
        raise Invalid("name_malformed", f"a name has 1 to {NAME_CHARACTERS_MAX} characters", field="name")
    return name


@dataclass(frozen=True)
class Found:
    """What is known of an id. `event` is None unless the caller may be let in (or told why not)."""

    event: sa.Row[Any] | None
    role: Role
    limits: Limits
    settled: bool  # the policy in force says what the rows say
    use_awaited: bool  # other areas have to be told that he joins

    @property
    def reads_only(self) -> bool:
        """Whether `admit` writes nothing, as nearly always."""
        return self.settled and not self.use_awaited


# Written once: it is what every join asks.
_ASKED = sa.select(
    sa.bindparam("number", type_=sa.Text).label("asked"), sa.bindparam("token", type_=sa.Text).label("token")
).subquery()
_FIND = (
    sa.select(
        room_events,
        invitations.c.role.label("role"),
        policy_rows.c.version,
        policy_rows.c.closed,
        policy_rows.c.seats.label("policy_seats"),
        policy_rows.c.senders,
    )
    .select_from(_ASKED)
    .outerjoin(room_events, room_events.c.number == _ASKED.c.asked)
    .outerjoin(policy_rows, policy_rows.c.event == room_events.c.id)
    .outerjoin(
        invitations,
        (invitations.c.event == room_events.c.id)
        & (invitations.c.token_hash == _ASKED.c.token)
        & invitations.c.revoked_at.is_(None),
    )
)


def find(
    connection: sa.Connection, now: datetime.datetime, setup: Setup, caller: Caller, number: str, link: str
) -> Found:
    """What the caller may know of this id. Reads only. Raises NotFound, Gone, Forbidden.

    Every id is looked up by the same statements, and each gives exactly one row.
    """
    row = connection.execute(_FIND, {"number": number, "token": kept(link)}).one()
    account = row.account or ""
    may_host = setup.may_host(connection, account)
    allowance = setup.allowance(connection, account)
    member = bool(account) and caller.account == account and "events" in caller.rights
    role = _role(row.role, member)
    open_now = row.state == "planned" and not row.suspended_for and may_host
    known = row.role is not None or member
    if not open_now or not (known or row.access == "open"):
        if known and row.state in ("cancelled", "ended"):
            raise Gone(f"event_{row.state}", f"this event is {'over' if row.state == 'ended' else 'cancelled'}")
        raise _nobody()
    size = limits.of(row.kind, allowance, row.seats)
    if size.seats == 0:
        if member:
            raise Forbidden("plan_kind", "the account's plan does not include events of this kind any more")
        raise _nobody()
    settled = row.version is not None and (row.closed, row.policy_seats, row.senders) == (False, *_pair(size))
    return Found(row, role, size, settled, setup.use_awaited(connection, now, caller))


def admit(
    connection: sa.Connection, now: datetime.datetime, setup: Setup, caller: Caller, found: Found, name: str
) -> Admission:
    """The grant. Of a signed-in person the identity is his id, so that he can be put out by it; a guest's is drawn."""
    row = found.event
    assert row is not None
    version = row.version
    if not found.settled:
        version = policies.settle(connection, now, setup, row.id)
    if found.use_awaited:
        own = row.account == caller.account and found.role == "host"
        setup.used(connection, now, caller, "host" if own else "join")
    identity = caller.person or new_id("gst", setup.draw)
    kind = cast(Kind, row.kind)
    token = grants.sign(
        setup.media,
        now,
        room=row.number,
        kind=kind,
        role=found.role,
        identity=identity,
        name=name,
        limits=found.limits,
        version=version,
    )
    address = f"{setup.media.page}/?join=1#token={token}"
    return Admission(row.id, row.number, row.title, kind, found.role, token, address)


def _nobody() -> NotFound:
    return NotFound(
        "event_not_found", "there is no event that you can join with this id; check it, or ask whoever invited you"
    )


def _role(invited: str | None, member: bool) -> Role:
    """By the link, but whoever may run the account's events is their host."""
    if member:
        return "host"
    return cast(Role, invited or "attendee")


def _pair(size: Limits) -> tuple[int, int]:
    return size.seats, size.senders
