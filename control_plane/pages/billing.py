"""[I/O] Billing as the customer sees it: where it stands, its history, freeze, cancellation. Each step says in words,
with days and sums, what will happen before it does."""

from __future__ import annotations

import datetime
from collections.abc import Iterator
from typing import Any

import sqlalchemy as sa
from fastapi import APIRouter, Request
from starlette.responses import Response

from control_plane.api.doors import Here, Visit, form, need
from control_plane.billing import export, freeze, invoices, orders, pdf, subscriptions
from control_plane.billing import subscription as machine
from control_plane.billing.document import Document
from control_plane.billing.freeze import FREEZE_DAYS_MAX
from control_plane.billing.words import Words
from control_plane.errors import ControlPlaneError, Invalid, NotFound
from control_plane.pages.forms import Form, errors_of, typed
from control_plane.pages.shell import Pages, see
from control_plane.pages.subscribed import CANCELLABLE, Standing, standing
from control_plane.paying import Paying
from control_plane.periods import Span

# Between the first day after a span, which is stored, and its last one, which is told.
ONE_DAY = datetime.timedelta(days=1)
HISTORY_PAGE = 50
# Of a history that is given out as one file, so many are read at a time.
EXPORT_PAGE = 100


class Till:
    """What the pages of billing share: the account's standing, and steps of its subscription."""

    def __init__(self, pages: Pages, paying: Paying) -> None:
        self.pages, self.paying, self.setup = pages, paying, paying.setup
        self.doors, self.now = pages.doors, pages.doors.clock.now

    def standing(self, visit: Visit) -> Standing:
        account = visit.caller.account
        return self.doors.store.read(lambda connection: standing(connection, self.now(), self.setup, account))

    def show(self, request: Request, visit: Visit, template: str, **values: Any) -> Response:
        """A page with where the account stands (`stands`), and how invoices say things (`said`)."""
        found = values.pop("stands", None) or self.standing(visit)
        said = Words(self.pages.language(request))
        return self.pages.show(
            request, template, stands=found, said=said, catalogue=found.catalogue, one_day=ONE_DAY, **values
        )

    def step(self, visit: Visit, event: machine.Event) -> machine.Subscription:
        """By this customer. Raises what the machine refuses."""
        caller = visit.caller
        return self.doors.write(
            lambda connection: subscriptions.step(
                connection, self.now(), self.setup, caller.account, event, actor=caller.actor
            )
        )


def router(pages: Pages, paying: Paying) -> APIRouter:
    """Routes for who has the right `billing`."""
    till = Till(pages, paying)
    routes = pages.doors.pages()
    _overview(routes, till)
    _history(routes, till)
    _freeze(routes, till)
    _cancel(routes, till)
    return routes


def whole(typed_: str, code: str, field: str) -> int:
    """A whole number as it was typed in a form. Raises Invalid."""
    words = typed_.strip()
    if not words.isascii() or not words.isdecimal() or len(words) > 6:
        raise Invalid(code, "write a whole number", field=field)
    return int(words)


def _overview(routes: APIRouter, till: Till) -> None:
    def overview(request: Request, visit: Visit, shown: Form | None = None) -> Response:
        return till.show(request, visit, "billing.html", form=shown)

    @routes.get("/billing")
    @need("billing")
    def billing_page(request: Request, visit: Here) -> Response:
        """Where it stands, and what can be done now."""
        return overview(request, visit)

    @routes.post("/billing/autopay")
    @need("billing")
    def autopay(request: Request, visit: Here) -> Response:
        """Consent to recurring charges, given or withdrawn (BIL-03)."""
        on, caller = form(request).one("on") == "yes", visit.caller

        def use_case(connection: sa.Connection) -> None:
            orders.consent(connection, till.now(), till.setup, caller.account, on, actor=caller.actor)

        try:
            till.doors.write(use_case)
        except ControlPlaneError as wrong:
            return overview(request, visit, Form({}, errors_of(wrong)))
        return see(f"/billing?done={'autopay-on' if on else 'autopay-off'}")

    @routes.post("/billing/abandon")
    @need("billing")
    def abandon(visit: Here) -> Response:
        """Take back a payment that waits for the customer's bank."""
        till.doors.write(lambda connection: orders.abandon(connection, till.now(), visit.caller.account))
        return see("/billing?done=payment-abandoned")


def _history(routes: APIRouter, till: Till) -> None:
    @routes.get("/billing/history")
    @need("billing")
    def history(request: Request, visit: Here, before: str = "") -> Response:
        """Invoices, credit notes and pro-formas, the newest first (BIL-15); also after the account has expired."""
        account = visit.caller.account
        rows = till.doors.store.read(
            lambda connection: invoices.newest(connection, account, before=before, limit=HISTORY_PAGE)
        )
        older = rows[-1].id if len(rows) == HISTORY_PAGE else ""
        return till.show(request, visit, "billing_history.html", rows=rows, older=older)

    @routes.get("/billing/history.csv")
    @need("billing")
    def as_csv(visit: Here) -> Response:
        """All of it as one file."""
        account = visit.caller.account
        text = "".join(export.rows(till.doors.store.read(lambda connection: list(_documents(connection, account)))))
        named = {"Content-Disposition": f'attachment; filename="billing-{till.now().date()}.csv"'}
        return Response(text, media_type=export.MEDIA_TYPE, headers=named)

    @routes.get("/billing/documents/{invoice}.pdf")
    @need("billing")
    def as_pdf(visit: Here, invoice: str) -> Response:
        """One document as a PDF, made now out of what was frozen then."""
        account = visit.caller.account
        found = till.doors.store.read(lambda connection: invoices.by_id(connection, invoice, account))
        if found.state == "void":
            raise NotFound("invoice_unknown", "this was never paid and is no longer asked for")
        named = {"Content-Disposition": f'inline; filename="{pdf.file_name(found.document)}"'}
        return Response(pdf.make(found.document), media_type="application/pdf", headers=named)


