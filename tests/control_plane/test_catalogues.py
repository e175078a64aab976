"""The catalogues of pages, mails and invoices have every sentence that is in the sources, and compile."""

from __future__ import annotations

import io
import re
from pathlib import Path

import pytest
from babel.messages.mofile import read_mo, write_mo
from babel.messages.pofile import read_po

from control_plane import catalogues, translations
from control_plane.legal.kinds import LANGUAGES

# What is filled in, and what is markup: it has to come out of a translation as it went in.
KEPT = re.compile(r"%\(\w+\)[sd]|%%|\{\w*\}|</?\w[^>]*>")
AREAS = pytest.mark.parametrize("area", catalogues.AREAS, ids=lambda area: area.name)


@AREAS
def test_the_template_has_every_sentence(area: Path) -> None:
    kept = catalogues.template_of(area).read_text(encoding="utf-8")
    assert kept == catalogues.text(catalogues.found(area)), "run: python -m control_plane.catalogues"


@AREAS
@pytest.mark.parametrize("language", LANGUAGES[1:])
def test_a_catalogue_has_every_sentence_and_compiles(area: Path, language: str) -> None:
    template = read_po(io.BytesIO(catalogues.template_of(area).read_bytes()))
    catalogue = catalogues.of(area, language)
    assert {message.id for message in catalogue} == {message.id for message in template}
    assert not catalogue.obsolete and not [message for message in catalogue if list(message.check(catalogue))]
    compiled = io.BytesIO()
    write_mo(compiled, catalogue)
    compiled.seek(0)
    assert str(read_mo(compiled).locale or language).startswith(language[:2])
    assert translations.of(area, language).gettext("Account")


@AREAS
@pytest.mark.parametrize("language", LANGUAGES[1:])
def test_a_translation_fills_in_what_the_sentence_does_and_has_its_markup(area: Path, language: str) -> None:
    for message in filter(lambda one: one.id, catalogues.of(area, language)):
        forms, translated = (
            list(one) if isinstance(one, list | tuple) else [one or ""] for one in (message.id, message.string)
        )
        wanted = [sorted(KEPT.findall(form)) for form in forms]
        # A plural form that is for one piece alone may leave the number out, as the English singular does.
        assert all(not form or sorted(KEPT.findall(form)) in wanted for form in translated), (message.id, translated)
