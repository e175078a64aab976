"""Checks of plain fields that several forms have. Pure."""

from __future__ import annotations

import functools
import re
import zoneinfo

from control_plane.errors import Invalid
from control_plane.legal.kinds import LANGUAGES, known_language

# A ticket's name goes into the audit, where no name of a person may be.
_TICKET = re.compile(r"[A-Za-z0-9#_.:/-]{1,60}")


@functools.lru_cache(maxsize=1)
def time_zones() -> frozenset[str]:
    """The names that may be chosen."""
    return frozenset(zoneinfo.available_timezones())


def time_zone(name: str) -> str:
    """The name of a time zone. Raises Invalid with field `time_zone`."""
    if name not in time_zones():
        raise Invalid("time_zone_unknown", "this time zone is not known", field="time_zone")
    return name


def language(code: str) -> str:
    """One of ours; "br" is Brazilian Portuguese (PROD-20). Raises Invalid with field `language`."""
    known = known_language(code)
    if known is None:
        raise Invalid("language_unknown", f"one of {', '.join(LANGUAGES)}", field="language")
    return known


def ticket(name: str) -> str:
    """The name of a support ticket. Raises Invalid with field `ticket`."""
    if not _TICKET.fullmatch(name):
        raise Invalid("ticket_missing", "this needs the name of the ticket that it is for", field="ticket")
    return name
