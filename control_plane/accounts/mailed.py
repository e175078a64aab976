"""Tokens that prove that somebody reads a mailbox: made, mailed, used once. Kept as SHA-256."""

from __future__ import annotations

import datetime
from typing import Any, Literal

import sqlalchemy as sa

from control_plane.accounts.setup import Setup
from control_plane.accounts.tables import mailed_tokens, people
from control_plane.accounts.tokens import kept, new_secret
from control_plane.errors import Gone, Invalid
from control_plane.mail import send
from control_plane.mail.message import Mail

Purpose = Literal["verify", "reset"]
LASTS: dict[Purpose, datetime.timedelta] = {
    "verify": datetime.timedelta(hours=48),
    "reset": datetime.timedelta(hours=1),
}
_PAGES: dict[Purpose, str] = {"verify": "/verify", "reset": "/reset"}
_TEMPLATES: dict[Purpose, str] = {"verify": "verification", "reset": "password_reset"}


def send_token(
    connection: sa.Connection,
    now: datetime.datetime,
    setup: Setup,
    purpose: Purpose,
    person: str,
    account: str | None = None,
) -> None:
    """Mail him a fresh token; earlier ones of this purpose are dead."""
    cancel(connection, now, purpose, person)
    secret = new_secret("mt", setup.draw)
    connection.execute(
        mailed_tokens.insert().values(
            hash=kept(secret), purpose=purpose, person=person, account=account, expires_at=now + LASTS[purpose]
        )
    )
    link = setup.link(_PAGES[purpose], secret)
    notify(connection, now, setup, person, _TEMPLATES[purpose], {"link": link, "token": secret}, account, awaited=True)


def notify(
    connection: sa.Connection,
    now: datetime.datetime,
    setup: Setup,
    person: str,
    template: str,
    values: dict[str, str],
    account: str | None,
    *,
    awaited: bool = False,
) -> None:
    """Put a mail to a person into the outbox, in his language; `awaited` as in outbox.put."""
    row = connection.execute(sa.select(people.c.email, people.c.language).where(people.c.id == person)).one()
    mail = Mail(to=row.email, template=template, language=row.language, values=values)
    send.put(connection, now, mail, f"{template}:{person}:{setup.draw(20)}", account, awaited=awaited)


def cancel(connection: sa.Connection, now: datetime.datetime, purpose: Purpose, person: str) -> None:
    """No token of this purpose that he was sent holds any longer."""
    connection.execute(
        mailed_tokens.update()
        .where(mailed_tokens.c.person == person, mailed_tokens.c.purpose == purpose, mailed_tokens.c.used_at.is_(None))
        .values(used_at=now)
    )


def use(connection: sa.Connection, now: datetime.datetime, purpose: Purpose, secret: str) -> sa.Row[Any]:
    """The token's row, used up by this. Raises Invalid for one that never was, Gone for one used, replaced or old."""
    row = connection.execute(
        mailed_tokens.select().where(mailed_tokens.c.hash == kept(secret), mailed_tokens.c.purpose == purpose)
    ).one_or_none()
    if row is None:
        raise Invalid("token_unknown", "this link is not one of ours, or it is not whole", field="token")
    if row.used_at is not None or now >= row.expires_at:
        raise Gone("token_gone", "this link was used, replaced by a newer one, or has expired", field="token")
    connection.execute(mailed_tokens.update().where(mailed_tokens.c.hash == row.hash).values(used_at=now))
    return row
