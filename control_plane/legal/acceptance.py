"""Who accepted which text, when, in which language and by which means (LEG-02, LEG-07, LEG-08).

Written once by `record`; every area that lets somebody accept something calls it in the transaction of that act.
"""

from __future__ import annotations

import base64
import datetime
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from control_plane.errors import Conflict, Invalid
from control_plane.legal import texts as published
from control_plane.legal.kinds import KINDS, MEANS, ORIGINAL, Kind, Means, language_of, with_parts
from control_plane.legal.tables import acceptances

# Kinds that are accepted for one thing at a time, which the acceptance names (LEG-08).
_EXTRA: tuple[Kind, ...] = ("integration", "beta")
SUBJECT_CHARACTERS_MAX = 100


@dataclass(frozen=True)
class Acceptance:
    """One text accepted by one person. Texts accepted by one act share their `bundle`."""

    bundle: str
    person: str
    account: str | None
    kind: str
    version: str
    language: str
    body_hash: str
    means: str
    subject: str
    document: str
    address_hash: str
    at: datetime.datetime


def record(
    connection: sa.Connection,
    now: datetime.datetime,
    *,
    person: str,
    texts: Sequence[Kind],
    means: Means,
    language: str,
    address_hash: str,
    account: str | None,
    shown: Mapping[str, str] | None = None,
    subject: str = "",
    document: str = "",
) -> str:
    """The person accepts the texts in force now, with their parts (LEG-07); the id of the bundle.

    `language` is the one asked for; kept is the one the text is there in. `shown`, if given, are the versions that the
    person had before her by kind: raises Conflict when another is in force by now (ACC-15), so that nobody accepts
    what he has not seen. `subject` names the integration or beta function of an extra consent (LEG-08), `document` an
    order on paper (ACC-24). Raises Invalid for unknown words, NotFound when a text is not published.
    """
    _check(texts, means, subject)
    kinds = with_parts(texts)
    found = {kind: published.in_force(connection, kind, language, now) for kind in kinds}
    outdated = [
        kind for kind in kinds if shown is not None and shown.get(kind, found[kind].version) != found[kind].version
    ]
    if outdated:
        raise Conflict(
            "text_changed", f"a new version came out meanwhile ({', '.join(outdated)}); please read it first"
        )
    act = {
        "person": person,
        "account": account,
        "means": means,
        "subject": subject,
        "document": document,
        "address_hash": address_hash,
        "at": now,
    }
    return _write(connection, act, list(found.values()))


def record_use(
    connection: sa.Connection,
    now: datetime.datetime,
    *,
    person: str,
    versions: Mapping[str, str],
    language: str,
    address_hash: str,
    account: str,
) -> str:
    """By going on the person accepts exactly the versions, by kind, that the account was told of (LEG-04)."""
    found = []
    for kind, version in versions.items():
        rows = published.editions_of(connection, kind, version)
        found.append(rows.get(language_of(language)) or rows[ORIGINAL])
    act = {
        "person": person,
        "account": account,
        "means": "use",
        "subject": "",
        "document": "",
        "address_hash": address_hash,
        "at": now,
    }
    return _write(connection, act, found)


def of_person(connection: sa.Connection, person: str) -> list[Acceptance]:
    """All of hers, the first one first."""
    return _found(connection, acceptances.c.person == person)


def of_account(connection: sa.Connection, account: str) -> list[Acceptance]:
    """All that was accepted for this account, the first one first."""
    return _found(connection, acceptances.c.account == account)


def of_bundle(connection: sa.Connection, bundle: str) -> list[Acceptance]:
    """What was accepted by one act."""
    return _found(connection, acceptances.c.bundle == bundle)


def missing(connection: sa.Connection, account: str, texts: Sequence[Kind], subject: str = "") -> tuple[Kind, ...]:
    """Of these texts and their parts, those that nobody ever accepted for the account (LEG-02: before subscribing).

    A newer version is not missing: its notice brings it into force (LEG-04).
    """
    have = {found.kind for found in of_account(connection, account) if found.subject == subject}
    return tuple(kind for kind in with_parts(texts) if kind not in have)


def _check(texts: Sequence[str], means: str, subject: str) -> None:
    if not texts or not set(texts) <= set(KINDS):
        raise Invalid("bad_text", "there is no such legal text", field="texts")
    if means not in MEANS:
        raise Invalid("bad_means", "texts are not accepted by such means", field="means")
    if len(subject) > SUBJECT_CHARACTERS_MAX or bool(subject) != bool(set(texts) & set(_EXTRA)):
        raise Invalid(
            "bad_subject", "an integration or beta function, and only that, is accepted by name", field="subject"
        )


def _write(connection: sa.Connection, act: Mapping[str, Any], found: Sequence[published.Text]) -> str:
    """One row a text. The bundle's id is made of the act, so that the same act has the same one."""
    of = [act["at"].isoformat(), act["person"], act["account"], act["means"], act["subject"], *(t.kind for t in found)]
    told = hashlib.sha256(json.dumps(of).encode()).digest()
    bundle = "bun_" + base64.b32encode(told).decode().lower()[:20]
    rows = [
        {
            **act,
            "bundle": bundle,
            "kind": t.kind,
            "version": t.version,
            "language": t.language,
            "body_hash": t.body_hash,
        }
        for t in found
    ]
    connection.execute(acceptances.insert(), rows)
    return bundle


def _found(connection: sa.Connection, which: sa.ColumnElement[bool]) -> list[Acceptance]:
    columns = [column for column in acceptances.c if column.name != "id"]
    asked = sa.select(*columns).where(which).order_by(acceptances.c.id)
    return [Acceptance(*row) for row in connection.execute(asked)]
