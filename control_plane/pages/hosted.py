"""[I/O] A real gateway's own fields on our pages: its script draws them in frames of its own, so no number of a card
ever reaches us, and leads the customer to his bank where it asks.

What the script answers is never believed. It only leads to the ways back (control_plane.pages.cards), where the gateway
is asked; so does opening these pages again. Their policy lets in what the gateway's fields need, and nothing else.
"""

from __future__ import annotations

from fastapi import APIRouter, Request
from starlette.responses import Response

from control_plane.api.doors import Here, need
from control_plane.billing.counter import Counter
from control_plane.pages import languages
from control_plane.pages.billing import Till
from control_plane.pages.cards import onward, own, query
from control_plane.pages.shell import Pages, see
from control_plane.paying import Paying

SCRIPT = "stripe.js"


def router(pages: Pages, paying: Paying) -> APIRouter:
    """Routes for who has the right `billing`."""
    till = Till(pages, paying)
    routes = pages.doors.pages()
    counter = Counter(pages.doors.store, pages.doors.clock, paying.setup, paying.gateway)

    @routes.get("/billing/card/fields/{reference}")
    @need("billing")
    def card_page(request: Request, visit: Here, reference: str, next: str = "") -> Response:
        """The fields of a card. One that is given, or cannot be any more, leads on: a reload does no harm."""
        back = f"/billing/card/back/{reference}{query(onward(next))}"
        entry = counter.entry(visit.caller.account, reference)
        if entry is None:
            return see(back)
        return till.show(
            request,
            visit,
            "billing_fields.html",
            fields=entry.fields,
            script=SCRIPT,
            tongue=languages.tag(pages.language(request)),
            back=back,
        )

    @routes.get("/billing/confirm/{reference}")
    @need("billing")
    def confirm_page(request: Request, visit: Here, reference: str) -> Response:
        """To the customer's bank, by the gateway's script. What has been answered already leads on."""
        known = own(till, visit, reference)
        if known is None:
            return see(f"/billing/card/fields/{reference}")
        payment = counter.payment(visit.caller.account, known.key)
        back = f"/billing/paid/{reference}"
        if payment.state != "needs_action":
            return see(back)
        return till.show(
            request,
            visit,
            "billing_bank.html",
            payment=payment,
            fields=paying.gateway.hosted_fields(reference),
            script=SCRIPT,
            tongue=languages.tag(pages.language(request)),
            back=back,
        )

    return routes
