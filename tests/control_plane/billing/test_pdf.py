"""The PDF of an invoice, read back: in all languages, over pages, with hostile names, the same bytes each time."""

from __future__ import annotations

import io
import logging
from fractions import Fraction
from typing import Any

import pypdf
import pypdfium2
import pytest

from control_plane.billing import pdf
from control_plane.billing.catalogue import CATALOGUE
from control_plane.billing.charges import Discount, draft, first_add_on, give_back
from control_plane.billing.document import Document, Party, credit_note
from control_plane.billing.tax import NO_TAX
from control_plane.billing.words import NO_VAT, REVERSE_CHARGE, Words
from control_plane.legal.kinds import LANGUAGES
from control_plane.money import Money
from tests.control_plane.billing.invoices import AT, ON, PERIOD, REVERSE, paid, plan_line, unpaid
from tests.control_plane.entries import entry


def reader(document: Document) -> pypdf.PdfReader:
    return pypdf.PdfReader(io.BytesIO(pdf.make(document)))


def flat(text: str) -> str:
    """Without what the layout does to spaces and line ends."""
    return " ".join(text.replace("\xa0", " ").replace("\u202f", " ").split())


def text_of(document: Document) -> str:
    return flat(" ".join(page.extract_text() for page in reader(document).pages))


@pytest.mark.parametrize("language", LANGUAGES)
def test_its_text_reads_back_in_every_language(language: str) -> None:
    one, words = paid(language), Words(language)
    text = text_of(one)
    with entry("BIL-15.5"):
        wanted = [
            words("Invoice"),
            one.number,
            words("Seller"),
            words("Buyer"),
            "Müller & Söhne GmbH",
            "ul. Przykładowa 1",
            "DE136695976",
            words.day(ON),
            words("Page {page} of {pages}", page=1, pages=1),
            *one.words,
            *(words.detail(line) for line in one.draft.lines),
            *(words.amount(line.net) for line in one.draft.lines),
            words.vat(one.draft.taxes[0].treatment),
            words.sum(one.draft.net),
            words.sum(one.draft.tax),
            words.sum(one.draft.gross),
            words.sum(one.draft.payable),
        ]
        squeezed = text.replace(" ", "")
        for part in wanted:
            assert flat(part).replace(" ", "") in squeezed, part
    with entry("PROD-20.3"):
        root: Any = reader(one).root_object
        assert root["/Lang"] == language.replace("_", "-")
        assert pdf.UNKNOWN not in text


def test_what_it_says_of_itself() -> None:
    found = reader(paid("de"))
    assert found.metadata is not None and found.metadata.title == "Rechnung ST/2026/000123"
    assert found.metadata.author == "Example Meetings sp. z o.o."
    root: Any = found.root_object
    assert root["/ViewerPreferences"]["/DisplayDocTitle"]
    assert [float(side) for side in found.pages[0].mediabox[2:]] == [595, 842], "A4"
    page: Any = found.pages[0]
    fonts = page["/Resources"]["/Font"]
    for font in fonts.values():
        descendant = font.get_object()["/DescendantFonts"][0].get_object()
        assert "/FontFile2" in descendant["/FontDescriptor"].get_object(), "every letter is embedded"


def test_the_same_document_is_the_same_bytes() -> None:
    assert pdf.make(paid("ru")) == pdf.make(paid("ru"))
    assert pdf.make(paid("ru")) != pdf.make(paid("pl"))
    assert len(pdf.make(paid("ru"))) < 60_000


def test_a_pro_forma_says_that_it_is_no_invoice() -> None:
    text = text_of(unpaid())
    assert "Pro-forma invoice" in text and "This is not an invoice" in text and "ord-1f3a" in text
    assert "Amount due 292.94 EUR" in text and "Payable by" in text and "Date of payment" not in text
    assert "This is not an invoice" not in text_of(paid())


def test_a_credit_note_names_the_invoice_and_the_sum() -> None:
    one = paid()
    note = credit_note(one, "ref-1", "ST/C/2026/000001", ON, give_back(one.draft, {0: Money(333, "EUR")}))
    text = text_of(note)
    assert "Credit note" in text and "Corrects invoice ST/2026/000123, 22 November 2026" in text
    assert "Total given back -3.96 EUR" in text