def _documents(connection: sa.Connection, account: str) -> Iterator[Document]:
    """All that stands, from the first on."""
    read = 0
    while rows := invoices.history(connection, account, after=read, limit=EXPORT_PAGE):
        yield from (row.document for row in rows if row.state != "void")
        read += len(rows)  # they are numbered from 1 without a gap


def _freeze(routes: APIRouter, till: Till) -> None:
    def freeze_form(request: Request, visit: Visit, shown: Form, span: Span | None = None) -> Response:
        return till.show(request, visit, "billing_freeze.html", form=shown, span=span, most=FREEZE_DAYS_MAX)

    @routes.get("/billing/freeze")
    @need("billing")
    def freeze_page(request: Request, visit: Here, days: str = "") -> Response:
        """From when to when it would be, and what is charged afterwards; nothing is changed yet."""
        if not days:
            return freeze_form(request, visit, Form())
        now = till.standing(visit)
        try:
            count = whole(days, "freeze_days", "days")
            if now.freezes_from is None:
                raise _refusal(now)
            span = freeze.frozen_span(now.freezes_from, count, now.card.expires if now.card else None)
        except ControlPlaneError as wrong:
            return freeze_form(request, visit, Form({"days": days}, errors_of(wrong, "days")))
        return freeze_form(request, visit, Form({"days": days}), span)

    @routes.post("/billing/freeze")
    @need("billing")
    def ask_freeze(request: Request, visit: Here) -> Response:
        """From the next unpaid period on (BIL-21)."""
        sent, caller = form(request), visit.caller
        try:
            count = whole(sent.one("days"), "freeze_days", "days")
            till.doors.write(
                lambda connection: orders.ask_freeze(
                    connection, till.now(), till.setup, caller.account, count, actor=caller.actor
                )
            )
        except ControlPlaneError as wrong:
            return freeze_form(request, visit, Form(typed(sent), errors_of(wrong, "days")))
        return see("/billing?done=freeze-asked")

    @routes.post("/billing/freeze/withdraw")
    @need("billing")
    def withdraw(request: Request, visit: Here) -> Response:
        """Before it has begun."""
        return _tried(till, request, visit, machine.WithdrawFreeze(), "freeze-withdrawn")

    def unfreeze_form(request: Request, visit: Visit, shown: Form) -> Response:
        now, account = till.standing(visit), visit.caller.account
        draft = None
        if now.one.state == "frozen":
            draft = till.doors.store.read(
                lambda connection: orders.quote_unfreeze(connection, till.now(), till.setup, account)
            )
        return till.show(request, visit, "billing_unfreeze.html", form=shown, stands=now, draft=draft)

    @routes.get("/billing/unfreeze")
    @need("billing")
    def unfreeze_page(request: Request, visit: Here) -> Response:
        """What going on today costs."""
        return unfreeze_form(request, visit, Form())

    @routes.post("/billing/unfreeze")
    @need("billing")
    def unfreeze(request: Request, visit: Here) -> Response:
        """Charged now (BIL-27)."""
        sent, caller = form(request), visit.caller
        try:
            till.doors.write(
                lambda connection: orders.unfreeze(
                    connection, till.now(), till.setup, caller.account, actor=caller.actor, seen=sent.one("seen")
                )
            )
        except ControlPlaneError as wrong:
            return unfreeze_form(request, visit, Form({}, errors_of(wrong)))
        return see("/billing?done=ordered")


def _cancel(routes: APIRouter, till: Till) -> None:
    def cancel_form(request: Request, visit: Visit, shown: Form) -> Response:
        now = till.standing(visit)
        window = datetime.timedelta(days=machine.EXPIRED_DAYS)
        return till.show(
            request, visit, "billing_cancel.html", form=shown, stands=now, cancellable=CANCELLABLE, window=window
        )

    @routes.get("/billing/cancel")
    @need("billing")
    def cancel_page(request: Request, visit: Here) -> Response:
        """Until when all works, and what happens then."""
        return cancel_form(request, visit, Form())

    @routes.post("/billing/cancel")
    @need("billing")
    def cancel(request: Request, visit: Here) -> Response:
        """Ask for the end (BIL-31); the mail that confirms it makes it take effect (BIL-34)."""
        try:
            after = till.step(visit, machine.RequestCancel(till.now()))
        except ControlPlaneError as wrong:
            return cancel_form(request, visit, Form({}, errors_of(wrong)))
        # Of an expired one the account is closed by now, and its owner signed out.
        return see("/sign-in?done=cancelled" if after.state == "ended" else "/billing?done=cancel-asked")

    @routes.post("/billing/cancel/undo")
    @need("billing")
    def undo(request: Request, visit: Here) -> Response:
        """All goes on as before."""
        return _tried(till, request, visit, machine.UndoCancel(), "cancel-undone")


def _tried(till: Till, request: Request, visit: Visit, event: machine.Event, done: str) -> Response:
    """A step without a page of its own: what is refused is told on the page of billing."""
    try:
        till.step(visit, event)
    except ControlPlaneError as wrong:
        return till.show(request, visit, "billing.html", form=Form({}, errors_of(wrong)))
    return see(f"/billing?done={done}")


def _refusal(stands: Standing) -> ControlPlaneError:
    """Why no freeze can be asked for, in the machine's own words."""
    try:
        machine.apply(stands.one, machine.AskFreeze(1), stands.today)
    except ControlPlaneError as error:
        return error
    raise AssertionError("the machine would have taken it")
