"""An invoice as it was made out: everything that stands on it, as plain values that never change. Pure.

While it is not paid it is a pro-forma; paid, it gets its number and is an invoice; what is given back is a credit note
of its own (model 3.3). Names, addresses, descriptions and rates are copied in when it is made out, so that nothing that
changes later changes it (BIL-15). `stored` and `read` are for keeping it; `pdf.make` and `export` show it.
"""

from __future__ import annotations

import datetime
import unicodedata
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any, Literal

import msgspec

from control_plane.billing.catalogue import Catalogue
from control_plane.billing.charges import Draft
from control_plane.billing.words import Words
from control_plane.legal.kinds import LANGUAGES

Kind = Literal["pro_forma", "invoice", "credit_note"]
# Longer ones are cut. They bound how high the head of the first page can get.
NAME_MAX, LINE_MAX, LINES_MAX = 160, 100, 6
# Unicode's categories of what ends or controls a line, and of what is no letter at all: marks of direction and joints,
# halves of pairs, private and unassigned ones.
_BREAKS, _HIDDEN = frozenset(("Cc", "Zl", "Zp")), frozenset(("Cf", "Cs", "Co", "Cn"))


@dataclass(frozen=True, slots=True)
class Party:
    """Seller or buyer as they were. What is given is cleaned, never refused: an invoice must come out."""

    name: str
    address: tuple[str, ...]
    country: str
    tax_number: str = ""
    email: str = ""

    def __post_init__(self) -> None:
        lines = [_cut(line, LINE_MAX) for line in self.address]
        object.__setattr__(self, "address", tuple([line for line in lines if line][:LINES_MAX]))
        for name, longest in (("name", NAME_MAX), ("country", 2), ("tax_number", LINE_MAX), ("email", LINE_MAX)):
            object.__setattr__(self, name, _cut(getattr(self, name), longest))

    @classmethod
    def of(cls, name: str, address: str, country: str, tax_number: str = "", email: str = "") -> Party:
        """With an address as one text of lines."""
        return cls(name, tuple(address.splitlines()), country, tax_number, email)


@dataclass(frozen=True, slots=True)
class Document:
    """One invoice, pro-forma or credit note. Raises ValueError for what such a document cannot be.

    `id` is ours, `number` the one of the gapless series ("" on a pro-forma). `words`: what each line is for, in the
    document's language. On a credit note `corrects` and `corrects_on` are number and day of its invoice.
    """

    kind: Kind
    id: str
    number: str
    language: str
    account: str
    seller: Party
    buyer: Party
    issued_on: datetime.date
    due_on: datetime.date | None
    paid_on: datetime.date | None
    draft: Draft
    words: tuple[str, ...]
    corrects: str = ""
    corrects_on: datetime.date | None = None

    def __post_init__(self) -> None:
        if self.language not in LANGUAGES or len(self.words) != len(self.draft.lines):
            raise ValueError("a document is in one of our languages, and says of every line what it is for")
        if bool(self.number) != (self.kind != "pro_forma") or (self.paid_on is None) != (self.kind == "pro_forma"):
            raise ValueError("what is paid has a number, and a pro-forma has none")
        credit = self.kind == "credit_note"
        if bool(self.corrects) != credit or (self.corrects_on is not None) != credit:
            raise ValueError("a credit note names its invoice, and nothing else does")
        if any((line.of is not None) != credit for line in self.draft.lines):
            raise ValueError("lines that give back stand on credit notes only")


def pro_forma(
    id_: str,
    language: str,
    account: str,
    seller: Party,
    buyer: Party,
    on: datetime.date,
    draft: Draft,
    catalogue: Catalogue,
    due_on: datetime.date | None = None,
) -> Document:
    """What is to be paid. Raises ValueError for an unknown language, KeyError for a line of nothing that is sold."""
    if language not in LANGUAGES:
        raise ValueError(f"{language!r} is none of our languages")
    words = Words(language)
    lines = tuple(words.item(line, catalogue) for line in draft.lines)
    return Document("pro_forma", id_, "", language, clean(account), seller, buyer, on, due_on or on, None, draft, lines)


def invoice(open_: Document, number: str, on: datetime.date) -> Document:
    """The invoice of what was paid on this day: the pro-forma with its number, all else as it stood."""
    return replace(open_, kind="invoice", number=number, issued_on=on, paid_on=on)


def credit_note(paid: Document, id_: str, number: str, on: datetime.date, note: Draft) -> Document:
    """What of an invoice is given back, between the same parties and in the same words."""
    lines = tuple(paid.words[line.of] if line.of is not None else "" for line in note.lines)
    return replace(
        paid,
        kind="credit_note",
        id=id_,
        number=number,
        issued_on=on,
        due_on=None,
        paid_on=on,
        draft=note,
        words=lines,
        corrects=paid.number,
        corrects_on=paid.issued_on,
    )


def clean(text: str) -> str:
    """One line of what can be seen: NFC, no control or hidden signs, single spaces."""
    shown = []
    for sign in text:
        category = unicodedata.category(sign)
        shown.append(" " if category in _BREAKS else "" if category in _HIDDEN else sign)
    # The form last: without a mark between them, two signs may have become one.
    return " ".join(unicodedata.normalize("NFC", "".join(shown)).split())


def _cut(text: str, most: int) -> str:
    """Cleaned, and cut so that cleaning it again changes nothing."""
    return clean(text)[:most].rstrip()


def stored(document: Document) -> str:
    """As one JSON text; the same document is the same text."""
    return _ENCODER.encode(document).decode()


def read(text: str) -> Document:
    """The document that `stored` wrote. Raises msgspec.ValidationError, or ValueError for what no document is."""
    found: Document = _DECODER.decode(text)
    return found


def _encode(value: Any) -> str:
    if isinstance(value, Fraction):
        return str(value)
    raise NotImplementedError(f"no document has a {type(value).__name__}")


def _decode(kind: type, value: Any) -> Any:
    if kind is Fraction and isinstance(value, str):
        return Fraction(value)
    raise NotImplementedError(f"no document has a {kind.__name__}")


_ENCODER = msgspec.json.Encoder(enc_hook=_encode, order="deterministic")
_DECODER = msgspec.json.Decoder(Document, dec_hook=_decode)
