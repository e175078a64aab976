"""When a change of the texts or of the fees is in force for one customer. Pure (LEG-04, LEG-05).

The readings taken:
- "10 days" are 10 x 24 h from the notice; the whole of the last one belongs to them (C2, C3).
- The first use of the service after the notice accepts the change. Looking at the notice or the texts, signing in,
  billing, privacy matters and ending the agreement are no use: nobody accepts by reading, or by saying no.
- Ending inside of the 10 days keeps the old version to the end, also when the service was used in between; the change
  is then as if it had never been in force for this customer.
- Neither use nor end: in force the moment after the 10 days. So it is for a frozen account, which cannot be used.
- Fees have 30 days whatever the texts say, and use does not shorten them; so a version of the terms that names prices
  is two changes: its words by the 10 days, its prices by the 30.
"""

from __future__ import annotations

import datetime
from dataclasses import dataclass
from typing import Literal

# LEG-04 and LEG-05.
TEXT_DAYS = 10
FEE_DAYS = 30
# The smallest step of an instant in our rows: "the moment after".
MOMENT = datetime.timedelta(microseconds=1)

Act = Literal["host", "join", "content", "api", "sign_in", "legal", "billing", "privacy", "support", "end"]
# What an account does with the service itself.
USES: frozenset[Act] = frozenset({"host", "join", "content", "api"})
# Where these can happen at all (model, section 3.3).
USABLE = frozenset({"trial", "active"})


@dataclass(frozen=True)
class Change:
    """A change that one customer was told of, and what he did since.

    `not_before` is when the new version itself is in force at the earliest: it may be announced in advance.
    """

    noticed_at: datetime.datetime
    not_before: datetime.datetime
    days: int = TEXT_DAYS
    by_use: bool = True
    used_at: datetime.datetime | None = None
    ended_at: datetime.datetime | None = None

    @property
    def deadline(self) -> datetime.datetime:
        """The last instant at which ending the agreement keeps the old version."""
        return self.noticed_at + datetime.timedelta(days=self.days)


def fees(noticed_at: datetime.datetime, not_before: datetime.datetime) -> Change:
    """A change of fees (LEG-05)."""
    return Change(noticed_at, not_before, FEE_DAYS, by_use=False)


def in_force_from(change: Change) -> datetime.datetime | None:
    """The first instant at which the new version binds; None if it never will, because he ended in time."""
    if change.ended_at is not None and change.ended_at <= change.deadline:
        return None
    began = change.deadline + MOMENT
    if change.by_use and change.used_at is not None:
        began = min(began, change.used_at)
    return max(began, change.not_before)


def binds(change: Change, at: datetime.datetime) -> bool:
    """Whether the new version is in force for this customer at that instant."""
    began = in_force_from(change)
    return began is not None and began <= at


def is_use(act: Act, access: str) -> bool:
    """Whether this accepts a change; `access` is the state of the subscription ("frozen", "active", ...)."""
    return act in USES and access in USABLE
