"""[I/O] The fake gateway's own pages, where a card is typed in and its bank asks: only where the gateway is the fake
(docs/gateway.md). No money moves there, and the pages say so."""

from __future__ import annotations

import logging
import re

from fastapi import APIRouter, Request
from starlette.responses import Response

from control_plane.api.doors import Here, form, need
from control_plane.billing.freeze import CardMonth
from control_plane.errors import Invalid, NotFound
from control_plane.gateway.errors import Refused
from control_plane.gateway.memory import MemoryGateway
from control_plane.gateway.port import CardAwaited
from control_plane.pages.billing import Till
from control_plane.pages.cards import onward, own, query
from control_plane.pages.forms import Form, errors_of, typed
from control_plane.pages.shell import Pages, see
from control_plane.paying import Paying
from control_plane.translations import N_

# Those of docs/gateway.md that somebody tries by hand.
TEST_CARDS = (
    ("4242 4242 4242 4242", N_("pays")),
    ("4000 0025 0000 3155", N_("asks whether it is you when it is saved")),
    ("4000 0027 6000 3184", N_("asks when it is saved and at every payment")),
    ("4000 0084 0000 1629", N_("asks, and is declined afterwards")),
    ("4000 0000 0000 0341", N_("is saved, and declined when it is charged")),
    ("4999 0000 0000 9995", N_("has not enough money")),
    ("4000 0000 0000 0002", N_("is not saved")),
    ("4000 0000 0000 0259", N_("pays, and is disputed at once")),
)
log = logging.getLogger("stentor.control")
_NUMBER = re.compile(r"[0-9]{12,19}")
_MONTH = re.compile(r"(0?[1-9]|1[0-2])\s*/\s*(20[0-9]{2}|[0-9]{2})")


def router(pages: Pages, paying: Paying, gateway: MemoryGateway) -> APIRouter:
    """Cards for everybody who has the reference, as at a gateway; the bank for who has the right `billing`."""
    routes = pages.doors.pages()
    _card(routes, pages, gateway)
    _bank(routes, Till(pages, paying), gateway)
    return routes


def _card(routes: APIRouter, pages: Pages, gateway: MemoryGateway) -> None:

    def fields(request: Request, reference: str, shown: Form, next_: str) -> Response:
        return pages.show(request, "gateway_card.html", form=shown, reference=reference, next=next_, cards=TEST_CARDS)

    @routes.get("/gateway/card/{reference}")
    @need("public")
    def card_page(request: Request, reference: str, next: str = "") -> Response:
        """Number and month."""
        _known(gateway, reference)
        return fields(request, reference, Form(), onward(next))

    @routes.post("/gateway/card/{reference}")
    @need("public")
    def enter(request: Request, reference: str) -> Response:
        """As the customer types it; then to his bank where it asks, else back."""
        sent = form(request)
        next_ = onward(sent.one("next"))
        _known(gateway, reference)
        try:
            number, expires = _number(sent.one("number")), _month(sent.one("month"))
            gateway.outside.enter_card(reference, number, expires)
        except Invalid as wrong:
            # The number is not sent back: it is no more than a test's, but pages for cards are built like this.
            values = {name: value for name, value in typed(sent).items() if name != "number"}
            return fields(request, reference, Form(values, errors_of(wrong, "number", "month")), next_)
        except Refused:
            log.info("a card was entered that was there already")  # and perhaps waits for the bank
        asks = isinstance(gateway.card_of(reference), CardAwaited)
        return see(f"/billing/{'confirm' if asks else 'card/back'}/{reference}{query(next_)}")


def _bank(routes: APIRouter, till: Till, gateway: MemoryGateway) -> None:
    @routes.get("/billing/confirm/{reference}")
    @need("billing")
    def confirm_page(request: Request, visit: Here, reference: str, next: str = "") -> Response:
        """The question of the customer's bank."""
        payment = own(till, visit, reference)
        if payment is not None and payment.state != "needs_action":
            return see("/billing")
        return till.show(
            request, visit, "billing_confirm.html", reference=reference, payment=payment, next=onward(next)
        )

    @routes.post("/billing/confirm/{reference}")
    @need("billing")
    def confirm(request: Request, visit: Here, reference: str) -> Response:
        """The answer to it; then what became of it is asked as ever."""
        sent = form(request)
        payment = own(till, visit, reference)
        try:
            gateway.outside.authenticate(reference, agrees=sent.one("agrees") == "yes")
        except Refused:
            log.info("a question was answered that nobody waits for")  # sent twice: the first answer counts
        if payment is None:
            return see(f"/billing/card/back/{reference}{query(onward(sent.one('next')))}")
        return see(f"/billing/paid/{reference}")


def _known(gateway: MemoryGateway, reference: str) -> None:
    try:
        gateway.card_of(reference)
    except Refused:
        raise NotFound("card_unknown", "no card is being entered under this reference") from None


def _number(typed_: str) -> str:
    found = re.sub(r"[\s-]", "", typed_)
    if not _NUMBER.fullmatch(found):
        raise Invalid("card_number", "a card number has 12 to 19 digits", field="number")
    return found


def _month(typed_: str) -> CardMonth:
    found = _MONTH.fullmatch(typed_.strip())
    if found is None:
        raise Invalid("card_month", "a month and a year, such as 12/2030", field="month")
    year = int(found[2])
    return CardMonth(year if year >= 2000 else 2000 + year, int(found[1]))
