"""[I/O] A document as PDF, made when it is asked for: A4, its own letters embedded, the same bytes each time.

All lengths are whole points. The letters are Noto Sans, cut down to Latin, Greek and Cyrillic (fonts/README.md); a
letter beyond them is shown as a mark. Reads the two font files, nothing else.
"""

from __future__ import annotations

import datetime
import unicodedata
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from fpdf import FPDF
from fpdf.enums import MethodReturnValue, XPos, YPos
from fpdf.prefs import ViewerPreferences

from control_plane.billing.charges import Line
from control_plane.billing.document import Document, Party
from control_plane.billing.words import NO_VAT, REVERSE_CHARGE, Words
from control_plane.money import Money
from control_plane.translations import N_

FONTS = Path(__file__).parent / "fonts"
UNKNOWN = "\N{REPLACEMENT CHARACTER}"

_TITLES = {"pro_forma": N_("Pro-forma invoice"), "invoice": N_("Invoice"), "credit_note": N_("Credit note")}
_WIDTH, _HEIGHT, _MARGIN = 595, 842, 48
_INNER = _WIDTH - 2 * _MARGIN
# What rows and totals may fill; below it is the foot.
_BOTTOM = _HEIGHT - 84
_GAP = 10
# Description, quantity, price of a piece, rate, net.
_COLUMNS = (229, 48, 80, 62, 80)
_TOTALS = 250
_COLUMNS_HIGH_MAX = 34
_INK, _GREY, _PALE, _ACCENT = (32, 36, 44), (104, 110, 122), (244, 246, 249), (24, 76, 140)
_RULE = (214, 219, 226)
Align = Literal["L", "R"]


def make(document: Document) -> bytes:
    """The PDF. The same document makes the same bytes, with one release of the libraries."""
    sheet = _Sheet(document, pages=1)
    if sheet.pdf.page > 1:
        sheet = _Sheet(document, pages=sheet.pdf.page)
    return bytes(sheet.pdf.output())


def file_name(document: Document) -> str:
    """For the download: letters, digits and hyphens, so that no system and no header has trouble with it."""
    name = f"{document.kind.replace('_', '-')}-{document.number or document.id}"
    return "".join(sign if sign.isascii() and sign.isalnum() else "-" for sign in name) + ".pdf"


