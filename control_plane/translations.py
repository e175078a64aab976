"""[I/O] What is said in each language: <area>/locale/<language>/LC_MESSAGES/messages.po, compiled when first used.

`python -m control_plane.catalogues` finds the sentences and keeps the files. A sentence that has no translation yet is
shown in English.
"""

from __future__ import annotations

import functools
import io
from pathlib import Path

from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from babel.support import NullTranslations, Translations

from control_plane.legal.kinds import ORIGINAL


def N_(sentence: str) -> str:
    """Marks a sentence for extraction; it is translated where it is shown."""
    return sentence


def path(area: Path, language: str) -> Path:
    """Where the catalogue of a language is kept."""
    return area / "locale" / language / "LC_MESSAGES" / "messages.po"


@functools.cache
def of(area: Path, language: str) -> NullTranslations:
    """The catalogue of a language; that of the original, or of a language that has none, is empty."""
    if language == ORIGINAL or not path(area, language).exists():
        return NullTranslations()
    compiled = io.BytesIO()
    with path(area, language).open("rb") as source:
        write_mo(compiled, read_po(source, locale=language))
    compiled.seek(0)
    return Translations(compiled)
