"""[I/O] The billing history: invoices and credit notes, as JSON, as PDF and as one CSV (BIL-15)."""

from __future__ import annotations

from typing import Annotated, Any

import sqlalchemy as sa
from fastapi import APIRouter, Query
from starlette.responses import Response

from control_plane.api.billing import views
from control_plane.api.billing.views import InvoiceId, LineView, TaxView, Totals
from control_plane.api.bodies import Body
from control_plane.api.doors import Doors, Here, need
from control_plane.api.pagination import LIMIT, LIMIT_MAX, counted, listed, place
from control_plane.billing import export, invoices, pdf
from control_plane.billing.document import Document, Party
from control_plane.billing.invoices import Invoice
from control_plane.billing.words import Words

Cursor = Annotated[str, Query(max_length=200, pattern=r"^[A-Za-z0-9_\-]*$")]
Limit = Annotated[int, Query(ge=1, le=LIMIT_MAX)]
# How many are read at a time for the CSV.
_PAGE = 500


class Listed(Totals):
    """`open`: a pro-forma, not paid yet. `number`: of the gapless series, once it is paid. `corrects`: of a credit
    note, the number of its invoice."""

    id: str
    kind: str
    state: str
    number: str
    made_at: str
    issued_on: str
    paid_on: str | None
    corrects: str


class History(Body):
    items: list[Listed]
    next: str | None


class PartyView(Body):
    name: str
    address: list[str]
    country: str
    tax_number: str


class Whole(Listed):
    lines: list[LineView]
    taxes: list[TaxView]
    seller: PartyView
    buyer: PartyView


def router(doors: Doors) -> APIRouter:
    """For who has the right `billing`; also while expired (BIL-18)."""
    routes = doors.router("billing")

    def one(visit: Here, invoice: str) -> Invoice:
        return doors.store.read(lambda connection: invoices.by_id(connection, invoice, visit.caller.account))

    @routes.get("/billing/invoices", response_model=History)
    @need("billing")
    def history(visit: Here, cursor: Cursor = "", limit: Limit = LIMIT) -> dict[str, Any]:
        """From the first on."""
        start = place(cursor)
        rows = doors.store.read(
            lambda connection: invoices.history(connection, visit.caller.account, after=start, limit=limit + 1)
        )
        cut, following = counted(rows, lambda row: row.id, start, limit)
        return listed([Listed(**_listed(row)) for row in cut], following)

    @routes.get("/billing/invoices.csv", response_class=Response, responses=_holds("text/csv"))
    @need("billing")
    def table(visit: Here) -> Response:
        """All that were paid, and all credit notes, as one table (RFC 4180)."""
        account = visit.caller.account
        paid = doors.store.read(lambda connection: _paid(connection, account))
        return Response("".join(export.rows(paid)), headers=_file("billing-history.csv", export.MEDIA_TYPE))

    @routes.get("/billing/invoices/{invoice}", response_model=Whole)
    @need("billing")
    def whole(visit: Here, invoice: InvoiceId) -> Whole:
        """One, as it was made out."""
        row = one(visit, invoice)
        made, words = row.document, Words(row.document.language)
        return Whole(
            **_listed(row),
            lines=views.lines(made.draft, made.words, words),
            taxes=views.taxes(made.draft, words),
            seller=_party(made.seller),
            buyer=_party(made.buyer),
        )

    @routes.get("/billing/invoices/{invoice}/pdf", response_class=Response, responses=_holds("application/pdf"))
    @need("billing")
    def as_pdf(visit: Here, invoice: InvoiceId) -> Response:
        """The document as PDF, made now."""
        made = one(visit, invoice).document
        return Response(pdf.make(made), headers=_file(pdf.file_name(made), "application/pdf"))

    return routes


def _paid(connection: sa.Connection, account: str) -> list[Document]:
    found, start = list[Document](), 0
    while rows := invoices.history(connection, account, after=start, limit=_PAGE):
        found += [row.document for row in rows if row.state == "paid"]
        start += len(rows)
    return found


def _listed(row: Invoice) -> dict[str, Any]:
    made = row.document
    return {
        "id": row.id,
        "kind": row.kind,
        "state": row.state,
        "number": row.number,
        "made_at": row.made_at.isoformat(),
        "issued_on": made.issued_on.isoformat(),
        "paid_on": views.iso(made.paid_on),
        "corrects": made.corrects,
        **views.totals(made.draft),
    }


def _party(party: Party) -> PartyView:
    return PartyView(name=party.name, address=list(party.address), country=party.country, tax_number=party.tax_number)


def _file(name: str, media_type: str) -> dict[str, str]:
    """To be saved, not shown. The name has letters, digits, hyphens and a dot alone."""
    return {"content-type": media_type, "content-disposition": f'attachment; filename="{name}"'}


def _holds(media_type: str) -> dict[int | str, dict[str, Any]]:
    """For the OpenAPI: what a good answer is."""
    return {200: {"content": {media_type: {"schema": {"type": "string", "format": "binary"}}}}}
