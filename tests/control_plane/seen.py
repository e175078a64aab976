"""What a test sees of the areas that are told things: mails, media commands, audit rows, jobs, acceptances."""

from __future__ import annotations

import datetime
from typing import Any

import sqlalchemy as sa

from control_plane.legal import acceptance, shipped, texts
from control_plane.legal import tables as legal_tables
from control_plane.legal.texts import Edition
from control_plane.running import tables
from control_plane.storage.store import Store


def _outbox(store: Store, kind: str) -> list[dict[str, Any]]:
    asked = sa.select(tables.outbox.c.payload).where(tables.outbox.c.kind == kind).order_by(tables.outbox.c.id)
    return store.read(lambda connection: [dict(payload) for payload in connection.scalars(asked)])


def mails(store: Store, to: str = "", template: str = "") -> list[dict[str, Any]]:
    """The mails that were put into the outbox, in order: to, template, language, values."""
    found = _outbox(store, "mail")
    # What a mail held is gone once it has left.
    return [one for one in found if one and to in ("", one["to"]) and template in ("", one["template"])]


def media(store: Store) -> list[dict[str, Any]]:
    """The commands to the media servers, in order."""
    return _outbox(store, "media")


def audit(store: Store, code: str = "") -> list[dict[str, Any]]:
    """The audit's rows, in order: code, actor, account, at, ids, personal."""
    entry, personal = tables.audit_entry, tables.audit_personal
    asked = sa.select(entry, personal.c.personal).outerjoin(personal).order_by(entry.c.id)
    rows = store.read(lambda connection: [dict(row._mapping) for row in connection.execute(asked)])
    return [row for row in rows if code in ("", row["code"])]


def jobs(store: Store, kind: str = "") -> list[sa.Row[Any]]:
    """The jobs that wait: kind, key, account, due_at."""
    asked = sa.select(tables.job).where(tables.job.c.state == "waiting").order_by(tables.job.c.due_at)
    rows = store.read(lambda connection: list(connection.execute(asked)))
    return [row for row in rows if kind in ("", row.kind)]


def events(store: Store, account: str) -> list[sa.Row[Any]]:
    """The account's events in order."""
    asked = sa.select(tables.event).where(tables.event.c.account == account).order_by(tables.event.c.seq)
    return store.read(lambda connection: list(connection.execute(asked)))


def acceptances(store: Store, person: str) -> list[acceptance.Acceptance]:
    """What a person accepted, in order."""
    return store.read(lambda connection: acceptance.of_person(connection, person))


# The rows of the shipped texts by when they were published: to check their Markdown each time takes 40 ms.
_published: dict[datetime.datetime, list[dict[str, Any]]] = {}


def publish_texts(store: Store, now: datetime.datetime) -> None:
    """The texts that come with the program."""

    def publish(connection: sa.Connection) -> None:
        table = legal_tables.texts
        if connection.execute(sa.select(table.c.kind)).first() is not None:
            texts.publish(connection, now, shipped.editions())
        elif now in _published:
            connection.execute(table.insert(), _published[now])
        else:
            texts.publish(connection, now, shipped.editions())
            _published[now] = [dict(row._mapping) for row in connection.execute(sa.select(table))]

    store.write(publish)


def publish_newer(store: Store, now: datetime.datetime, kind: Any) -> str:
    """A newer version of one of them, in force at once; returns the version."""
    version = now.date().isoformat()
    before = store.read(lambda connection: texts.in_force(connection, kind, "en", now))
    edition = Edition(kind, version, "en", before.body + "\n\nMore.\n", before.anchors)
    store.write(lambda connection: texts.publish(connection, now, [edition]))
    return version
