"""Who had his free account (ACC-04) and who is refused (ACC-12): keyed hashes that outlive the account."""

from __future__ import annotations

import datetime
from collections.abc import Iterable
from typing import Any, Literal

import sqlalchemy as sa

from control_plane.accounts import addresses
from control_plane.accounts.tables import bans, free_uses
from control_plane.accounts.tokens import fingerprint
from control_plane.running import audit

Kind = Literal["email", "tax", "card"]
LISTED_MAX = 200
Found = tuple[Kind, str]  # a kind and its fingerprint


def of(key: bytes, *, email: str = "", tax_number: str = "", card: str = "") -> tuple[Found, ...]:
    """The fingerprints of what is given. `card` is the payment gateway's own fingerprint, never a number.
    Raises Invalid for an address or a tax number that is none."""
    found: list[Found] = []
    if email:
        found.append(("email", fingerprint(key, "email", addresses.free_account_key(email))))
    if number := addresses.tax_number(tax_number):
        found.append(("tax", fingerprint(key, "tax", number)))
    if card:
        found.append(("card", fingerprint(key, "card", card)))
    return tuple(found)


def refused(connection: sa.Connection, found: Iterable[Found]) -> bool:
    """Whether one of them is banned."""
    return _any(connection, bans, found)


def free_used(connection: sa.Connection, found: Iterable[Found]) -> bool:
    """Whether one of them had a free account, ever."""
    return _any(connection, free_uses, found)


def use_free(connection: sa.Connection, now: datetime.datetime, account: str, found: Iterable[Found]) -> None:
    """Keep that the free account was used. The primary key lets the second of two races fail."""
    for kind, value in found:
        connection.execute(free_uses.insert().values(fingerprint=value, kind=kind, account=account, at=now))


def ban(
    connection: sa.Connection, now: datetime.datetime, actor: str, found: Iterable[Found], reason: str
) -> tuple[str, ...]:
    """Refuse these from now on; a second ban of one changes nothing. Returns the kinds. `reason` is a code."""
    kinds: list[str] = []
    for kind, value in found:
        kinds.append(kind)
        if not _any(connection, bans, [(kind, value)]):
            connection.execute(bans.insert().values(fingerprint=value, kind=kind, reason=reason, actor=actor, at=now))
            audit.record(
                connection, now, actor=actor, account=None, code="banned", ids={"fingerprint": value, "reason": reason}
            )
    return tuple(kinds)


def lift_ban(connection: sa.Connection, now: datetime.datetime, actor: str, found: Iterable[Found]) -> int:
    """Refuse them no longer. Returns how many bans ended."""
    ended = 0
    for _, value in found:
        ended += connection.execute(bans.delete().where(bans.c.fingerprint == value)).rowcount
        audit.record(connection, now, actor=actor, account=None, code="ban_lifted", ids={"fingerprint": value})
    return ended


def listed(connection: sa.Connection) -> list[sa.Row[Any]]:
    """The bans, newest first, LISTED_MAX at most: what is refused, why, by whom and since when."""
    return list(connection.execute(bans.select().order_by(bans.c.at.desc(), bans.c.fingerprint).limit(LISTED_MAX)))


def _any(connection: sa.Connection, table: sa.Table, found: Iterable[Found]) -> bool:
    values = [value for _, value in found]
    return connection.scalar(sa.select(sa.exists().where(table.c.fingerprint.in_(values)))) or False
