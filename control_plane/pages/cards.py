"""[I/O] The card: given at the gateway's own fields, replaced, taken away; and the way back from the customer's bank.

control_plane.billing.counter speaks to the gateway, outside of every transaction; where it does not answer, the page
says so, and nothing is lost.
"""

from __future__ import annotations

import urllib.parse

from fastapi import APIRouter, Request
from starlette.responses import Response

from control_plane.api.doors import Here, Visit, form, need
from control_plane.billing import cards, payments, wallet
from control_plane.billing.counter import Counter
from control_plane.billing.payments import Payment
from control_plane.errors import ControlPlaneError, NotFound
from control_plane.gateway.memory import MemoryGateway
from control_plane.pages import words
from control_plane.pages.billing import Till
from control_plane.pages.forms import Form, errors_of, safe_next, typed
from control_plane.pages.shell import Pages, see
from control_plane.pages.subscribed import countries
from control_plane.paying import Paying


def router(pages: Pages, paying: Paying) -> APIRouter:
    """Routes for who has the right `billing`."""
    till = Till(pages, paying)
    routes = pages.doors.pages()
    counter = Counter(pages.doors.store, pages.doors.clock, paying.setup, paying.gateway)
    _card(routes, till, counter)
    _ways_back(routes, till, counter)
    return routes


def onward(address: str) -> str:
    """Where to go after the card: a page of billing and nothing else."""
    found = safe_next(address, "")
    return found if found.startswith("/billing/") else ""


def _card(routes: APIRouter, till: Till, counter: Counter) -> None:
    # The fake has pages of its own; Stripe draws its fields on one of ours (control_plane.pages.hosted).
    fields = "/gateway/card" if isinstance(till.paying.gateway, MemoryGateway) else "/billing/card/fields"

    def card_form(request: Request, visit: Visit, shown: Form, next_: str, failed: str = "") -> Response:
        return till.show(
            request,
            visit,
            "billing_card.html",
            form=shown,
            next=next_,
            failed=failed,
            countries=countries(till.pages.language(request)),
        )

    @routes.get("/billing/card")
    @need("billing")
    def card_page(request: Request, visit: Here, next: str = "", failed: str = "") -> Response:
        """The one on file, and the way to give another."""
        return card_form(request, visit, Form(), onward(next), failed if failed in words.DECLINES else "")

    @routes.post("/billing/card")
    @need("billing")
    def begin(request: Request, visit: Here) -> Response:
        """To the gateway's fields; the number goes there and never through us. Who gave a card there and never came
        back to tell has given it."""
        sent, account = form(request), visit.caller.account
        next_ = onward(sent.one("next"))
        try:
            if "country" in sent.values:
                till.doors.write(lambda connection: cards.set_country(connection, account, sent.one("country")))
            if counter.unfinished(account) == "saved":
                return see(next_ or "/billing/card?done=card-saved")
            entry = counter.begin_card(account)
        except ControlPlaneError as wrong:
            return card_form(request, visit, Form(typed(sent), errors_of(wrong, "country")), next_)
        return see(f"{fields}/{entry.reference}{query(next_)}")

    @routes.post("/billing/card/remove")
    @need("billing")
    def remove(request: Request, visit: Here) -> Response:
        """Charge it no more; recurring charges end with it (BIL-03)."""
        caller = visit.caller
        try:
            till.doors.write(
                lambda connection: wallet.remove(connection, till.now(), till.setup, caller.account, actor=caller.actor)
            )
        except ControlPlaneError as wrong:
            return card_form(request, visit, Form({}, errors_of(wrong)), "")
        return see("/billing/card?done=card-removed")

    @routes.post("/billing/country")
    @need("billing")
    def country(request: Request, visit: Here) -> Response:
        """Whose taxes are on the invoices, from the next one on (BIL-14)."""
        sent = form(request)
        try:
            till.doors.write(
                lambda connection: cards.set_country(connection, visit.caller.account, sent.one("country"))
            )
        except ControlPlaneError as wrong:
            return card_form(request, visit, Form(typed(sent), errors_of(wrong, "country")), "")
        return see("/billing/card?done=country-saved")


def _ways_back(routes: APIRouter, till: Till, counter: Counter) -> None:
    @routes.get("/billing/card/back/{reference}")
    @need("billing")
    def card_back(visit: Here, reference: str, next: str = "") -> Response:
        """From the gateway's fields: ask what became of the card. Again: the same."""
        next_ = onward(next)
        state = counter.card_given(visit.caller.account, reference)
        if state == "saved":
            return see(next_ or "/billing/card?done=card-saved")
        return see(f"/billing/card{query(next_, **({'failed': 'not_saved'} if state == 'declined' else {}))}")

    @routes.get("/billing/paid/{reference}")
    @need("billing")
    def paid_back(visit: Here, reference: str) -> Response:
        """From the bank: ask what became of the payment. Again: the same."""
        payment = own(till, visit, reference)
        if payment is None:
            raise NotFound("payment_unknown", "there is no such payment")
        after = counter.payment(visit.caller.account, payment.key)
        return see("/billing?done=paid" if after.state == "succeeded" else "/billing")


def own(till: Till, visit: Visit, reference: str) -> Payment | None:
    """The caller's payment with this reference; None where it is a set-up of his. Raises NotFound for others'."""
    found = till.doors.store.read(lambda connection: payments.by_reference(connection, reference))
    if found is None:
        till.doors.store.read(lambda connection: cards.state_of(connection, visit.caller.account, reference))
    elif found.account != visit.caller.account:
        raise NotFound("payment_unknown", "there is no such payment")
    return found


def query(next_: str, **more: str) -> str:
    """Behind an address: where to go on, and what else there is to say. "" for nothing."""
    values = {**({"next": next_} if next_ else {}), **more}
    return f"?{urllib.parse.urlencode(values)}" if values else ""
