"""A person's own data and an account's details (ACC-02, ACC-19, ACC-23): read, corrected, flagged when mail bounces."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from control_plane.accounts import addresses, fields
from control_plane.accounts.tables import accounts, memberships, people
from control_plane.api.caller import Caller
from control_plane.errors import Conflict, Invalid, NotFound
from control_plane.running import audit, events
from control_plane.storage.prepared import Prepared

PERSON_FIELDS = ("first_name", "last_name", "phone", "picture", "language", "commercial_mail")
ACCOUNT_FIELDS = ("business_name", "tax_number", "address", "time_zone", "slug")


_PERSON = people.select().where(people.c.id == sa.bindparam("id"))
_ACCOUNT = Prepared(accounts.select().where(accounts.c.id == sa.bindparam("id"), accounts.c.status != "deleted"))


_READER = Prepared(
    sa.select(people.c.email, people.c.language, accounts.c.time_zone)
    .join(memberships, memberships.c.person == people.c.id)
    .join(accounts, accounts.c.id == memberships.c.account)
    .where(
        accounts.c.id == sa.bindparam("id"),
        memberships.c.role == "owner",
        sa.or_(accounts.c.status == "open", accounts.c.status == "suspended"),
    )
)


def person(connection: sa.Connection, id_: str) -> sa.Row[Any]:
    """His row. Raises NotFound."""
    row = connection.execute(_PERSON, {"id": id_}).one_or_none()
    if row is None:
        raise NotFound("person_unknown", "there is no such person")
    return row


def accounts_of(connection: sa.Connection, id_: str) -> list[sa.Row[Any]]:
    """The accounts he belongs to: id, name, status, his role and rights."""
    return list(
        connection.execute(
            sa.select(
                accounts.c.id, accounts.c.business_name, accounts.c.status, memberships.c.role, memberships.c.rights
            )
            .join(memberships, memberships.c.account == accounts.c.id)
            .where(memberships.c.person == id_, accounts.c.status != "deleted")
            .order_by(memberships.c.created_at, accounts.c.id)
        )
    )


def account(connection: sa.Connection, id_: str) -> Any:
    """The account's row. Raises NotFound."""
    row = _ACCOUNT.first(connection, {"id": id_})
    if row is None:
        raise NotFound("account_unknown", "there is no such account")
    return row


@dataclass(frozen=True)
class Reader:
    """Who reads mail that is about an account, and how it is written for him."""

    email: str
    language: str
    time_zone: str


def reader(connection: sa.Connection, account: str) -> Reader | None:
    """The account's owner, at the last known address; None while nobody is a customer by it (not verified, closed)."""
    row = _READER.first(connection, {"id": account})
    return None if row is None else Reader(*row)


def correct_person(connection: sa.Connection, now: datetime.datetime, id_: str, changes: Mapping[str, Any]) -> None:
    """Change some of PERSON_FIELDS. Old values are kept in the audit alone (PRV-30). Raises Invalid."""
    values = {name: changes[name] for name in PERSON_FIELDS if name in changes}
    for name in ("first_name", "last_name"):
        if name in values:
            values[name] = addresses.name(values[name], name)
    if "language" in values:
        values["language"] = fields.language(values["language"])
    before = person(connection, id_)
    changed = {name: value for name, value in values.items() if getattr(before, name) != value}
    if not changed:
        return
    connection.execute(people.update().where(people.c.id == id_).values(**changed))
    audit.record(
        connection,
        now,
        actor=f"person:{id_}",
        account=None,
        code="person_corrected",
        ids={"person": id_, "fields": "+".join(sorted(changed))},
        personal={name: str(getattr(before, name)) for name in changed},
    )


def correct_account(
    connection: sa.Connection, now: datetime.datetime, caller: Caller, changes: Mapping[str, Any]
) -> None:
    """Change some of ACCOUNT_FIELDS. Raises Invalid, or Conflict `slug_taken`."""
    before = account(connection, caller.account)
    values = {name: changes[name] for name in ACCOUNT_FIELDS if name in changes}
    if "business_name" in values:
        values["business_name"] = addresses.name(values["business_name"], "business_name")
    if "tax_number" in values:
        values["tax_number"] = addresses.tax_number(values["tax_number"])
    named = {"business_name": before.business_name, "tax_number": before.tax_number} | values
    if not named["business_name"] and not named["tax_number"]:
        raise Invalid("business_unnamed", "a business has a name or a tax number", field="business_name")
    if "time_zone" in values:
        fields.time_zone(values["time_zone"])
    if "slug" in values:
        values |= _slug(connection, caller.account, values["slug"])
    changed = {name: value for name, value in values.items() if getattr(before, name) != value}
    if not changed:
        return
    connection.execute(accounts.update().where(accounts.c.id == caller.account).values(**changed))
    named_fields = "+".join(sorted(set(changed) - {"slug_skeleton"}))
    audit.record(
        connection,
        now,
        actor=caller.actor,
        account=caller.account,
        code="account_corrected",
        ids={"fields": named_fields},
        personal={name: str(getattr(before, name)) for name in changed},
    )
    events.emit(connection, now, account=caller.account, kind="account.corrected", payload={"fields": named_fields})


def bounced(connection: sa.Connection, now: datetime.datetime, email: str) -> None:
    """Mail to this address came back: flag its person (ACC-11). Unknown addresses change nothing."""
    try:
        key = addresses.sign_in_key(email)
    except Invalid:
        return
    id_ = connection.scalar(sa.select(people.c.id).where(people.c.email_key == key))
    if id_ is not None:
        connection.execute(people.update().where(people.c.id == id_).values(bounced_at=now))
        audit.record(connection, now, actor="mail", account=None, code="mail_bounced", ids={"person": id_})


def _slug(connection: sa.Connection, account_id: str, typed: str) -> dict[str, str]:
    slug = addresses.slug(typed)
    seen = addresses.skeleton(slug)
    # Of the deleted too: a name is free only after permanent deletion, which empties these columns.
    taken = sa.select(sa.exists().where(accounts.c.slug_skeleton == seen, accounts.c.id != account_id))
    if connection.scalar(taken):
        raise Conflict("slug_taken", "this name is taken, or another looks like it", field="slug")
    return {"slug": slug, "slug_skeleton": seen}
