"""Mail into the outbox, and out of it again."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from email.message import EmailMessage
from typing import Any

import sqlalchemy as sa

from control_plane.mail.message import Mail, Sender, compose, write
from control_plane.running import outbox
from control_plane.running.canonical import JSON

# A talk over SMTP has about ten steps, each with a time-out of its own.
LEASE_S = 120


def put(
    connection: sa.Connection,
    now: datetime.datetime,
    mail: Mail,
    key: str,
    account: str | None,
    *,
    awaited: bool = False,
) -> bool:
    """Send this after the commit, once a key; `awaited`: its reader looks for it now. It is written here and thrown
    away, so that a mail that cannot be written fails whoever asks for it and never the one who carries it. Raises what
    `message.write` raises."""
    write(mail)
    payload: dict[str, JSON] = {
        "to": mail.to,
        "name": mail.name,
        "template": mail.template,
        "language": mail.language,
        "values": dict(mail.values),
    }
    return outbox.put(connection, now, kind="mail", key=key, account=account, payload=payload, awaited=awaited)


def deliverer(
    sender: Sender,
    post: Callable[[EmailMessage, outbox.Letter], None],
    refused: outbox.WhenRefused = outbox.nothing,
    arrived: outbox.WhenArrived = outbox.unread,
    *,
    idempotent: bool = False,
) -> outbox.Deliverer:
    """Carries the outbox's mail: `post` is `smtp.Smtp.post` or `mailbox.Mailbox.post`; `refused`, `arrived` and
    `idempotent` (as the mailbox is, and no mail server) as in outbox.Deliverer."""

    def carry(letter: outbox.Letter) -> None:
        post(compose(mail_of(letter.payload), sender, key=letter.key, at=letter.put_at), letter)

    return outbox.Deliverer(carry, refused, LEASE_S, arrived, idempotent)


def mail_of(payload: Any) -> Mail:
    """The mail of a letter; for those who want to know of a refused one."""
    return Mail(payload["to"], payload["template"], payload["language"], payload["values"], payload["name"])
