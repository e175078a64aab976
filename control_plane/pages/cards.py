"""[I/O] The card: given at the gateway's own fields, replaced, taken away; and the way back from the customer's bank.

The gateway is spoken to outside of every transaction; what it says is written down in one of its own.
"""

from __future__ import annotations

import logging
import urllib.parse

import sqlalchemy as sa
from fastapi import APIRouter, Request
from starlette.responses import Response

from control_plane.api.doors import Here, Visit, form, need
from control_plane.billing import cards, payments, settling, wallet
from control_plane.billing.payments import Payment
from control_plane.errors import ControlPlaneError, NotFound
from control_plane.gateway.errors import GatewayError, Refused
from control_plane.gateway.memory import MemoryGateway
from control_plane.gateway.port import CardDeclined, CardSaved, Unseen
from control_plane.pages import words
from control_plane.pages.billing import Till
from control_plane.pages.forms import Form, errors_of, safe_next, typed
from control_plane.pages.shell import Pages, see
from control_plane.pages.subscribed import countries
from control_plane.paying import Paying

log = logging.getLogger("stentor.control")


def router(pages: Pages, paying: Paying) -> APIRouter:
    """Routes for who has the right `billing`."""
    till = Till(pages, paying)
    routes = pages.doors.pages()
    _card(routes, till)
    _ways_back(routes, till)
    return routes


def onward(address: str) -> str:
    """Where to go after the card: a page of billing and nothing else."""
    found = safe_next(address, "")
    return found if found.startswith("/billing/") else ""


def _card(routes: APIRouter, till: Till) -> None:
    gateway = till.paying.gateway

    def card_form(request: Request, visit: Visit, shown: Form, next_: str, failed: str = "") -> Response:
        return till.show(
            request,
            visit,
            "billing_card.html",
            form=shown,
            next=next_,
            failed=failed,
            countries=countries(till.pages.language(request)),
            fields=isinstance(gateway, MemoryGateway),
        )

    @routes.get("/billing/card")
    @need("billing")
    def card_page(request: Request, visit: Here, next: str = "", failed: str = "") -> Response:
        """The one on file, and the way to give another."""
        return card_form(request, visit, Form(), onward(next), failed if failed in words.DECLINES else "")

    @routes.post("/billing/card")
    @need("billing")
    def begin(request: Request, visit: Here) -> Response:
        """To the gateway's fields; the number goes there and never through us."""
        sent, account = form(request), visit.caller.account
        next_ = onward(sent.one("next"))
        try:
            if not isinstance(gateway, MemoryGateway):
                raise NotFound("fields_missing", "the fields of this gateway are not on a page yet")
            country = sent.one("country")
            payer = till.doors.write(lambda connection: _payer(connection, account, country))
            # The gateway outside of a transaction: it may take half a minute to answer.
            if not payer:
                payer = opened = gateway.open_payer(account)
                till.doors.write(lambda connection: cards.set_payer(connection, account, opened))
            reference = gateway.begin_card(payer, f"card:{account}:{till.setup.accounts.draw(20)}")
            till.doors.write(
                lambda connection: cards.begin(connection, till.now(), till.setup.accounts.draw, account, reference)
            )
        except GatewayError as away:
            log.warning("a card could not be begun: %s", away.code)
            return card_form(request, visit, Form(typed(sent), {"": "gateway_away"}), next_)
        except ControlPlaneError as wrong:
            return card_form(request, visit, Form(typed(sent), errors_of(wrong, "country")), next_)
        return see(f"/gateway/card/{reference}{_query(next_)}")

    @routes.post("/billing/card/remove")
    @need("billing")
    def remove(request: Request, visit: Here) -> Response:
        """Charge it no more; recurring charges end with it (BIL-03)."""
        caller = visit.caller
        try:
            token = till.doors.write(
                lambda connection: wallet.remove(
                    connection, till.now(), till.setup, caller.account, actor=caller.actor
                )
            )
        except ControlPlaneError as wrong:
            return card_form(request, visit, Form({}, errors_of(wrong)), "")
        try:
            gateway.forget_card(token)
        except GatewayError as away:
            # We charge it no more, whatever the gateway keeps.
            log.warning("the gateway did not forget a card: %s", away.code)
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


