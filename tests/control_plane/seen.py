"""What a test sees of the areas that are told things: mails, media commands, audit rows, jobs, acceptances."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from control_plane.running.tables import standin
from control_plane.storage.store import Store


def _rows(store: Store, what: str) -> list[sa.Row[Any]]:
    return store.read(
        lambda connection: list(
            connection.execute(standin.select().where(standin.c.what == what).order_by(standin.c.n))
        )
    )


def mails(store: Store, to: str = "", template: str = "") -> list[dict[str, Any]]:
    """The mails that were put into the outbox, in order: to, template, language, values."""
    found = [row.payload for row in _rows(store, "mail")]
    return [one for one in found if to in ("", one["to"]) and template in ("", one["template"])]


def media(store: Store) -> list[dict[str, Any]]:
    """The commands to the media servers, in order."""
    return [row.payload for row in _rows(store, "media")]


def audit(store: Store, code: str = "") -> list[dict[str, Any]]:
    """The audit's rows, in order: code, actor, account, ids, personal."""
    found = [{"code": row.kind, "account": row.account, "at": row.at, **row.payload} for row in _rows(store, "audit")]
    return [one for one in found if code in ("", one["code"])]


def jobs(store: Store, kind: str = "") -> list[sa.Row[Any]]:
    """The jobs that wait: kind, key, account, at."""
    return [row for row in _rows(store, "job") if kind in ("", row.kind)]


def acceptances(store: Store) -> list[dict[str, Any]]:
    """The records of acceptance, in order: kind, person, version, means, language."""
    return [
        {"kind": row.kind, "account": row.account, "at": row.at, **row.payload} for row in _rows(store, "acceptance")
    ]


def publish(store: Store, kind: str, version: str, at: Any) -> None:
    """A newer version of a legal text."""
    store.write(lambda connection: connection.execute(standin.insert().values(what=f"text:{kind}", key=version, at=at)))
