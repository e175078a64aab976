"""[I/O] The staff desk: a closed account comes back with a plan, or its return is refused (BIL-36 to 38)."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from fastapi import APIRouter, Request
from starlette.responses import Response

from control_plane.accounts import fields, lifecycle, people
from control_plane.api.accounts.staff import Ticket
from control_plane.api.bodies import Fields
from control_plane.api.doors import Here, form, need
from control_plane.billing import desk, orders
from control_plane.billing.words import Words
from control_plane.errors import ControlPlaneError
from control_plane.pages.checkout import terms_of
from control_plane.pages.forms import Form, Refused, errors_of, taken, typed
from control_plane.pages.shell import Pages, see
from control_plane.pages.subscribed import currency_options, standing
from control_plane.paying import Paying

_CHOICES = ("plan", "cycle", "currency")


def router(pages: Pages, paying: Paying) -> APIRouter:
    """Routes for staff."""
    doors, setup = pages.doors, paying.setup
    routes = doors.pages()
    now = doors.clock.now

    def return_form(
        request: Request, account: str, shown: Form, which: str = "", wished: Fields | None = None
    ) -> Response:
        """`wished`: the plan that was chosen, whose quote is shown; what is wrong with it stands beside the choice."""

        def ask(connection: sa.Connection) -> dict[str, Any]:
            found = standing(connection, now(), setup, account)
            values: dict[str, Any] = {"terms": None, "currency": "", "draft": None, "wrong": None}
            if wished is not None:
                try:
                    terms, currency = terms_of(wished), wished.one("currency")
                    draft = orders.quote(connection, now(), setup, account, terms, currency)
                    values |= {"terms": terms, "currency": currency, "draft": draft}
                except ControlPlaneError as wrong:
                    values["wrong"] = wrong
            return values | {
                "account": people.account(connection, account),
                "stands": found,
                "catalogue": found.catalogue,
                "window_ends_at": lifecycle.state(connection, account).window_ends_at,
                "plan_options": [(plan.name, plan.title) for plan in found.catalogue.plans_for_sale(now())],
                "currency_options": currency_options(found.catalogue),
            }

        values = doors.store.read(ask)
        wrong = values.pop("wrong")
        if wrong is not None and not shown.errors and wished is not None:
            shown, which = Form(typed(wished), errors_of(wrong, *_CHOICES)), "choose"
        said = Words(pages.language(request))
        return pages.show(request, "desk_return.html", form=shown, which=which, said=said, **values)

    @routes.get("/desk/accounts/{account}/billing/return")
    @need("staff")
    def return_page(request: Request, account: str, plan: str = "", cycle: str = "", currency: str = "") -> Response:
        """With a plan: what will happen, and the very sum that is charged. Nothing is changed yet."""
        wished = Fields({"plan": (plan,), "cycle": (cycle,), "currency": (currency,)}) if plan or cycle else None
        return return_form(request, account, Form(typed(wished) if wished else {}), wished=wished)

    @routes.post("/desk/accounts/{account}/billing/return")
    @need("staff")
    def bring_back(request: Request, visit: Here, account: str) -> Response:
        """Its card is charged, and with the payment it is open again (BIL-37)."""
        sent = form(request)

        def use_case(connection: sa.Connection) -> None:
            ticket = fields.ticket(taken(Ticket, {"ticket": sent.one("ticket")}).ticket)
            desk.bring_back(
                connection,
                now(),
                setup,
                account,
                terms_of(sent),
                sent.one("currency"),
                overrules=sent.one("overrules") == "yes",
                ticket=ticket,
                actor=f"staff:{visit.caller.person}",
                seen=sent.one("seen"),
            )

        try:
            doors.write(use_case)
        except (Refused, ControlPlaneError) as wrong:
            errors = errors_of(wrong, "ticket")
            return return_form(request, account, Form(typed(sent), errors), "return", wished=sent)
        return see(f"/desk/accounts/{account}/billing?done=return-ordered")

    @routes.post("/desk/accounts/{account}/billing/return-refusal")
    @need("staff")
    def refuse(request: Request, visit: Here, account: str) -> Response:
        """It may not come back, and nobody is given a reason (BIL-38)."""
        sent = form(request)

        def use_case(connection: sa.Connection) -> None:
            ticket = fields.ticket(taken(Ticket, {"ticket": sent.one("ticket")}).ticket)
            actor = f"staff:{visit.caller.person}"
            desk.refuse_return(connection, now(), setup, account, ticket=ticket, actor=actor)

        try:
            doors.write(use_case)
        except (Refused, ControlPlaneError) as wrong:
            return return_form(request, account, Form(typed(sent), errors_of(wrong, "ticket")), "refuse")
        return see(f"/desk/accounts/{account}/billing?done=return-refused")

    return routes
