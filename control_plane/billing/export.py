"""A billing history as CSV (RFC 4180): a row for each document, plain amounts, nothing that a sheet would run. Pure."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator

from control_plane.billing.document import Document

COLUMNS = (
    "kind",
    "number",
    "id",
    "issued_on",
    "paid_on",
    "corrects",
    "buyer",
    "buyer_country",
    "buyer_tax_number",
    "currency",
    "net",
    "tax",
    "gross",
    "from_credit",
    "payable",
    "reverse_charge",
)
MEDIA_TYPE = "text/csv; charset=utf-8; header=present"
# What makes a sheet take a text for a formula, or hides that it begins with one.
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")


def rows(documents: Iterable[Document]) -> Iterator[str]:
    """The file, row by row with its line end, the names of the columns first. Credit notes are below zero."""
    yield _row(COLUMNS)
    for one in documents:
        draft = one.draft
        words = (
            one.kind,
            one.number,
            one.id,
            one.issued_on.isoformat(),
            one.paid_on.isoformat() if one.paid_on else "",
            one.corrects,
            one.buyer.name,
            one.buyer.country,
            one.buyer.tax_number,
            draft.currency,
        )
        # Ours, so their minus is no formula.
        amounts = [sum_.text() for sum_ in (draft.net, draft.tax, draft.gross, draft.from_credit, draft.payable)]
        reverse = any(tax.treatment.kind == "reverse_charge" for tax in draft.taxes)
        yield _row([*(harmless(word) for word in words), *amounts, "yes" if reverse else "no"])


def harmless(text: str) -> str:
    """The text, with an apostrophe before what a sheet would take for a formula, spaces in front or not."""
    return f"'{text}" if text.lstrip(" ").startswith(_FORMULA) else text


def _row(cells: Iterable[str]) -> str:
    written = io.StringIO()
    csv.writer(written, lineterminator="\r\n").writerow(cells)
    return written.getvalue()
