"""[I/O] `python -m control_plane.catalogues`: find the sentences of pages, mails and invoices, write each messages.pot,
and bring every language's catalogue up to date: new sentences come in empty, those that are gone go, translations stay.

control_plane.translations reads them.
"""

from __future__ import annotations

import io
from pathlib import Path

from babel.messages.catalog import Catalog
from babel.messages.extract import DEFAULT_KEYWORDS, extract_from_dir
from babel.messages.pofile import read_po, write_po

from control_plane.legal.kinds import LANGUAGES, ORIGINAL
from control_plane.translations import path

# Each has its sentences in it, and its catalogues in `locale`.
AREAS = tuple(Path(__file__).parent / name for name in ("pages", "mail", "billing"))
_METHODS = [("templates/**.html", "jinja2"), ("templates/**.txt", "jinja2"), ("**.py", "python")]
_OPTIONS = {
    pattern: {"newstyle_gettext": "true", "trimmed": "true", "silent": "false"}
    for pattern in ("templates/**.html", "templates/**.txt")
}
# Dates would change with every run; the others are gaps for names that nobody fills in.
_GAPS = (
    "Generated-By",
    "Language-Team",
    "Last-Translator",
    "PO-Revision-Date",
    "POT-Creation-Date",
    "Project-Id-Version",
)
_LEFT_OUT = (*(f'"{name}:' for name in (*_GAPS, "Report-Msgid-Bugs-To")), "#\n", "# ")


def found(area: Path) -> Catalog:
    """All sentences in the sources, in the order of files."""
    catalogue = Catalog(project="stentor", charset="utf-8", fuzzy=False)
    keywords = {**DEFAULT_KEYWORDS, "N_": None}
    rows = extract_from_dir(area, _METHODS, _OPTIONS, keywords)
    for name, _, message, comments, context in sorted(rows, key=lambda row: (row[0], row[1])):
        catalogue.add(message, None, [(name, 0)], auto_comments=comments, context=context)
    return catalogue


def text(catalogue: Catalog) -> str:
    """As a file; without dates, so that the same sentences make the same file."""
    written = io.BytesIO()
    write_po(written, catalogue, width=120, omit_header=False, include_lineno=False, ignore_obsolete=True)
    lines = written.getvalue().decode().splitlines(keepends=True)
    return "".join(line for line in lines if not line.startswith(_LEFT_OUT))


def template_of(area: Path) -> Path:
    return area / "locale" / "messages.pot"


def of(area: Path, language: str) -> Catalog:
    """The catalogue of a language as it is kept; an empty one where there is none yet."""
    kept = path(area, language)
    if not kept.exists():
        return Catalog(locale=language, fuzzy=False)
    with kept.open("rb") as source:
        return read_po(source, locale=language)


def main() -> None:
    for area in AREAS:
        template = found(area)
        template_of(area).write_text(text(template), encoding="utf-8")
        for language in LANGUAGES:
            if language == ORIGINAL:
                continue
            catalogue = of(area, language)
            catalogue.update(template, no_fuzzy_matching=True)
            path(area, language).parent.mkdir(parents=True, exist_ok=True)
            path(area, language).write_text(text(catalogue), encoding="utf-8")


if __name__ == "__main__":
    main()
