"""Checks of plain fields that several forms have. Pure."""

from __future__ import annotations

import functools
import zoneinfo

from control_plane.errors import Invalid

# The brief's eight; its `br` is Brazilian Portuguese (PROD-20).
LANGUAGES = ("en", "pl", "de", "ru", "es", "fr", "it", "br")
TEXT_CHARACTERS_MAX = 2000


@functools.lru_cache(maxsize=1)
def time_zones() -> frozenset[str]:
    """The names that may be chosen."""
    return frozenset(zoneinfo.available_timezones())


def check_time_zone(name: str) -> None:
    """Raises Invalid with field `time_zone`."""
    if name not in time_zones():
        raise Invalid("time_zone_unknown", "this time zone is not known", field="time_zone")


def check_language(code: str) -> None:
    """Raises Invalid with field `language`."""
    if code not in LANGUAGES:
        raise Invalid("language_unknown", f"one of {', '.join(LANGUAGES)}", field="language")
