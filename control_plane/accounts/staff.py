"""What staff do: open a customer's account for a ticket, and only so (ACC-27); find, hand over, sign up (ACC-24)."""

from __future__ import annotations

import datetime
import hashlib
from dataclasses import dataclass, replace
from typing import Any

import sqlalchemy as sa

from control_plane.accounts import addresses, fields, lifecycle, mailed, sign_up
from control_plane.accounts.setup import Setup
from control_plane.accounts.tables import accounts, memberships, offline_orders, people, staff, staff_accesses
from control_plane.accounts.tokens import new_id
from control_plane.api.caller import Caller, Right
from control_plane.errors import Conflict, Forbidden, Invalid, NotFound
from control_plane.running import audit, events

ACCESS_LASTS_MAX = datetime.timedelta(hours=4)
# Staff may "open and change content" (ACC-27); people and money of a customer are the customer's.
ACCESS_RIGHTS: frozenset[Right] = frozenset(("account", "events", "content"))
FOUND_MAX = 50


def appoint(connection: sa.Connection, now: datetime.datetime, person: str, actor: str) -> None:
    """Make a person staff; from the command line alone. Raises NotFound. Again: nothing happens."""
    if not connection.scalar(sa.select(sa.exists().where(people.c.id == person))):
        raise NotFound("person_unknown", "there is no such person")
    if not connection.scalar(sa.select(sa.exists().where(staff.c.person == person))):
        connection.execute(staff.insert().values(person=person, since=now))
        audit.record(connection, now, actor=actor, account=None, code="staff_appointed", ids={"person": person})


def open_access(
    connection: sa.Connection,
    now: datetime.datetime,
    setup: Setup,
    caller: Caller,
    account: str,
    ticket: str,
    reason: str,
    lasts: datetime.timedelta,
) -> str:
    """Let a member of the staff into an account for a ticket, for ACCESS_LASTS_MAX at most; the owner gets a mail and
    sees it in his account. Returns the access's id. Raises NotFound, Invalid."""
    fields.ticket(ticket)
    if not datetime.timedelta() < lasts <= ACCESS_LASTS_MAX:
        raise Invalid("too_long", f"at most {ACCESS_LASTS_MAX}", field="minutes")
    owner = lifecycle.owner(connection, account)
    access = new_id("sta", setup.draw)
    connection.execute(
        staff_accesses.insert().values(
            id=access,
            person=caller.person,
            account=account,
            ticket=ticket,
            reason=reason,
            opened_at=now,
            expires_at=now + lasts,
        )
    )
    ids = {"access": access, "ticket": ticket}
    actor = f"staff:{caller.person}"
    audit.record(connection, now, actor=actor, account=account, code="staff_access_opened", ids=ids)
    events.emit(connection, now, account=account, kind="account.staff_access_opened", payload=ids)
    mailed.notify(connection, now, setup, owner, "staff_access", {"ticket": ticket, "reason": reason}, account)
    return access


def enter(connection: sa.Connection, now: datetime.datetime, person: str, access: str, what: str) -> Caller:
    """The caller that a member of the staff is inside of the account; every call is written down with its route.
    Raises Forbidden for an access that is not his, has ended or is over."""
    row = connection.execute(staff_accesses.select().where(staff_accesses.c.id == access)).one_or_none()
    if row is None or row.person != person or row.ended_at is not None or now >= row.expires_at:
        raise Forbidden("access_over", "this access to the account does not hold: open one for the ticket")
    ids = {"access": access, "ticket": row.ticket, "what": what}
    audit.record(connection, now, actor=f"staff:{person}", account=row.account, code="staff_call", ids=ids)
    return Caller(f"staff:{person}", row.account, person, "staff", ACCESS_RIGHTS, row.ticket)


def end_access(connection: sa.Connection, now: datetime.datetime, caller: Caller, access: str) -> None:
    """End it before its time. Raises NotFound."""
    row = connection.execute(
        staff_accesses.select().where(staff_accesses.c.id == access, staff_accesses.c.person == caller.person)
    ).one_or_none()
    if row is None or row.ended_at is not None:
        raise NotFound("access_unknown", "there is no such access")
    connection.execute(staff_accesses.update().where(staff_accesses.c.id == access).values(ended_at=now))
    actor = f"staff:{caller.person}"
    audit.record(connection, now, actor=actor, account=row.account, code="staff_access_ended", ids={"access": access})


