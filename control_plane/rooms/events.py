"""Events: planned, changed, cancelled, ended by their account; suspended and restored by staff. All in the caller's
transaction. An event's room is where it happens; its policy follows from these rows (rooms.policies)."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, cast

import sqlalchemy as sa

from control_plane.accounts.tokens import new_id
from control_plane.api.caller import Caller
from control_plane.billing.allowance import Allowance
from control_plane.errors import Conflict, Forbidden, Invalid, NotFound
from control_plane.rooms import identifiers, limits, policies
from control_plane.rooms.limits import KINDS, Kind
from control_plane.rooms.setup import Setup
from control_plane.rooms.tables import room_events
from control_plane.running import audit
from control_plane.running import events as account_events

Access = Literal["open", "invited"]
State = Literal["planned", "ended", "cancelled"]
TITLE_CHARACTERS_MAX = 200
# Of one account that are not over. More: somebody gathers ids, or a program of his runs wild.
PLANNED_MAX = 5_000
PUBLIC_MAX = 50
BEGUN_SHOWN = datetime.timedelta(hours=24)


@dataclass(frozen=True)
class Event:
    """`seats` is what the host wished; `limits` what counts."""

    id: str
    account: str
    number: str
    kind: Kind
    title: str
    access: Access
    listed: bool
    starts_at: datetime.datetime | None
    seats: int | None
    state: State
    suspended_for: str
    limits: limits.Limits


@dataclass(frozen=True)
class Plan:
    """What somebody wants to hold."""

    kind: Kind
    title: str
    access: Access = "open"
    starts_at: datetime.datetime | None = None
    seats: int | None = None
    listed: bool = False


def create(connection: sa.Connection, now: datetime.datetime, setup: Setup, caller: Caller, plan: Plan) -> Event:
    """A new event with a fresh id. Raises Forbidden where the account may not host, or its plan has no such kind."""
    caller.needs("events")
    _check(plan.title, plan.seats)
    if not setup.may_host(connection, caller.account):
        raise Forbidden("may_not_host", "this account cannot hold events at the moment")
    _in_plan(connection, setup, caller.account, plan.kind)
    count = sa.select(sa.func.count()).where(room_events.c.account == caller.account, room_events.c.state == "planned")
    if int(connection.execute(count).scalar_one()) >= PLANNED_MAX:
        raise Conflict("events_max", f"{PLANNED_MAX} events are planned already; cancel some first")
    event = new_id("evt", setup.draw)
    number = identifiers.give(connection, now, setup.draw, event)
    row: dict[str, Any] = {
        "id": event,
        "account": caller.account,
        "number": number,
        "kind": plan.kind,
        "title": plan.title.strip(),
    }
    row |= {"access": plan.access, "listed": plan.listed, "starts_at": plan.starts_at, "seats": plan.seats}
    row |= {"state": "planned", "suspended_for": "", "created_at": now, "changed_at": now}
    connection.execute(room_events.insert().values(row))
    policies.settle(connection, now, setup, event)
    _noted(connection, now, caller.actor, caller.account, event, "event.created")
    setup.used(connection, now, caller, "host")
    return get(connection, setup, caller, event)


def get(connection: sa.Connection, setup: Setup, caller: Caller, event: str) -> Event:
    """Raises NotFound, also for another account's."""
    row = own(connection, caller, event)
    return _event(row, setup.allowance(connection, row.account))


def listed(connection: sa.Connection, setup: Setup, caller: Caller) -> list[Event]:
    """The account's events, the newest first."""
    mine = room_events.select().where(room_events.c.account == caller.account)
    rows = connection.execute(mine.order_by(room_events.c.created_at.desc(), room_events.c.id)).all()
    allowance = setup.allowance(connection, caller.account)
    return [_event(row, allowance) for row in rows]


def public(connection: sa.Connection, now: datetime.datetime, setup: Setup, account: str) -> list[dict[str, Any]]:
    """What the account's public page shows (ACC-20): events that their host wants there, that everybody can join by
    their number and that are ahead; those with a date first, in its order. One that began less than BEGUN_SHOWN ago is
    ahead as well: it has no end, and who is late shall find it. At most PUBLIC_MAX; none while the account may not hold
    any."""
    if not setup.may_host(connection, account):
        return []
    allowance = setup.allowance(connection, account)
    kinds = [kind for kind in KINDS if limits.of(kind, allowance).seats > 0]
    ahead = room_events.c.starts_at.is_(None) | (room_events.c.starts_at > now - BEGUN_SHOWN)
    asked = (
        sa.select(room_events.c.number, room_events.c.title, room_events.c.kind, room_events.c.starts_at)
        .where(room_events.c.account == account, room_events.c.state == "planned", room_events.c.suspended_for == "")
        .where(room_events.c.listed, room_events.c.access == "open", room_events.c.kind.in_(kinds), ahead)
        .order_by(
            room_events.c.starts_at.is_(None), room_events.c.starts_at, room_events.c.created_at, room_events.c.id
        )
        .limit(PUBLIC_MAX)
    )
    return [dict(row._mapping) for row in connection.execute(asked)]


