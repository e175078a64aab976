"""Identities of outside providers (ACC-14): linked by a signed-in person or by a new sign-up, never silently.

A provider says who somebody is by (provider, subject). The e-mail address it tells is a hint: it never signs anybody
in to a person who has a password here, and it is verified by our own mail unless the provider says it has done so.
"""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import sqlalchemy as sa

from control_plane.accounts import addresses, sign_up
from control_plane.accounts.setup import Setup
from control_plane.accounts.tables import identity_links, identity_steps, people
from control_plane.accounts.tokens import kept, new_secret
from control_plane.api.caller import Caller
from control_plane.errors import Conflict, Gone, Invalid, NotFound
from control_plane.running import audit

STEP_LASTS = datetime.timedelta(minutes=10)
SIGN_UP_LASTS = datetime.timedelta(hours=1)
Kind = Literal["sign_in", "link", "sign_up"]


@dataclass(frozen=True)
class Provider:
    """An identity provider (OpenID Connect) that people may sign in with. `issuer` is its https address."""

    name: str
    issuer: str
    client_id: str
    client_secret: str
    title: str = ""


@dataclass(frozen=True)
class Identity:
    """Who a provider says it is."""

    provider: str
    subject: str
    email: str = ""
    email_verified: bool = False


@dataclass(frozen=True)
class Arrival:
    """What comes of an identity: a person to sign in, or a token with which it may sign up."""

    person: str | None = None
    sign_up: str | None = None


def remember(
    connection: sa.Connection,
    now: datetime.datetime,
    setup: Setup,
    kind: Kind,
    provider: str,
    person: str,
    payload: Mapping[str, Any],
) -> str:
    """Keep a step that is under way, for STEP_LASTS (a sign-up SIGN_UP_LASTS); returns the secret that finds it."""
    secret = new_secret("st", setup.draw)
    connection.execute(identity_steps.delete().where(identity_steps.c.expires_at <= now))
    lasts = SIGN_UP_LASTS if kind == "sign_up" else STEP_LASTS
    connection.execute(
        identity_steps.insert().values(
            hash=kept(secret),
            kind=kind,
            provider=provider,
            person=person,
            payload=dict(payload),
            expires_at=now + lasts,
        )
    )
    return secret


def recall(connection: sa.Connection, now: datetime.datetime, provider: str, secret: str) -> sa.Row[Any]:
    """The step, once. Raises Gone for one that is unknown, over, used, or another provider's."""
    row = connection.execute(identity_steps.select().where(identity_steps.c.hash == kept(secret))).one_or_none()
    connection.execute(identity_steps.delete().where(identity_steps.c.hash == kept(secret)))
    if row is None or now >= row.expires_at or row.provider != provider:
        raise Gone("identity_step_gone", "this took too long, or was done already: begin again")
    return row


def arrive(connection: sa.Connection, now: datetime.datetime, setup: Setup, identity: Identity) -> Arrival:
    """Somebody comes from a provider and is not signed in. Raises Conflict `identity_not_linked` where a person with
    this address is here: he signs in with his password and links it himself."""
    person = connection.scalar(sa.select(identity_links.c.person).where(*_is(identity)))
    if person is not None:
        return Arrival(person=str(person))
    if identity.email and _known(connection, identity.email):
        raise Conflict("identity_not_linked", "sign in with your password first, then link it in your account")
    payload = {"subject": identity.subject, "email": identity.email, "email_verified": identity.email_verified}
    return Arrival(sign_up=remember(connection, now, setup, "sign_up", identity.provider, "", payload))


def link(connection: sa.Connection, now: datetime.datetime, person: str, identity: Identity) -> None:
    """Link it to a person who is signed in and asked for it. Raises Conflict when it is somebody else's, or when he
    has another of this provider."""
    held = connection.execute(
        identity_links.select().where(
            identity_links.c.provider == identity.provider,
            sa.or_(identity_links.c.subject == identity.subject, identity_links.c.person == person),
        )
    ).first()
    if held is not None:
        if held.person == person and held.subject == identity.subject:
            return
        raise Conflict("identity_linked", "this identity is linked already, or you have another of this provider")
    connection.execute(
        identity_links.insert().values(
            provider=identity.provider,
            subject=identity.subject,
            person=person,
            email=identity.email,
            created_at=now,
        )
    )
    _record(connection, now, f"person:{person}", "identity_linked", identity.provider)


def unlink(connection: sa.Connection, now: datetime.datetime, caller: Caller, provider: str) -> None:
    """Raises NotFound, or Conflict `password_missing` where it is the only way to sign in."""
    links = listed(connection, caller.person)
    if provider not in [row.provider for row in links]:
        raise NotFound("identity_unknown", "nothing of this provider is linked")
    has_password = connection.scalar(sa.select(people.c.password_hash).where(people.c.id == caller.person)) is not None
    if not has_password and len(links) == 1:
        raise Conflict("password_missing", "set a password first: nothing else would let you in")
    connection.execute(
        identity_links.delete().where(identity_links.c.person == caller.person, identity_links.c.provider == provider)
    )
    _record(connection, now, caller.actor, "identity_unlinked", provider)


def listed(connection: sa.Connection, person: str) -> list[sa.Row[Any]]:
    """His linked identities, by provider."""
    return list(
        connection.execute(
            identity_links.select().where(identity_links.c.person == person).order_by(identity_links.c.provider)
        )
    )


def sign_up_with(
    connection: sa.Connection, now: datetime.datetime, setup: Setup, provider: str, secret: str, form: sign_up.Form
) -> sign_up.Outcome:
    """Sign up with an identity in place of a password; declarations and acceptance are as always. The account opens
    at once only where the provider has verified the very address of the form. Raises as sign_up, and Gone, Invalid."""
    step = recall(connection, now, provider, secret)
    if step.kind != "sign_up":
        raise Invalid("token_unknown", "this is not a token for a sign-up", field="identity")
    outcome = sign_up.sign_up(connection, now, setup, form, None)
    if outcome != "pending":
        return outcome
    row = connection.execute(people.select().where(people.c.email_key == addresses.sign_in_key(form.email))).one()
    told = step.payload
    identity = Identity(step.provider, told["subject"], told["email"], told["email_verified"])
    # A second sign-up of an unverified address may be a stranger's: whose identity it is, the mailbox's reader says.
    if row.contested:
        return outcome
    link(connection, now, row.id, identity)
    same = identity.email and addresses.sign_in_key(identity.email) == row.email_key
    if identity.email_verified and same:
        sign_up.open_pending(connection, now, setup, row.id)
    return outcome


def _known(connection: sa.Connection, email: str) -> bool:
    try:
        key = addresses.sign_in_key(email)
    except Invalid:
        return False
    return connection.scalar(sa.select(sa.exists().where(people.c.email_key == key))) or False


def _is(identity: Identity) -> tuple[sa.ColumnElement[bool], ...]:
    return identity_links.c.provider == identity.provider, identity_links.c.subject == identity.subject


def _record(connection: sa.Connection, now: datetime.datetime, actor: str, code: str, provider: str) -> None:
    audit.record(connection, now, actor=actor, account=None, code=code, ids={"provider": provider})
