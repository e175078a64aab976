"""[I/O] `python -m control_plane.pages.catalogues`: find the sentences of the pages and of the invoices, write the
messages.pot of each, and bring each language's catalogue up to date: new sentences come in empty, those that are gone
go, translations stay."""

from __future__ import annotations

import io
from pathlib import Path

from babel.messages.catalog import Catalog
from babel.messages.extract import DEFAULT_KEYWORDS, extract_from_dir
from babel.messages.pofile import read_po, write_po

from control_plane.billing.words import LOCALE as INVOICES
from control_plane.legal.kinds import LANGUAGES, ORIGINAL
from control_plane.pages.languages import LOCALE

_METHODS = [("templates/**.html", "jinja2"), ("**.py", "python")]
_OPTIONS = {"templates/**.html": {"newstyle_gettext": "true", "trimmed": "true", "silent": "false"}}
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


def found(folder: Path = LOCALE.parent) -> Catalog:
    """All sentences in the sources, in the order of files."""
    catalogue = Catalog(project="stentor", charset="utf-8", fuzzy=False)
    keywords = {**DEFAULT_KEYWORDS, "N_": None}
    rows = extract_from_dir(folder, _METHODS, _OPTIONS, keywords)
    for name, _, message, comments, context in sorted(rows, key=lambda row: (row[0], row[1])):
        catalogue.add(message, None, [(name, 0)], auto_comments=comments, context=context)
    return catalogue


def text(catalogue: Catalog) -> str:
    """As a file; without dates, so that the same sentences make the same file."""
    written = io.BytesIO()
    write_po(written, catalogue, width=120, omit_header=False, include_lineno=False, ignore_obsolete=True)
    lines = written.getvalue().decode().splitlines(keepends=True)
    return "".join(line for line in lines if not line.startswith(_LEFT_OUT))


def of(language: str, folder: Path = LOCALE) -> Catalog:
    """The catalogue of a language as it is kept; an empty one where there is none yet."""
    path = folder / language / "LC_MESSAGES" / "messages.po"
    if not path.exists():
        return Catalog(locale=language, fuzzy=False)
    with path.open("rb") as source:
        return read_po(source, locale=language)


def main() -> None:
    for folder in (LOCALE, INVOICES):
        template = found(folder.parent)
        folder.mkdir(exist_ok=True)
        (folder / "messages.pot").write_text(text(template), encoding="utf-8")
        for language in LANGUAGES:
            if language == ORIGINAL:
                continue
            catalogue = of(language, folder)
            catalogue.update(template, no_fuzzy_matching=True)
            path = folder / language / "LC_MESSAGES" / "messages.po"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text(catalogue), encoding="utf-8")


if __name__ == "__main__":
    main()