def change(
    connection: sa.Connection,
    now: datetime.datetime,
    setup: Setup,
    caller: Caller,
    event: str,
    changes: Mapping[str, Any],
) -> Event:
    """Other values for `title`, `access`, `listed`, `starts_at`, `seats` or `kind` (webinar to large event and back).

    Takes effect in a running room; lower limits put nobody out. Raises NotFound, Conflict for one that is over,
    Forbidden for a kind that the plan has not.
    """
    caller.needs("events")
    before = own(connection, caller, event)
    _planned(before)
    unknown = changes.keys() - {"title", "access", "listed", "starts_at", "seats", "kind"}
    if unknown:
        raise Invalid("field_unknown", f"{min(unknown)} cannot be changed", field=min(unknown))
    _check(str(changes.get("title", before.title)), changes.get("seats", before.seats))
    if changes.get("kind", before.kind) != before.kind:
        if "meeting" in (changes["kind"], before.kind):
            raise Conflict("kind_fixed", "a meeting stays a meeting: plan another event")
        _in_plan(connection, setup, caller.account, changes["kind"])
    values = {**changes, "changed_at": now}
    connection.execute(room_events.update().where(room_events.c.id == event).values(values))
    policies.settle(connection, now, setup, event)
    _noted(connection, now, caller.actor, caller.account, event, "event.changed")
    setup.used(connection, now, caller, "host")
    return get(connection, setup, caller, event)


def finish(
    connection: sa.Connection, now: datetime.datetime, setup: Setup, caller: Caller, event: str, state: State
) -> Event:
    """`cancelled` or `ended`, for good: everybody in the room is put out, and the id lets nobody in any more."""
    caller.needs("events")
    before = own(connection, caller, event)
    if before.state != state:
        _planned(before)
        connection.execute(room_events.update().where(room_events.c.id == event).values(state=state, changed_at=now))
        policies.settle(connection, now, setup, event)
        _noted(connection, now, caller.actor, caller.account, event, f"event.{state}")
    return get(connection, setup, caller, event)


def suspend(
    connection: sa.Connection, now: datetime.datetime, setup: Setup, *, actor: str, event: str, reason: str
) -> None:
    """At once and without notice (ACC-21): everybody is put out; reason and actor stand in the audit. Staff only.

    Raises NotFound, and Invalid with field `reason` without one.
    """
    if not reason:
        raise Invalid("reason_missing", "a suspension needs its reason", field="reason")
    _set_suspended(connection, now, setup, actor, event, reason)


def lift(connection: sa.Connection, now: datetime.datetime, setup: Setup, *, actor: str, event: str) -> None:
    """The event is as it was before it was suspended. Raises NotFound."""
    _set_suspended(connection, now, setup, actor, event, "")


def _set_suspended(
    connection: sa.Connection, now: datetime.datetime, setup: Setup, actor: str, event: str, reason: str
) -> None:
    row = connection.execute(room_events.select().where(room_events.c.id == event)).one_or_none()
    if row is None:
        raise _unknown()
    if row.suspended_for == reason:
        return
    connection.execute(
        room_events.update().where(room_events.c.id == event).values(suspended_for=reason, changed_at=now)
    )
    policies.settle(connection, now, setup, event)
    code = "event.suspended" if reason else "event.restored"
    _noted(connection, now, actor, row.account, event, code, reason or row.suspended_for)


def own(connection: sa.Connection, caller: Caller, event: str) -> sa.Row[Any]:
    """The row of one of the caller's events. Raises NotFound, in the same words for another account's."""
    wanted = room_events.select().where(room_events.c.id == event, room_events.c.account == caller.account)
    row = connection.execute(wanted).one_or_none()
    if row is None:
        raise _unknown()
    return row


def _unknown() -> NotFound:
    return NotFound("event_unknown", "there is no such event")


def _planned(row: sa.Row[Any]) -> None:
    if row.state != "planned":
        raise Conflict("event_over", f"this event is {row.state}")


def _check(title: str, seats: int | None) -> None:
    if not 1 <= len(title.strip()) <= TITLE_CHARACTERS_MAX or not title.isprintable():
        raise Invalid("title_malformed", f"a title has 1 to {TITLE_CHARACTERS_MAX} characters", field="title")
    if seats is not None and not 1 <= seats <= max(limits.PRODUCT[kind].seats for kind in KINDS):
        raise Invalid("seats_range", "seats are counted from 1", field="seats")


def _in_plan(connection: sa.Connection, setup: Setup, account: str, kind: Kind) -> None:
    if limits.of(kind, setup.allowance(connection, account)).seats == 0:
        raise Forbidden("plan_kind", "the account's plan does not include events of this kind")


def _event(row: sa.Row[Any], allowance: Allowance) -> Event:
    return Event(
        row.id,
        row.account,
        row.number,
        cast(Kind, row.kind),
        row.title,
        cast(Access, row.access),
        row.listed,
        row.starts_at,
        row.seats,
        cast(State, row.state),
        row.suspended_for,
        limits.of(cast(Kind, row.kind), allowance, row.seats),
    )


def _noted(
    connection: sa.Connection,
    now: datetime.datetime,
    actor: str,
    account: str,
    event: str,
    code: str,
    reason: str = "",
) -> None:
    ids = {"event": event, **({"reason": reason} if reason else {})}
    audit.record(connection, now, actor=actor, account=account, code=code, ids=ids)
    account_events.emit(connection, now, account=account, kind=code, payload={"event": event})
