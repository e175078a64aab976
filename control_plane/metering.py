"""How much of what an account may have it uses, and telling its owner before that hurts.

The limits are billing's, the people and the rooms other areas'; here they meet. A period is the one that is paid; where
none is, the calendar month.
"""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import sqlalchemy as sa

from control_plane.accounts import members
from control_plane.billing import allowance, subscriptions
from control_plane.billing.allowance import Allowance
from control_plane.billing.setup import BYTES, Setup
from control_plane.billing.subscription import Subscription
from control_plane.periods import day_of
from control_plane.rooms import limits as seats
from control_plane.rooms import stored, usage
from control_plane.rooms.limits import KINDS
from control_plane.rooms.stored import StoredKind
from control_plane.rooms.usage import Most, OfDays
from control_plane.running import events

Name = Literal["meeting", "webinar", "large", "presenters", "members", "storage_bytes", "recording_bytes"]
Level = Literal["", "near", "reached"]
# What is kept is measured; everything else is counted.
KEPT: tuple[Name, ...] = ("storage_bytes", "recording_bytes")
# From this part of a limit on its customer is told: there is time left to do something about it.
NEAR_PERCENT = 80


@dataclass(frozen=True)
class Metered:
    """One limit: `used` of `most`. Of rooms, the most people (presenters) who were in one at once in the period; of
    people, those who are members or invited now; of files and recordings, the bytes that are kept now."""

    name: Name
    used: int
    most: int

    @property
    def level(self) -> Level:
        if not self.used or 100 * self.used < NEAR_PERCENT * self.most:
            return ""
        return "reached" if self.used >= self.most else "near"

    @property
    def percent(self) -> int:
        """Rounded down, and never more than all of it."""
        return min(100, 100 * self.used // self.most) if self.most else 100


@dataclass(frozen=True)
class Use:
    """Of the days from `first` on, before `end`."""

    first: datetime.date
    end: datetime.date
    participant_seconds: float
    recorded_seconds: float
    limits: tuple[Metered, ...]
    allowance: Allowance


def of_account(connection: sa.Connection, now: datetime.datetime, setup: Setup, account: str) -> Use:
    """What it uses of what is in force now."""
    first, end = _period(subscriptions.of(connection, account).one, day_of(now))
    allowed = allowance.of_account(connection, setup.catalogue, account)
    used = usage.of_days(connection, account, first, end)
    people = members.places_taken(connection, now, account)
    recorded_s = stored.recorded_seconds(connection, account, first, end)
    limits = (*_metered(used, people, allowed), *_kept(stored.sizes_bytes(connection, account), allowed))
    return Use(first, end, used.participant_seconds, recorded_s, limits, allowed)


def beyond(use: Use, setup: Setup, plan: str) -> tuple[Metered, ...]:
    """Of what is used, that which another plan has less of (BIL-10, BIL-48): it stays, and no more comes in. Add-ons go
    on with the plan, so they count."""
    catalogue = setup.catalogue
    has, new = allowance.of_plan(catalogue, use.allowance.plan), allowance.of_plan(catalogue, plan)
    most: dict[Name, int] = {kind: seats.of(kind, new).seats for kind in KINDS}
    most["presenters"] = use.allowance.presenters - has.presenters + new.presenters
    most["members"] = new.members
    most["storage_bytes"] = use.allowance.storage_bytes - has.storage_bytes + new.storage_bytes
    most["recording_bytes"] = use.allowance.recording_bytes - has.recording_bytes + new.recording_bytes
    return tuple(
        Metered(one.name, one.used, most[one.name]) for one in use.limits if one.used > most[one.name] and one.used
    )


def look(connection: sa.Connection, now: datetime.datetime, setup: Setup, account: str) -> None:
    """After something grew: a mail to the owner, and an event for programs, when a limit is near and when it is
    reached; once each in a period."""
    use = of_account(connection, now, setup, account)
    for one in use.limits:
        if not one.level or not allowance.notice(connection, now, account, one.name, one.level, use.first):
            continue
        unit = f" {BYTES}" if one.name in KEPT else ""
        values = {"limit": one.name, "used": f"{one.used}{unit}", "most": f"{one.most}{unit}"}
        template = f"billing_limit_{one.level}"
        key = f"{template}:{one.name}:{account}:{use.first}"
        setup.tell(connection, now, account=account, template=template, key=key, values=values)
        told = {"limit": one.name, "used": one.used, "most": one.most}
        events.emit(connection, now, account=account, kind=f"limit.{one.level}", payload=told)


def _metered(used: OfDays, people: int, allowed: Allowance) -> tuple[Metered, ...]:
    """Limits of which the account has or uses anything."""
    none = Most(0, 0)
    found = [Metered(kind, used.most.get(kind, none).people, seats.of(kind, allowed).seats) for kind in KINDS]
    # In a meeting everybody sends: there is no limit of presenters.
    sent = max((one.senders for kind, one in used.most.items() if kind != "meeting"), default=0)
    found += [Metered("presenters", sent, allowed.presenters), Metered("members", people, allowed.members)]
    return tuple(one for one in found if one.most or one.used)


def _kept(sizes_bytes: Mapping[StoredKind, int], allowed: Allowance) -> tuple[Metered, ...]:
    return (
        Metered("storage_bytes", sizes_bytes["file"], allowed.storage_bytes),
        Metered("recording_bytes", sizes_bytes["recording"], allowed.recording_bytes),
    )


def _period(one: Subscription, today: datetime.date) -> tuple[datetime.date, datetime.date]:
    if one.state == "active" and one.period is not None and one.period.first <= today < one.period.end:
        return one.period.first, one.period.end
    first = today.replace(day=1)
    return first, (first + datetime.timedelta(days=31)).replace(day=1)
