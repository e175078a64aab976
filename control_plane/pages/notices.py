"""What an account was told of changes, as its page says it (LEG-03). Reads only: nobody accepts by looking (LEG-04)."""

from __future__ import annotations

import datetime
from dataclasses import dataclass

import sqlalchemy as sa

from control_plane.legal import changes, notices, texts
from control_plane.legal.notices import FEES, Notice


@dataclass(frozen=True)
class Told:
    """One notice. `title` of the text is "" where only fees change; `since` is when it began to hold, None until then;
    `may_end`: ending the agreement now keeps the old version."""

    notice: Notice
    title: str
    address: str
    since: datetime.datetime | None
    may_end: bool

    @property
    def fees(self) -> bool:
        return self.notice.kind == FEES

    @property
    def begins(self) -> datetime.datetime:
        """From here on a use accepts it."""
        return max(self.notice.change.noticed_at, self.notice.change.not_before)

    @property
    def latest(self) -> datetime.datetime:
        """From here on it holds without any use."""
        return max(self.notice.change.deadline, self.notice.change.not_before)


def told(connection: sa.Connection, now: datetime.datetime, account: str, language: str) -> list[Told]:
    """All of them, the newest first."""
    rows = notices.of_account(connection, account)
    found = texts.headings(connection, [row.version for row in rows], language) if rows else []
    by_kind = {(one.kind, one.version): one for one in found}
    naming_fees = {one.version: one for one in found if one.names_fees}
    made = []
    for row in rows:
        text = naming_fees.get(row.version) if row.kind == FEES else by_kind[row.kind, row.version]
        began = changes.in_force_from(row.change)
        made.append(
            Told(
                row,
                "" if row.kind == FEES or text is None else text.title,
                "/legal" if text is None else text.address,
                began if began is not None and began <= now else None,
                row.change.ended_at is None and now <= row.change.deadline,
            )
        )
    return made