def test_the_note_of_reverse_charge_and_of_no_tax() -> None:
    assert REVERSE_CHARGE in text_of(paid(made=draft([plan_line(REVERSE)])))
    assert NO_VAT in text_of(paid(made=draft([plan_line(NO_TAX)])))
    plain = text_of(paid())
    assert REVERSE_CHARGE not in plain and NO_VAT not in plain


def test_a_zero_sum_invoice_comes_out() -> None:
    with entry("BIL-15.6"):
        one = paid(made=draft([plan_line(discount=Discount(Fraction(1)))]))
        assert one.draft.gross == Money(0, "EUR")
        assert "Total 0.00 EUR" in text_of(one) and "discount 100%" in text_of(one)


@pytest.mark.parametrize("count", [1, 9, 10, 11, 12, 13, 40, 150])
def test_many_lines_go_over_pages_with_the_columns_named_on_each(count: int) -> None:
    storage = CATALOGUE.for_newcomer("storage", "month", "EUR", AT)
    one = paid(made=draft([first_add_on(storage, PERIOD, ON, NO_TAX, quantity=n + 1) for n in range(count)]))
    pages = [flat(page.extract_text()) for page in reader(one).pages]
    whole = " ".join(pages)
    assert whole.count("Extra file storage, 10 GB") == count
    for number, page in enumerate(pages, 1):
        assert f"Page {number} of {len(pages)}" in page and one.number in page
        assert "Extra file storage" not in page or "Description" in page
    assert sum("Net total" in page for page in pages) == 1
    inside(one)


def inside(document: Document) -> None:
    """Nothing stands outside of the margins, and nothing over the foot: the page is white there."""
    for page in pypdfium2.PdfDocument(pdf.make(document)):
        picture = page.render(scale=1).to_pil().convert("L")
        width, height = picture.size
        for box in (
            (0, 8, 44, height),
            (width - 44, 8, width, height),
            (0, height - 82, width, height - 58),
            (0, height - 30, width, height),
        ):
            assert picture.crop(box).getextrema() == (255, 255), box


HOSTILE = [
    Party.of("{nb} **bold** __under__ --x--", "{nb}\n\x00\x1b[2J\x07bell\r\nline", "DE"),
    Party.of("x" * 5_000, "\n".join(["y" * 5_000] * 100), "DE", "z" * 5_000, "m" * 5_000),
    Party.of("W" * 160, "\n".join(["WWWWWWWW " * 30] * 6), "DE", "W" * 100, "W" * 100),
    Party.of("\u202eevil\u202c \u2066x\u2069", "\u0000", "ZZ"),
    Party.of("株式会社 例 \U0001f600 ＡＢＣ", "東京都\nالقاهرة", "JP"),
    Party("", (), ""),
    Party.of("a\u0301" * 200, "e" + "\u0301" * 500, "DE"),
]


@pytest.mark.parametrize("buyer", HOSTILE)
def test_no_name_or_address_breaks_the_layout(buyer: Party, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        one = paid(buyer=buyer)
        text = text_of(one)
    assert one.number in text and "Net total" in text and flat(Words("en").sum(one.draft.gross)) in text
    inside(one)
    for record in caplog.records:
        said = record.getMessage()
        assert not buyer.name or buyer.name[:10] not in said, "no name in logs"
        assert "missing" not in said


def test_letters_that_it_does_not_have_are_marked_and_wide_ones_are_plain() -> None:
    text = text_of(paid(buyer=Party.of("株 ＡＢＣ Ελλάδα Nguyễn", "", "GR")))
    assert f"{pdf.UNKNOWN} ABC Ελλάδα Nguyễn" in text


def test_a_pages_placeholder_in_a_name_stays_what_it_is() -> None:
    assert "{nb} **bold**" in text_of(paid(buyer=HOSTILE[0]))


def test_the_name_of_the_file_is_plain() -> None:
    assert pdf.file_name(paid()) == "invoice-ST-2026-000123.pdf"
    assert pdf.file_name(unpaid()) == "pro-forma-ord-1f3a.pdf"
