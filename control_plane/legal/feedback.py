"""Feedback: may be used freely and is not confidential, and the form says so (LEG-09).

Feedback that somebody signed is still personal data: it is in his copy and goes when he asks for it.
"""

from __future__ import annotations

import datetime
import unicodedata
from dataclasses import dataclass

import sqlalchemy as sa

from control_plane.errors import Invalid, TooMany
from control_plane.legal.tables import feedback

CHARACTERS_MAX = 4000
# Of everybody who does not sign, together: more is a machine, and staff would read none of it.
UNSIGNED_AN_HOUR = 100
_HOUR = datetime.timedelta(hours=1)


@dataclass(frozen=True)
class Feedback:
    text: str
    person: str | None
    at: datetime.datetime

    @property
    def personal(self) -> bool:
        """Whether it is about a person who can be told."""
        return self.person is not None


def send(connection: sa.Connection, now: datetime.datetime, *, text: str, person: str | None) -> None:
    """Keep it; `person` if she is signed in and wants to sign it. Raises Invalid for empty or endless text and for
    characters that are none, TooMany when there is too much of it without a name."""
    told = unicodedata.normalize("NFC", text).replace("\r\n", "\n").strip()
    if not 1 <= len(told) <= CHARACTERS_MAX:
        raise Invalid("bad_feedback", f"feedback has 1 to {CHARACTERS_MAX} characters", field="text")
    if any(unicodedata.category(character) in ("Cc", "Cs") and character not in "\n\t" for character in told):
        raise Invalid("bad_feedback", "feedback is plain text", field="text")
    if person is None:
        asked = sa.select(sa.func.count()).where(feedback.c.person.is_(None), feedback.c.at > now - _HOUR)
        if (connection.scalar(asked) or 0) >= UNSIGNED_AN_HOUR:
            raise TooMany("too_much_feedback", "there is too much feedback at the moment", retry_after_s=3600)
    connection.execute(feedback.insert().values(text=told, person=person, at=now))


def of_person(connection: sa.Connection, person: str) -> list[Feedback]:
    """What she signed, for the copy of her data."""
    asked = sa.select(feedback).where(feedback.c.person == person).order_by(feedback.c.id)
    return [Feedback(row.text, row.person, row.at) for row in connection.execute(asked)]


def everything(connection: sa.Connection, limit: int = 100) -> list[Feedback]:
    """For staff, the newest first."""
    asked = sa.select(feedback).order_by(feedback.c.id.desc()).limit(limit)
    return [Feedback(row.text, row.person, row.at) for row in connection.execute(asked)]


def erase(connection: sa.Connection, person: str) -> int:
    """What she signed goes, her words with her name: they may tell who she is. How much it was."""
    return connection.execute(feedback.delete().where(feedback.c.person == person)).rowcount