def _ways_back(routes: APIRouter, till: Till) -> None:
    gateway = till.paying.gateway

    @routes.get("/billing/card/back/{reference}")
    @need("billing")
    def card_back(visit: Here, reference: str, next: str = "") -> Response:
        """From the gateway's fields: ask what became of the card. Again: the same."""
        next_ = onward(next)
        _own_setup(till, visit, reference)
        try:
            outcome = gateway.card_of(reference)
        except GatewayError as away:
            log.warning("a card could not be asked for: %s", away.code)
            return see(f"/billing/card{_query(next_)}")

        def told(connection: sa.Connection) -> bool:
            """Whether it is the one that is charged now: one that is refused (ACC-12) is not."""
            wallet.told(connection, till.now(), till.setup, outcome)
            card = cards.on_file(connection, visit.caller.account)
            return isinstance(outcome, CardSaved) and card is not None and card.token == outcome.card.token

        if till.doors.write(told):
            return see(next_ or "/billing/card?done=card-saved")
        if isinstance(outcome, CardDeclined):
            return see(f"/billing/card{_query(next_, failed=outcome.code)}")
        if isinstance(outcome, CardSaved):
            return see(f"/billing/card{_query(next_, failed='card_unusable')}")
        return see(f"/billing/card{_query(next_)}")

    @routes.get("/billing/confirm/{reference}")
    @need("billing")
    def confirm_page(request: Request, visit: Here, reference: str, next: str = "") -> Response:
        """Where the customer answers his bank: the fake one's question, or what the real one needs."""
        payment = _own(till, visit, reference)
        if payment is not None and payment.state != "needs_action":
            return see("/billing")
        return till.show(
            request,
            visit,
            "billing_confirm.html",
            reference=reference,
            payment=payment,
            next=onward(next),
            fake=isinstance(gateway, MemoryGateway),
        )

    @routes.post("/billing/confirm/{reference}")
    @need("billing")
    def confirm(request: Request, visit: Here, reference: str) -> Response:
        """The answer to the fake's question; then what became of it is asked as ever."""
        sent = form(request)
        payment = _own(till, visit, reference)
        if not isinstance(gateway, MemoryGateway):
            raise NotFound("fields_missing", "the fields of this gateway are not on a page yet")
        agrees, next_ = sent.one("agrees") == "yes", onward(sent.one("next"))
        try:
            gateway.outside.authenticate(reference, agrees=agrees)
        except Refused:
            log.info("a question was answered that nobody waits for")  # sent twice: the first answer counts
        if payment is None:
            return see(f"/billing/card/back/{reference}{_query(next_)}")
        return see(f"/billing/paid/{reference}")

    @routes.get("/billing/paid/{reference}")
    @need("billing")
    def paid_back(visit: Here, reference: str) -> Response:
        """From the bank: ask what became of the payment. Again: the same."""
        payment = _own(till, visit, reference)
        if payment is None:
            raise NotFound("payment_unknown", "there is no such payment")
        try:
            outcome = gateway.ask(payment.key, payment.payer)
        except GatewayError as away:
            log.warning("a payment could not be asked for: %s", away.code)
            return see("/billing")
        if not isinstance(outcome, Unseen):
            known = outcome
            till.doors.write(
                lambda connection: settling.told(connection, till.now(), till.setup, payment.key, known)
            )
        after = till.doors.store.read(lambda connection: payments.by_key(connection, payment.key))
        return see("/billing?done=paid" if after.state == "succeeded" else "/billing")


def _payer(connection: sa.Connection, account: str, country: str) -> str:
    """The gateway's name for the account, "" before it gave one. Keeps the country where none was told before. Raises
    Invalid with field `country`."""
    known = cards.payer(connection, account)
    if known is None:
        cards.set_country(connection, account, country)
        return ""
    return known.payer


def _own_setup(till: Till, visit: Visit, reference: str) -> None:
    """Raises NotFound for a set-up that is not the caller's."""
    owner = till.doors.store.read(lambda connection: cards.account_of(connection, reference))
    if owner != visit.caller.account:
        raise NotFound("card_unknown", "no card is being entered under this reference")


def _own(till: Till, visit: Visit, reference: str) -> Payment | None:
    """The caller's payment with this reference; None where it is a set-up of his. Raises NotFound for others'."""
    found = till.doors.store.read(lambda connection: payments.by_reference(connection, reference))
    if found is None:
        _own_setup(till, visit, reference)
    elif found.account != visit.caller.account:
        raise NotFound("payment_unknown", "there is no such payment")
    return found


def _query(next_: str, **more: str) -> str:
    values = {**({"next": next_} if next_ else {}), **more}
    return f"?{urllib.parse.urlencode(values)}" if values else ""