class _Sheet:
    """Lays one document out from top to bottom. `pages`: how many there will be, which every foot says."""

    def __init__(self, document: Document, pages: int) -> None:
        self.document, self.pages, self.words = document, pages, Words(document.language)
        self.pdf = pdf = FPDF(unit="pt", format=(_WIDTH, _HEIGHT))
        # Or a customer named "{nb}" would be a number of pages.
        pdf.alias_nb_pages(None)  # type: ignore[arg-type]
        pdf.set_auto_page_break(False)
        pdf.set_margin(_MARGIN)
        pdf.c_margin = 0
        for style, name in (("", "Regular"), ("B", "Bold")):
            pdf.add_font("Noto", style, FONTS / f"NotoSans-{name}.ttf")
        self.letters = frozenset(pdf.fonts["noto"].cmap)  # type: ignore[union-attr]
        self._describe()
        pdf.add_page()
        self._head()
        self._parties()
        self._table()
        self._totals()
        self._notes()
        self._foot()

    def _describe(self) -> None:
        one, pdf = self.document, self.pdf
        title = self._name()
        pdf.set_title(title)
        pdf.set_author(self._shown(one.seller.name))
        pdf.set_creator("Stentor")
        pdf.set_lang(one.language.replace("_", "-"))
        pdf.set_creation_date(datetime.datetime.combine(one.issued_on, datetime.time(), datetime.UTC))
        pdf.viewer_preferences = ViewerPreferences(display_doc_title=True)

    def _name(self) -> str:
        one = self.document
        return f"{self.words(_TITLES[one.kind])} {self._shown(one.number or one.id)}"

    # Parts, from top to bottom

    def _head(self) -> None:
        one, pdf, words = self.document, self.pdf, self.words
        pdf.set_fill_color(*_ACCENT)
        pdf.rect(0, 0, _WIDTH, 6, style="F")
        self._text(_MARGIN, 40, _INNER, words(_TITLES[one.kind]), size=22, bold=True, colour=_ACCENT)
        self._text(_MARGIN, pdf.y + 2, _INNER, self._shown(one.number or one.id), size=11, bold=True)
        facts = [(words(N_("Date of issue")), words.day(one.issued_on))]
        if one.kind == "credit_note" and one.corrects_on is not None:
            corrected = f"{self._shown(one.corrects)}, {words.day(one.corrects_on)}"
            facts.append((words(N_("Corrects invoice")), corrected))
        elif one.paid_on is not None:
            facts.append((words(N_("Date of payment")), words.day(one.paid_on)))
        elif one.due_on is not None:
            facts.append((words(N_("Payable by")), words.day(one.due_on)))
        facts.append((words(N_("Customer account")), self._shown(one.account)))
        top, each = pdf.y + 16, _INNER // len(facts)
        lowest = top
        for place, (label, value) in enumerate(facts):
            left = _MARGIN + place * each
            self._text(left, top, each - _GAP, label, size=8, colour=_GREY)
            self._text(left, pdf.y + 1, each - _GAP, value)
            lowest = max(lowest, int(pdf.y))
        pdf.set_y(lowest)

    def _parties(self) -> None:
        one, words = self.document, self.words
        top, each = self.pdf.y + 20, _INNER // 2
        lowest = top
        for place, (label, party) in enumerate(((N_("Seller"), one.seller), (N_("Buyer"), one.buyer))):
            left = _MARGIN + place * each
            self._text(left, top, each - _GAP, words(label), size=8, colour=_GREY)
            width = each - _GAP
            name = self._cut(self._shown(party.name), width, 10, most=7, bold=True)
            self._text(left, self.pdf.y + 2, width, name, size=10, bold=True)
            for line in self._address(party):
                self._text(left, self.pdf.y, width, self._cut(line, width, 9, most=4))
            lowest = max(lowest, self.pdf.y)
        self.pdf.set_y(lowest + 24)

    def _address(self, party: Party) -> list[str]:
        lines = [*party.address, self.words.country(party.country) if party.country else ""]
        if party.tax_number:
            label = self.words(N_("Tax number"))
            lines.append(f"{label} {party.tax_number}")
        lines.append(party.email)
        return [self._shown(line) for line in lines if line]

    def _table(self) -> None:
        for number, (line, what) in enumerate(zip(self.document.draft.lines, self.document.words, strict=True)):
            self._row(line, what, first=number == 0)

    def _columns(self) -> None:
        pdf, words, currency = self.pdf, self.words, self.document.draft.currency
        labels = [words(N_("Description"))]
        if self.document.kind == "credit_note":
            labels += ["", ""]
        else:
            labels += [words(N_("Quantity")), words(N_("Unit price"))]
        labels += [words(N_("VAT rate")), words(N_("Net, {currency}"), currency=currency)]
        height = 10 + max(
            self._height(text, width - 6, 8, bold=True) for text, width in zip(labels, _COLUMNS, strict=True)
        )
        top = pdf.y
        pdf.set_fill_color(*_PALE)
        pdf.rect(_MARGIN, top, _INNER, height, style="F")
        for place, (text, width) in enumerate(zip(labels, _COLUMNS, strict=True)):
            self._cell(place, top + 5, text, width, size=8, bold=True, colour=_GREY)
        pdf.set_y(top + height)

    def _row(self, line: Line, what: str, *, first: bool) -> None:
        pdf, words = self.pdf, self.words
        detail = words.detail(line)
        width = _COLUMNS[0] - 6
        height = 14 + self._height(what, width, 9) + self._height(detail, width, 8)
        # The columns' names do not stay alone at the end of a page.
        if pdf.y + height + (_COLUMNS_HIGH_MAX if first else 0) > _BOTTOM:
            self._next_page()
            first = True
        if first:
            self._columns()
        top = pdf.y
        sold = line.of is None
        figures = [
            words.amount(Money(line.quantity, "JPY")) if sold else "",
            words.amount(line.unit) if sold else "",
            words.percent(line.tax.rate) if line.tax.kind == "taxed" else "–",
            words.amount(line.net),
        ]
        self._cell(0, top + 7, what, _COLUMNS[0])
        if detail:
            self._cell(0, pdf.y, detail, _COLUMNS[0], size=8, colour=_GREY)
        for place, (text, width) in enumerate(zip(figures, _COLUMNS[1:], strict=True), 1):
            self._cell(place, top + 7, text, width)
        self._rule(top + height)
        pdf.set_y(top + height)

    def _totals(self) -> None:
        one, draft, words = self.document, self.document.draft, self.words
        sums: list[tuple[str, Money, bool]] = [(words(N_("Net total")), draft.net, False)]
        sums += [(words.vat(tax.treatment), tax.amount, False) for tax in draft.taxes]
        paid = draft.payable
        if one.kind == "credit_note":
            sums.append((words(N_("Total given back")), draft.gross, True))
        else:
            sums.append((words(N_("Total")), draft.gross, True))
            if draft.used:
                sums.append((words(N_("Paid from credit")), -draft.from_credit, False))
            if one.kind == "pro_forma":
                sums.append((words(N_("Amount due")), paid, bool(draft.used)))
            else:
                sums.append((words(N_("Amount paid")), paid, False))
        if self.pdf.y + 22 * len(sums) + 20 > _BOTTOM:
            self._next_page()
        self.pdf.set_y(self.pdf.y + 12)
        left, figure = _WIDTH - _MARGIN - _TOTALS, 100
        for label, amount, strong in sums:
            top, size = self.pdf.y, 11 if strong else 9
            if strong:
                self._rule(top + 2, left)
                top += 6
            self._text(left, top, _TOTALS - figure, label, size=size, bold=strong)
            lowest = self.pdf.y
            colour = _ACCENT if strong else _INK
            self._text(left + _TOTALS - figure, top, figure, words.sum(amount), size, strong, colour, "R")
            self.pdf.set_y(max(lowest, self.pdf.y) + 4)

    def _notes(self) -> None:
        one, words = self.document, self.words
        notes = []
        kinds = {tax.treatment.kind for tax in one.draft.taxes}
        if "reverse_charge" in kinds:
            notes.append(words(REVERSE_CHARGE))
        if "none" in kinds:
            notes.append(words(NO_VAT))
        if one.kind == "pro_forma":
            notes.append(words(N_("This is not an invoice. The invoice follows as soon as this is paid.")))
        for note in notes:
            height = 8 + self._height(note, _INNER, 8)
            if self.pdf.y + height > _BOTTOM:
                self._next_page()
            self._text(_MARGIN, self.pdf.y + 8, _INNER, note, size=8, colour=_GREY)

    def _foot(self) -> None:
        one, words = self.document, self.words
        top = _HEIGHT - 56
        self._rule(top)
        seller = " · ".join(self._shown(part) for part in (one.seller.name, one.seller.tax_number) if part)
        name = self._cut(f"{self._name()} · {seller}", _INNER - 90, 7, most=1)
        self._text(_MARGIN, top + 6, _INNER - 90, name, size=7, colour=_GREY)
        page = words(N_("Page {page} of {pages}"), page=self.pdf.page, pages=self.pages)
        self._text(_WIDTH - _MARGIN - 90, top + 6, 90, page, size=7, colour=_GREY, align="R")

    def _next_page(self) -> None:
        self._foot()
        self.pdf.add_page()
        self.pdf.set_fill_color(*_ACCENT)
        self.pdf.rect(0, 0, _WIDTH, 6, style="F")
        self._text(_MARGIN, 28, _INNER, self._name(), size=8, colour=_GREY)
        self.pdf.set_y(self.pdf.y + 14)

    # Strokes

    def _cell(
        self,
        place: int,
        top: float,
        text: str,
        width: int,
        size: int = 9,
        bold: bool = False,
        colour: Sequence[int] = _INK,
    ) -> None:
        """Text in a column of the table; figures stand to the right."""
        left = _MARGIN + sum(_COLUMNS[:place])
        if place == 0:
            self._text(left + 6, top, width - 6, text, size, bold, colour)
        else:
            self._text(left, top, width - 6, text, size, bold, colour, "R")

    def _text(
        self,
        left: float,
        top: float,
        width: int,
        text: str,
        size: int = 9,
        bold: bool = False,
        colour: Sequence[int] = _INK,
        align: Align = "L",
    ) -> None:
        """Wrapped in its width; afterwards `pdf.y` is below it."""
        self._font(size, bold)
        self.pdf.set_text_color(*colour)
        self.pdf.set_xy(left, top)
        self.pdf.multi_cell(width, _leading(size), text, align=align, new_x=XPos.LEFT, new_y=YPos.NEXT)

    def _height(self, text: str, width: int, size: int, bold: bool = False) -> int:
        """How high a text will be."""
        return len(self._lines(text, width, size, bold)) * _leading(size) if text else 0

    def _cut(self, text: str, width: int, size: int, most: int, bold: bool = False) -> str:
        """As much of a text as goes on so many lines."""
        return "\n".join(self._lines(text, width, size, bold)[:most])

    def _lines(self, text: str, width: int, size: int, bold: bool) -> list[str]:
        self._font(size, bold)
        lines = self.pdf.multi_cell(width, _leading(size), text, dry_run=True, output=MethodReturnValue.LINES)
        return list(lines)  # type: ignore[arg-type]

    def _font(self, size: int, bold: bool) -> None:
        self.pdf.set_font("Noto", "B" if bold else "", size)

    def _rule(self, top: float, left: float = _MARGIN) -> None:
        self.pdf.set_draw_color(*_RULE)
        self.pdf.set_line_width(1)
        self.pdf.line(left, top, _WIDTH - _MARGIN, top)

    def _shown(self, text: str) -> str:
        """What a stranger wrote, in letters that we have: where one is missing its plain form (a wide A is an A), or
        else a mark."""
        shown = []
        for sign in text:
            forms = (sign, unicodedata.normalize("NFKC", sign))
            shown.append(next((form for form in forms if all(ord(one) in self.letters for one in form)), UNKNOWN))
        return "".join(shown)


def _leading(size: int) -> int:
    return size * 4 // 3 + 1
