"""Who did what: rows that are added and never changed, chained by hash, one chain an account.

A row holds ids and codes. What names a person (an address, an old value) stands in a side row that may be erased; the
chain goes over the side row's hash, salted, so that it still holds afterwards and the hash alone tells nothing. A chain
is an account's, or an actor's where there is no account: people of two accounts never wait for each other.
"""

from __future__ import annotations

import datetime
import secrets
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from control_plane.running import inserts
from control_plane.running.canonical import digest, plain, text
from control_plane.running.tables import audit_chain, audit_entry, audit_personal
from control_plane.storage.columns import Instant

_instant = Instant()


@dataclass(frozen=True)
class Entry:
    """`personal` is None where there was nothing personal or it was erased; `erased` tells which."""

    id: int
    at: datetime.datetime
    actor: str
    account: str | None
    code: str
    ids: Mapping[str, str]
    personal: Mapping[str, str] | None
    erased: bool


@dataclass(frozen=True)
class Break:
    """Where a chain does not hold: at this number of it, or behind its end."""

    chain: str
    number: int
    why: str


def record(
    connection: sa.Connection,
    now: datetime.datetime,
    *,
    actor: str,
    account: str | None,
    code: str,
    ids: Mapping[str, str],
    personal: Mapping[str, str] | None = None,
    random_token: Callable[[int], str] = secrets.token_hex,
) -> None:
    """Write down what `actor` ("person:…", "staff:…", "key:…", "system:…") did. Raises ValueError when an id, a code or
    the actor could name a person: those values belong into `personal`."""
    plain(actor, code, *ids, *ids.values())
    # No account's id begins like an actor's chain.
    chain = account or f"-{actor}"
    number, previous = _end(connection, chain)
    salt = random_token(16) if personal else ""
    personal_hash = digest(salt, text(personal)) if personal else None
    row: dict[str, Any] = {"chain": chain, "number": number + 1, "at": now, "actor": actor, "account": account}
    row |= {"code": code, "ids": dict(ids), "personal_hash": personal_hash, "previous": previous}
    row["hash"] = _hash(row)
    entry = connection.execute(audit_entry.insert().values(row).returning(audit_entry.c.id)).scalar_one()
    connection.execute(
        audit_chain.update().where(audit_chain.c.chain == chain).values(number=number + 1, hash=row["hash"])
    )
    if personal:
        connection.execute(audit_personal.insert().values(entry=entry, salt=salt, personal=dict(personal)))


def read(connection: sa.Connection, account: str | None, *, after: int = 0, limit: int = 100) -> list[Entry]:
    """The rows of an account (or of none) in order, from behind this id."""
    wanted = _with_personal().where(_of(account), audit_entry.c.id > after).order_by(audit_entry.c.id).limit(limit)
    return [
        Entry(
            row.id,
            row.at,
            row.actor,
            row.account,
            row.code,
            row.ids,
            row.personal,
            row.personal_hash is not None and row.personal is None,
        )
        for row in connection.execute(wanted)
    ]


def erase_personal(connection: sa.Connection, account: str | None, *, actor: str | None = None) -> int:
    """Take what names people out of the rows of an account; out of those of none where `account` is None, an actor's
    alone if told. The chains still hold. Returns how many rows had something."""
    entries = sa.select(audit_entry.c.id).where(_of(account))
    if actor is not None:
        entries = entries.where(audit_entry.c.actor == actor)
    return connection.execute(audit_personal.delete().where(audit_personal.c.entry.in_(entries))).rowcount


def verify(connection: sa.Connection, account: str | None = None) -> Iterator[Break]:
    """Walk an account's chain, or every one; tell each place at which it does not hold, nothing when all is well."""
    chains = sa.select(audit_chain).order_by(audit_chain.c.chain)
    if account is None:
        strays = sa.select(audit_entry.c.chain).distinct()
        for chain in connection.execute(strays.except_(sa.select(audit_chain.c.chain))).scalars().all():
            yield _no_end(chain)
    else:
        chains = chains.where(audit_chain.c.chain == account)
    for row in connection.execute(chains).all():
        yield from _verify(connection, row.chain, row.number, row.hash)


def next_chain(connection: sa.Connection, after: str) -> tuple[str, int] | None:
    """The first chain behind this name, and how many rows it should have; None at the end. For walking all of them in
    small pieces; a chain whose end is not known is among them."""
    named = sa.select(sa.func.min(audit_entry.c.chain)).where(audit_entry.c.chain > after)
    ended = sa.select(sa.func.min(audit_chain.c.chain)).where(audit_chain.c.chain > after)
    names = [name for wanted in (named, ended) if (name := connection.execute(wanted).scalar_one()) is not None]
    if not names:
        return None
    chain = min(names)
    length = sa.select(audit_chain.c.number).where(audit_chain.c.chain == chain)
    return chain, connection.execute(length).scalar_one_or_none() or 0


def verify_chain(connection: sa.Connection, chain: str) -> Iterator[Break]:
    """As `verify`, one chain by its name: an account's id, or "-" and an actor where there is no account."""
    row = connection.execute(audit_chain.select().where(audit_chain.c.chain == chain)).one_or_none()
    if row is None:
        yield _no_end(chain)
    else:
        yield from _verify(connection, row.chain, row.number, row.hash)


def _no_end(chain: str) -> Break:
    return Break(chain, 0, "the end of this chain is not known")


def _verify(connection: sa.Connection, chain: str, last: int, last_hash: str) -> Iterator[Break]:
    number, previous = 0, ""
    rows = connection.execute(
        _with_personal().where(audit_entry.c.chain == chain).order_by(audit_entry.c.number),
        execution_options={"yield_per": 500},
    )
    for row in rows:
        if row.number != number + 1:
            yield Break(chain, number + 1, "a row is missing")
        elif row.previous != previous:
            yield Break(chain, row.number, "it does not follow the row before it")
        if _hash(row._mapping) != row.hash:
            yield Break(chain, row.number, "the row was changed")
        if row.personal is not None and row.personal_hash != digest(row.salt, text(row.personal)):
            yield Break(chain, row.number, "the personal values were changed")
        number, previous = row.number, row.hash
    if (number, previous) != (last, last_hash):
        yield Break(chain, number + 1, "the end of the chain is missing")


def _end(connection: sa.Connection, chain: str) -> tuple[int, str]:
    wanted = sa.select(audit_chain.c.number, audit_chain.c.hash).where(audit_chain.c.chain == chain)
    # Held until the commit: two rows can not follow the same one.
    row = connection.execute(wanted.with_for_update()).one_or_none()
    if row is not None:
        return row.number, row.hash
    inserts.once(connection, audit_chain, {"chain": chain, "number": 0, "hash": ""}, index_elements=["chain"])
    return 0, ""


def _of(account: str | None) -> sa.ColumnElement[bool]:
    return audit_entry.c.account.is_(None) if account is None else audit_entry.c.account == account


def _with_personal() -> sa.Select[Any]:
    return sa.select(audit_entry, audit_personal.c.salt, audit_personal.c.personal).outerjoin(
        audit_personal, audit_personal.c.entry == audit_entry.c.id
    )


def _hash(row: Mapping[Any, Any]) -> str:
    return digest(
        row["chain"],
        str(row["number"]),
        str(_instant.process_bind_param(row["at"], None)),
        row["actor"],
        row["account"] or "",
        row["code"],
        text(row["ids"]),
        row["personal_hash"] or "",
        row["previous"],
    )
