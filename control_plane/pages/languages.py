"""In which language a page is: the visitor's own choice, else his browser's, else English (PROD-20).

Catalogues stand in `locale` (control_plane.translations).
"""

from __future__ import annotations

import functools
from pathlib import Path

from babel import Locale
from babel.support import NullTranslations

import control_plane.translations
from control_plane.legal.kinds import LANGUAGES, ORIGINAL, known_language

COOKIE = "language"
# A longer header is no browser's.
_ACCEPT_CHARACTERS_MAX = 500


def wanted(cookie: str, accepted: str) -> str:
    """One of LANGUAGES. `cookie` is what he chose, `accepted` the browser's Accept-Language."""
    if cookie in LANGUAGES:
        return cookie
    ranked: list[tuple[float, int, str]] = []
    for place, part in enumerate(accepted[:_ACCEPT_CHARACTERS_MAX].split(",")):
        tag, _, weight = part.partition(";q=")
        found = known_language(tag.strip())
        if found is not None and (quality := _quality(weight)) > 0:
            ranked.append((-quality, place, found))
    return min(ranked)[2] if ranked else ORIGINAL


def _quality(weight: str) -> float:
    """Of an Accept-Language part, 0 to 1; what is none counts as 0."""
    if not weight:
        return 1.0
    try:
        return min(1.0, max(0.0, float(weight)))
    except ValueError:
        return 0.0


def tag(language: str) -> str:
    """As HTML writes it (BCP 47)."""
    return language.replace("_", "-")


@functools.cache
def names() -> dict[str, str]:
    """Our languages, each in its own words."""
    found = {}
    for language in LANGUAGES:
        locale = Locale.parse(language)
        found[language] = (locale.get_display_name(locale) or language).capitalize()
    return found


def translations(language: str) -> NullTranslations:
    """The catalogue of the pages in a language."""
    return control_plane.translations.of(Path(__file__).parent, language)
