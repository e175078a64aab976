"""The 9-digit ids by which people join (PROD-17): drawn without a pattern, read leniently, never given twice."""

from __future__ import annotations

import datetime
import re

import sqlalchemy as sa

from control_plane.accounts.tokens import Draw
from control_plane.errors import Invalid, Unavailable
from control_plane.rooms.tables import event_numbers
from control_plane.running import inserts

LOWEST, HIGHEST = 100_000_000, 999_999_999
# What people put between the groups, also as word processors and mail programs write it.
_BETWEEN = re.compile(r"[\s\u00a0\u2007\u202f\u2010-\u2015\-]+")
_TYPED_MAX = 40
# 70 characters of chance more than needed: the remainder of a division favours no id that anybody could notice.
_DRAWN = 20
# So many ids in a row that are taken already: the draw is broken, or a tenth of all ids would have to be in use.
_TRIES = 9


def parse(typed: str) -> str:
    """The id that somebody typed, without spaces and hyphens. Raises Invalid with field `id` and what is wrong."""
    bare = _BETWEEN.sub("", typed[: _TYPED_MAX + 1])
    if not re.fullmatch(r"[0-9]+", bare):
        raise Invalid("event_id_malformed", "an event id has digits only, such as 123 456 789", field="id")
    if len(bare) != 9 or len(typed) > _TYPED_MAX:
        raise Invalid("event_id_length", "an event id has exactly 9 digits; please check it", field="id")
    if bare[0] == "0":
        raise Invalid("event_id_zero", "an event id never begins with 0; please check it", field="id")
    return bare


def spoken(number: str) -> str:
    """As people read it to each other: 123 456 789."""
    return f"{number[:3]} {number[3:6]} {number[6:]}"


def drawn(draw: Draw) -> str:
    """Any of the ids, each as likely as the others; whoever knows one knows nothing of another."""
    return str(LOWEST + int.from_bytes(draw(_DRAWN).encode(), "big") % (HIGHEST - LOWEST + 1))


def give(connection: sa.Connection, now: datetime.datetime, draw: Draw, event: str) -> str:
    """A fresh id for an event, written down for ever: it is not given again when the event is gone."""
    for _ in range(_TRIES):
        number = drawn(draw)
        row = {"number": number, "event": event, "given_at": now}
        if inserts.once(connection, event_numbers, row, index_elements=["number"]):
            return number
    raise Unavailable("no_number", "no free id was found; try again", retry_after_s=1)