def accesses(connection: sa.Connection, account: str) -> list[sa.Row[Any]]:
    """Those that were ever opened to an account, newest first: what its owner is shown."""
    return list(
        connection.execute(
            staff_accesses.select()
            .where(staff_accesses.c.account == account)
            .order_by(staff_accesses.c.opened_at.desc(), staff_accesses.c.id)
        )
    )


def find(connection: sa.Connection, query: str) -> list[sa.Row[Any]]:
    """Accounts by id, or by a part of the owner's address, the name or the slug, taken literally: % and _ are letters.
    At most FOUND_MAX."""
    columns = (accounts.c.business_name, accounts.c.slug, people.c.email)
    return list(
        connection.execute(
            sa.select(accounts.c.id, accounts.c.business_name, accounts.c.slug, accounts.c.status, people.c.email)
            .join(memberships, sa.and_(memberships.c.account == accounts.c.id, memberships.c.role == "owner"))
            .join(people, people.c.id == memberships.c.person)
            .where(
                sa.or_(
                    accounts.c.id == query,
                    *(sa.func.lower(column).like(_pattern(query), escape="\\") for column in columns),
                )
            )
            .order_by(accounts.c.created_at, accounts.c.id)
            .limit(FOUND_MAX)
        )
    )


@dataclass(frozen=True)
class Order:
    """An order that came on paper or by a consultant (ACC-24)."""

    name: str  # of the document
    document: bytes


def sign_up_offline(
    connection: sa.Connection,
    now: datetime.datetime,
    setup: Setup,
    caller: Caller,
    form: sign_up.Form,
    order: Order,
) -> str:
    """An account made by staff out of an order form: the document, the declarations and the acceptance are stored with
    it, and its owner gets a mail to verify his address and one to set a password. Raises Conflict, Invalid."""
    if not order.document:
        raise Invalid("document_missing", "the signed order is stored with the account", field="document")
    form = replace(sign_up.checked(connection, now, setup, form), means="document")
    known = sa.select(sa.exists().where(people.c.email_key == addresses.sign_in_key(form.email)))
    if connection.scalar(known):
        raise Conflict("email_taken", "a person with this address is there already", field="email")
    actor = f"staff:{caller.person}"
    account, person = sign_up.begin(connection, now, setup, form, None, kind="consultant", actor=actor)
    # He has no password yet: the verification is followed by a link to set one.
    connection.execute(people.update().where(people.c.id == person).values(contested=True))
    connection.execute(
        offline_orders.insert().values(
            account=account,
            name=order.name,
            sha256=hashlib.sha256(order.document).hexdigest(),
            document=order.document,
            actor=actor,
            at=now,
        )
    )
    audit.record(connection, now, actor=actor, account=account, code="order_stored", ids={"person": person})
    return account


def hand_over(
    connection: sa.Connection,
    now: datetime.datetime,
    setup: Setup,
    caller: Caller,
    account: str,
    person: str,
    ticket: str,
) -> None:
    """Make a member the owner, the old owner a member without rights; by staff for a ticket alone (ACC-26).
    Raises NotFound, Invalid."""
    fields.ticket(ticket)
    before = lifecycle.owner(connection, account)
    member = sa.and_(memberships.c.account == account, memberships.c.person == person)
    if person == before or not connection.scalar(sa.select(sa.exists().where(member))):
        raise NotFound("member_unknown", "there is no such member")
    connection.execute(
        memberships.update()
        .where(memberships.c.account == account, memberships.c.person == before)
        .values(role="member", rights="")
    )
    connection.execute(memberships.update().where(member).values(role="owner", rights=""))
    ids = {"from": before, "to": person, "ticket": ticket}
    audit.record(connection, now, actor=f"staff:{caller.person}", account=account, code="owner_changed", ids=ids)
    events.emit(connection, now, account=account, kind="account.owner_changed", payload={"person": person})
    for one in (before, person):
        mailed.notify(connection, now, setup, one, "owner_changed", {"ticket": ticket}, account)


def _pattern(query: str) -> str:
    literal = query.lower().replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    return f"%{literal}%"
