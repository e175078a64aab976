"""The public profile page (ACC-20): what of an account strangers see. Each part can be hidden, and the whole."""

from __future__ import annotations

import datetime
import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import sqlalchemy as sa

from control_plane.accounts import account as machine
from control_plane.accounts.setup import Setup
from control_plane.accounts.tables import accounts
from control_plane.api.caller import Caller
from control_plane.errors import NotFound
from control_plane.running import audit, events

Part = Literal["about", "picture", "website", "contact", "events"]
PARTS: tuple[Part, ...] = get_args(Part)
# What is written by the owner; "events" is the list of his planned public events, which the rooms area tells.
WRITTEN: tuple[Part, ...] = ("about", "picture", "website", "contact")
# (connection, now, account) -> planned public events: number, title, kind, starts_at (an instant, or None).
PublicEvents = Callable[[sa.Connection, datetime.datetime, str], Sequence[Mapping[str, Any]]]


def no_events(connection: sa.Connection, now: datetime.datetime, account: str) -> Sequence[Mapping[str, Any]]:
    """As long as there is no rooms area."""
    return ()


@dataclass(frozen=True)
class Shown:
    """What strangers are shown. `notice`: the account is frozen. `tag` is different whenever anything else is."""

    slug: str
    name: str
    parts: Mapping[str, Any]
    notice: bool
    tag: str
    time_zone: str  # in which the times of events are meant


def shown(
    connection: sa.Connection,
    now: datetime.datetime,
    setup: Setup,
    slug: str,
    public_events: PublicEvents = no_events,
) -> Shown:
    """The page under this slug. Raises NotFound, in the same words for a page that is hidden, expired or suspended and
    for one that never was."""
    row = connection.execute(accounts.select().where(accounts.c.slug == slug)).one_or_none()
    may = machine.Access(False, False, "none", False, "hidden")
    if row is not None:
        may = machine.access(row.status, setup.subscription(connection, row.id))
    if row is None or not row.profile_public or may.profile == "hidden":
        raise NotFound("profile_unknown", "there is no such page")
    parts: dict[str, Any] = {part: row.profile[part]["text"] for part in WRITTEN if _visible(row.profile, part)}
    if _visible(row.profile, "events", default=True) and may.profile == "shown":
        parts["events"] = [dict(event) for event in public_events(connection, now, row.id)]
    notice = may.profile == "notice"
    said = json.dumps([slug, row.business_name, parts, notice], sort_keys=True, default=str)
    tag = hashlib.sha256(said.encode()).hexdigest()[:32]
    return Shown(slug, row.business_name, parts, notice, tag, row.time_zone)


def settings(connection: sa.Connection, account: str) -> dict[str, Any]:
    """What the owner sees: the whole page's switch, and each part with its text and switch."""
    row = connection.execute(accounts.select().where(accounts.c.id == account)).one()
    parts = {part: {"text": "", "visible": True, **row.profile.get(part, {})} for part in PARTS}
    return {"slug": row.slug, "public": row.profile_public, "parts": parts}


def change(
    connection: sa.Connection,
    now: datetime.datetime,
    caller: Caller,
    *,
    public: bool | None = None,
    parts: Mapping[Part, Mapping[str, Any]] | None = None,
) -> None:
    """Hide or show the page, or parts of it, from the next call on. Of a part, what is not named stays."""
    row = connection.execute(accounts.select().where(accounts.c.id == caller.account)).one()
    profile = {**row.profile}
    for part, changes in (parts or {}).items():
        profile[part] = {"text": "", "visible": True, **profile.get(part, {}), **changes}
    now_public = row.profile_public if public is None else public
    connection.execute(
        accounts.update().where(accounts.c.id == caller.account).values(profile=profile, profile_public=now_public)
    )
    ids = {"public": str(now_public).lower(), "parts": "+".join(sorted(parts or ())) or "none"}
    audit.record(connection, now, actor=caller.actor, account=caller.account, code="profile_changed", ids=ids)
    events.emit(connection, now, account=caller.account, kind="account.profile_changed", payload=ids)


def _visible(profile: Mapping[str, Any], part: str, *, default: bool = False) -> bool:
    found = profile.get(part)
    return default if found is None else bool(found["visible"])
