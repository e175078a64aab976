"""People of an account beside its owner (ACC-03, ACC-06, ACC-07): invited, accepted, given rights, removed.

A new member has no right but those the invitation names; nobody gives a right that he has not himself; nobody changes
his own. Rights are read at every call, so all of this counts from the next call on.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from control_plane.accounts import addresses, fields, lifecycle, mailed
from control_plane.accounts.sessions import rights_of
from control_plane.accounts.setup import Setup
from control_plane.accounts.sign_up import DECLARATIONS, TEXTS
from control_plane.accounts.tables import (
    accounts,
    api_keys,
    declarations,
    identity_links,
    invitations,
    memberships,
    people,
    sessions,
)
from control_plane.accounts.tokens import kept, new_id, new_secret
from control_plane.api.caller import Caller, Right
from control_plane.errors import Conflict, Forbidden, Gone, Invalid, NotFound
from control_plane.legal import acceptance
from control_plane.mail import send
from control_plane.mail.message import Mail
from control_plane.running import audit, events

INVITATION_LASTS = datetime.timedelta(days=7)


@dataclass(frozen=True)
class Newcomer:
    """What somebody fills in who accepts an invitation and is not here yet. `shown`: versions of the texts."""

    password_hash: str | None
    adult: bool
    shown: Mapping[str, str]
    first_name: str = ""
    last_name: str = ""
    language: str = "en"
    address_hash: str = ""


def invite(
    connection: sa.Connection,
    now: datetime.datetime,
    setup: Setup,
    caller: Caller,
    email: str,
    rights: Iterable[Right],
) -> str:
    """Mail an invitation; returns its id. An earlier one to the same address ends. Raises Forbidden for rights that
    the caller has not, Conflict `members_full` or `member_already`."""
    wanted = _grantable(caller, rights)
    address, key = addresses.email(email), addresses.sign_in_key(email)
    account = connection.execute(accounts.select().where(accounts.c.id == caller.account)).one()
    already = (
        sa.select(memberships.c.person)
        .join(people, people.c.id == memberships.c.person)
        .where(memberships.c.account == caller.account, people.c.email_key == key)
    )
    if connection.scalar(already) is not None:
        raise Conflict("member_already", "this person is a member already", field="email")
    mine = _open(now, caller.account) & (invitations.c.email_key == key)
    connection.execute(invitations.update().where(mine).values(ended_at=now))
    if places_taken(connection, now, caller.account) >= setup.allowance(connection, caller.account).members:
        raise Conflict("members_full", "the plan has no more places for people")
    invitation, secret = new_id("inv", setup.draw), new_secret("in", setup.draw)
    connection.execute(
        invitations.insert().values(
            id=invitation,
            hash=kept(secret),
            account=caller.account,
            email=address,
            email_key=key,
            rights=" ".join(sorted(wanted)),
            invited_by=caller.person,
            created_at=now,
            expires_at=now + INVITATION_LASTS,
        )
    )
    language = connection.scalar(sa.select(people.c.language).where(people.c.id == caller.person)) or "en"
    values = {"link": setup.link("/invitation", secret), "token": secret, "account": account.business_name}
    mail = Mail(address, "invitation", language, values)
    send.put(connection, now, mail, f"invitation:{invitation}", account.id, awaited=True)
    _record(connection, now, caller, "member_invited", {"invitation": invitation})
    setup.grew(connection, now, caller.account)
    return invitation


def accept(
    connection: sa.Connection,
    now: datetime.datetime,
    setup: Setup,
    secret: str,
    newcomer: Newcomer,
    signed_in: str = "",
) -> tuple[str, str]:
    """Become a member: (account, person). Somebody who is here already keeps his password and must be signed in as
    `signed_in`, so that nobody who finds a mail becomes him. Raises Invalid, Gone, Forbidden, Conflict."""
    row = connection.execute(invitations.select().where(invitations.c.hash == kept(secret))).one_or_none()
    if row is None:
        raise Invalid("token_unknown", "this link is not one of ours, or it is not whole", field="token")
    if row.ended_at is not None or now >= row.expires_at or lifecycle.state(connection, row.account).status != "open":
        raise Gone("token_gone", "this invitation was used, taken back, or has expired", field="token")
    if _count(connection, row.account) >= setup.allowance(connection, row.account).members:
        raise Conflict("members_full", "the plan has no more places for people")
    found = connection.execute(people.select().where(people.c.email_key == row.email_key)).one_or_none()
    if found is not None and found.verified_at is not None:
        if signed_in != found.id:
            raise Forbidden("sign_in_first", "sign in with this address, then open the link again")
        person = str(found.id)
    else:
        person = _arrive(connection, now, setup, row, newcomer, found)
    connection.execute(
        memberships.insert().values(
            account=row.account, person=person, role="member", rights=row.rights, created_at=now
        )
    )
    connection.execute(invitations.update().where(invitations.c.id == row.id).values(ended_at=now))
    caller = Caller(f"person:{person}", row.account, person)
    _record(connection, now, caller, "member_joined", {"invitation": row.id, "person": person})
    return str(row.account), person


def listed(connection: sa.Connection, account: str) -> list[sa.Row[Any]]:
    """Owner and members, in the order of joining."""
    return list(
        connection.execute(
            sa.select(
                people.c.id,
                people.c.email,
                people.c.first_name,
                people.c.last_name,
                memberships.c.role,
                memberships.c.rights,
            )
            .join(people, people.c.id == memberships.c.person)
            .where(memberships.c.account == account)
            .order_by(memberships.c.created_at, people.c.id)
        )
    )


def invited(connection: sa.Connection, now: datetime.datetime, account: str) -> list[sa.Row[Any]]:
    """Invitations that can still be accepted, oldest first."""
    return list(
        connection.execute(
            invitations.select().where(_open(now, account)).order_by(invitations.c.created_at, invitations.c.id)
        )
    )


def places_taken(connection: sa.Connection, now: datetime.datetime, account: str) -> int:
    """Of those that the account's plan has for people: members beside the owner, and invitations that can still be
    accepted."""
    waiting = connection.scalar(sa.select(sa.func.count()).select_from(invitations).where(_open(now, account))) or 0
    return _count(connection, account) + waiting


def take_back(connection: sa.Connection, now: datetime.datetime, caller: Caller, invitation: str) -> None:
    """End an invitation. Raises NotFound."""
    ended = connection.execute(
        invitations.update()
        .where(
            invitations.c.id == invitation,
            invitations.c.account == caller.account,
            invitations.c.ended_at.is_(None),
        )
        .values(ended_at=now)
    ).rowcount
    if not ended:
        raise NotFound("invitation_unknown", "there is no such invitation")
    _record(connection, now, caller, "invitation_taken_back", {"invitation": invitation})


def set_rights(
    connection: sa.Connection, now: datetime.datetime, caller: Caller, person: str, rights: Iterable[Right]
) -> None:
    """Give a member these rights and no others. Raises NotFound, or Forbidden for oneself, the owner, or a right that
    the caller cannot give or take because he has it not."""
    row = _other(connection, caller, person)
    wanted = frozenset(rights)
    # What stays as it is needs no right of the caller's; what is given or taken does.
    _grantable(caller, wanted ^ rights_of(row.rights))
    connection.execute(
        memberships.update()
        .where(memberships.c.account == caller.account, memberships.c.person == person)
        .values(rights=" ".join(sorted(wanted)))
    )
    _record(connection, now, caller, "rights_set", {"person": person, "rights": "+".join(sorted(wanted)) or "none"})


def remove(connection: sa.Connection, now: datetime.datetime, caller: Caller, person: str) -> None:
    """Put a member out: his sessions in this account and the keys he made die with this call. One may put oneself out.
    Raises NotFound; Forbidden for the owner."""
    row = _member(connection, caller.account, person)
    if row.role == "owner":
        raise Forbidden("owner_stays", "the owner cannot be removed; support can change the owner")
    connection.execute(
        memberships.delete().where(memberships.c.account == caller.account, memberships.c.person == person)
    )
    for table in (sessions, api_keys):
        connection.execute(
            table.update()
            .where(table.c.account == caller.account, table.c.person == person, table.c.revoked_at.is_(None))
            .values(revoked_at=now)
        )
    _record(connection, now, caller, "member_removed", {"person": person})


def _arrive(
    connection: sa.Connection,
    now: datetime.datetime,
    setup: Setup,
    row: sa.Row[Any],
    newcomer: Newcomer,
    unverified: sa.Row[Any] | None,
) -> str:
    """A person who comes by an invitation: the mail proves the address."""
    if not newcomer.adult:
        raise Invalid("declaration_missing", "only adults can take part: this must be declared", field="adult")
    if newcomer.password_hash is None:
        raise Invalid("field_missing", "choose a password", field="password")
    values = {
        "email": row.email,
        "verified_at": now,
        "contested": False,
        "password_hash": newcomer.password_hash,
        "first_name": addresses.name(newcomer.first_name, "first_name"),
        "last_name": addresses.name(newcomer.last_name, "last_name"),
        "language": fields.language(newcomer.language),
    }
    if unverified is not None:
        # A sign-up with his address waits for a verification: it may be a stranger's, so it stays pending, without
        # him. It lapses by itself.
        person = str(unverified.id)
        mailed.cancel(connection, now, "verify", person)
        connection.execute(identity_links.delete().where(identity_links.c.person == person))
        connection.execute(people.update().where(people.c.id == person).values(**values))
    else:
        person = new_id("per", setup.draw)
        connection.execute(
            people.insert().values(
                id=person,
                email_key=row.email_key,
                phone="",
                picture="",
                commercial_mail=False,
                created_at=now,
                **values,
            )
        )
    connection.execute(
        declarations.insert().values(
            account=row.account,
            person=person,
            kind="adult",
            version=DECLARATIONS["adult"],
            language=values["language"],
            at=now,
        )
    )
    acceptance.record(
        connection,
        now,
        person=person,
        texts=TEXTS,
        means="sign_up",
        language=str(values["language"]),
        address_hash=newcomer.address_hash,
        account=row.account,
        shown=newcomer.shown,
    )
    return person


def _grantable(caller: Caller, rights: Iterable[Right]) -> frozenset[Right]:
    wanted = frozenset(rights)
    if not wanted <= caller.rights:
        raise Forbidden("right_missing", "nobody gives or takes a right that he has not")
    return wanted


def _member(connection: sa.Connection, account: str, person: str) -> sa.Row[Any]:
    row = connection.execute(
        memberships.select().where(memberships.c.account == account, memberships.c.person == person)
    ).one_or_none()
    if row is None:
        raise NotFound("member_unknown", "there is no such member")
    return row


def _other(connection: sa.Connection, caller: Caller, person: str) -> sa.Row[Any]:
    row = _member(connection, caller.account, person)
    if person == caller.person:
        raise Forbidden("own_rights", "nobody changes his own rights")
    if row.role == "owner":
        raise Forbidden("owner_stays", "the owner has all rights")
    return row


def _open(now: datetime.datetime, account: str) -> sa.ColumnElement[bool]:
    """Invitations that can still be accepted."""
    return sa.and_(invitations.c.account == account, invitations.c.ended_at.is_(None), invitations.c.expires_at > now)


def _count(connection: sa.Connection, account: str) -> int:
    """Members beside the owner."""
    return (
        connection.scalar(
            sa.select(sa.func.count())
            .select_from(memberships)
            .where(memberships.c.account == account, memberships.c.role != "owner")
        )
        or 0
    )


def _record(
    connection: sa.Connection, now: datetime.datetime, caller: Caller, code: str, ids: Mapping[str, str]
) -> None:
    audit.record(connection, now, actor=caller.actor, account=caller.account, code=code, ids=ids)
    events.emit(connection, now, account=caller.account, kind=f"account.{code}", payload=dict(ids))
