"""Days and instants as people read them, in a language and a time zone. Pure."""

from __future__ import annotations

import datetime
import zoneinfo

from babel.dates import format_date, format_time


def day(language: str, day_: datetime.date | datetime.datetime) -> str:
    """Such as "4 November 2026"."""
    return format_date(day_, "long", locale=_locale(language))


def short(language: str, day_: datetime.date) -> str:
    """Such as "4 Nov 2026"."""
    return format_date(day_, "medium", locale=_locale(language))


def instant(language: str, at: datetime.datetime, zone: str = "UTC") -> str:
    """Such as "4 Nov 2026, 12:00 UTC"."""
    local, locale = at.astimezone(zoneinfo.ZoneInfo(zone)), _locale(language)
    time = format_time(local, "HH:mm z", tzinfo=local.tzinfo, locale=locale)
    return f"{short(language, local)}, {time}"


def _locale(language: str) -> str:
    """How dates are written: English ones as in the older of its countries, day before month."""
    return "en_GB" if language == "en" else language
