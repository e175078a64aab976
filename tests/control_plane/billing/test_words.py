"""An invoice speaks all our languages: every sentence is translated, and figures follow the language (PROD-20)."""

from __future__ import annotations

import datetime
import re
from fractions import Fraction

import pytest
from babel.messages.pofile import read_po

from control_plane import catalogues
from control_plane.billing.tax import NO_TAX, Treatment
from control_plane.billing.words import AREA, Words
from control_plane.legal.kinds import LANGUAGES
from control_plane.money import MINOR_DIGITS, Money
from control_plane.periods import Span

DAY = datetime.date(2026, 11, 22)
# Languages may have one word for two of ours, and the same word as English.
GAPS = re.compile(r"{\w+}")


def plain(text: str) -> str:
    """With plain spaces for those that do not break."""
    return text.replace("\xa0", " ").replace("\u202f", " ")


@pytest.mark.parametrize("language", LANGUAGES[1:])
def test_every_sentence_is_translated_with_the_same_gaps(language: str) -> None:
    with catalogues.template_of(AREA).open("rb") as source:
        sentences = {message.id for message in read_po(source) if message.id}
    catalogue = catalogues.of(AREA, language)
    translated = {message.id: message.string for message in catalogue if message.id}
    assert set(translated) == sentences and len(sentences) > 30
    for sentence, translation in translated.items():
        assert translation, sentence
        assert sorted(GAPS.findall(str(translation))) == sorted(GAPS.findall(str(sentence))), sentence
    same = {sentence for sentence, translation in translated.items() if sentence == translation}
    assert len(same) <= 3, same


@pytest.mark.parametrize(
    ("language", "amount", "total", "day", "percent"),
    [
        ("en", "12,345.60", "12,345.60 EUR", "22 November 2026", "25.5%"),
        ("pl", "12 345,60", "12 345,60 EUR", "22 listopada 2026", "25,5%"),
        ("de", "12.345,60", "12.345,60 EUR", "22. November 2026", "25,5 %"),
        ("ru", "12 345,60", "12 345,60 EUR", "22 ноября 2026 г.", "25,5 %"),
        ("es", "12.345,60", "12.345,60 EUR", "22 de noviembre de 2026", "25,5 %"),
        ("fr", "12 345,60", "12 345,60 EUR", "22 novembre 2026", "25,5 %"),
        ("it", "12.345,60", "12.345,60 EUR", "22 novembre 2026", "25,5%"),
        ("pt_BR", "12.345,60", "12.345,60 EUR", "22 de novembro de 2026", "25,5%"),
    ],
)
def test_figures_and_days_are_written_as_the_language_does(
    language: str, amount: str, total: str, day: str, percent: str
) -> None:
    words, money = Words(language), Money(1_234_560, "EUR")
    assert plain(words.amount(money)) == amount and plain(words.sum(money)) == total
    assert plain(words.day(DAY)) == day and plain(words.percent(Fraction("25.5") / 100)) == percent


def test_a_currency_has_as_many_digits_as_it_has() -> None:
    words = Words("en")
    assert words.amount(Money(1_234, "JPY")) == "1,234" and plain(words.sum(Money(1_234, "KWD"))) == "1.234 KWD"
    assert plain(words.sum(Money(-5, "EUR"))) == "-0.05 EUR"


@pytest.mark.parametrize("currency", sorted(MINOR_DIGITS))
def test_no_digit_of_any_currency_is_left_out_of_a_paper(currency: str) -> None:
    money = Money(1_234_567, currency)
    for written in (Words("en").amount(money), Words("en").sum(money).removesuffix(f"\N{NO-BREAK SPACE}{currency}")):
        assert re.sub(r"[,.]", "", written) == "1234567"
        assert len(written.partition(".")[2]) == MINOR_DIGITS[currency]


@pytest.mark.parametrize(
    ("size_bytes", "english", "german"),
    [
        (0, "0 MB", "0 MB"),
        (1, "0.1 MB", "0,1 MB"),
        (2_399_999, "2.3 MB", "2,3 MB"),
        (999_999_999, "999.9 MB", "999,9 MB"),
        (10**9, "1 GB", "1 GB"),
        (49_999_999_999, "49.9 GB", "49,9 GB"),
        (1_234 * 10**9, "1,234 GB", "1.234 GB"),
    ],
)
def test_a_size_is_rounded_down_and_what_is_there_is_never_nothing(size_bytes: int, english: str, german: str) -> None:
    assert (plain(Words("en").size(size_bytes)), plain(Words("de").size(size_bytes))) == (english, german)


def test_days_are_told_with_the_last_that_belongs_to_them() -> None:
    assert Words("en").days(Span(DAY, 30)) == "22 Nov 2026 – 21 Dec 2026"


def test_taxes_are_named_with_rate_and_country() -> None:
    finnish = Treatment("taxed", "FI", Fraction("25.5") / 100)
    assert plain(Words("de").vat(finnish)) == "USt. 25,5 % (Finnland)"
    assert Words("pl").vat(Treatment("reverse_charge", "DE", Fraction(0))) == "VAT, odwrotne obciążenie"
    assert Words("ru").vat(NO_TAX) == "Без НДС"
    assert plain(Words("en").percent(Fraction(1, 3))) == "33.33%"
