"""[I/O] What is ordered: a plan, another one, add-ons. First the very quote that is charged, then the payment of it."""

from __future__ import annotations

import urllib.parse
from dataclasses import dataclass
from typing import Any, cast

import sqlalchemy as sa
from fastapi import APIRouter, Request
from starlette.responses import Response

from control_plane import metering
from control_plane.api.bodies import Fields
from control_plane.api.doors import Here, Visit, form, need
from control_plane.billing import add_ons, cards, orders
from control_plane.billing.charges import Draft
from control_plane.billing.subscription import CYCLE_DAYS, Cycle, Terms
from control_plane.billing.words import Words
from control_plane.errors import Conflict, ControlPlaneError, Invalid
from control_plane.metering import Metered
from control_plane.pages.billing import Till, whole
from control_plane.pages.forms import Form, errors_of, typed
from control_plane.pages.price_list import offers
from control_plane.pages.shell import Pages, see
from control_plane.pages.subscribed import Standing, countries, currency_options, standing
from control_plane.paying import Paying

_CHOICES = ("plan", "cycle", "currency", "country")


@dataclass(frozen=True)
class Quoted:
    """What an order comes to. `later`: it begins with the next period and nothing is charged today. `beyond`: what is
    used that the new plan has less of (BIL-48)."""

    draft: Draft
    later: bool = False
    beyond: tuple[Metered, ...] = ()


def router(pages: Pages, paying: Paying) -> APIRouter:
    """Routes for who has the right `billing`."""
    till = Till(pages, paying)
    routes = pages.doors.pages()
    _plan(routes, till)
    _add_ons(routes, till)
    return routes


def _plan(routes: APIRouter, till: Till) -> None:
    def plan_form(request: Request, visit: Visit, shown: Form) -> Response:
        now, language = till.standing(visit), till.pages.language(request)
        return till.show(
            request,
            visit,
            "billing_plan.html",
            form=shown,
            stands=now,
            currency_options=currency_options(now.catalogue),
            plan_options=[(plan.name, plan.title) for plan in now.catalogue.plans_for_sale(till.now())],
            countries=countries(language),
            **offers(now.catalogue, till.now(), Words(language)),
        )

    @routes.get("/billing/plan")
    @need("billing")
    def plan_page(request: Request, visit: Here) -> Response:
        """Plan, cycle, currency, country."""
        return plan_form(request, visit, Form())

    @routes.post("/billing/plan")
    @need("billing")
    def choose(request: Request, visit: Here) -> Response:
        """Keeps the country and leads to the quote; nothing is ordered yet."""
        sent, account = form(request), visit.caller.account

        def use_case(connection: sa.Connection) -> str:
            now = standing(connection, till.now(), till.setup, account)
            terms, currency = terms_of(sent), _currency(now, sent)
            if "country" in sent.values or not now.country:
                cards.set_country(connection, account, sent.one("country"))
            _quoted(connection, till, account, terms, currency)
            return _address(terms, currency)

        try:
            return see(till.doors.write(use_case))
        except ControlPlaneError as wrong:
            return plan_form(request, visit, Form(typed(sent), errors_of(wrong, *_CHOICES)))

    def quote_page(
        request: Request, visit: Visit, terms: Terms, currency: str, wrong: ControlPlaneError | None = None
    ) -> Response:
        account = visit.caller.account

        def ask(connection: sa.Connection) -> tuple[Standing, Quoted]:
            now = standing(connection, till.now(), till.setup, account)
            return now, _quoted(connection, till, account, terms, currency)

        now, quoted = till.doors.store.read(ask)
        return till.show(
            request,
            visit,
            "billing_plan_quote.html",
            form=Form({}, errors_of(wrong)) if wrong else Form(),
            stands=now,
            terms=terms,
            currency=currency,
            draft=quoted.draft,
            later=quoted.later,
            beyond=quoted.beyond,
        )

    @routes.get("/billing/plan/quote")
    @need("billing")
    def quote(request: Request, visit: Here, plan: str = "", cycle: str = "", currency: str = "") -> Response:
        """The very sum that is charged, line by line. Without a card, the card first."""
        sent = Fields({"plan": (plan,), "cycle": (cycle,), "currency": (currency,)})
        try:
            terms = terms_of(sent)
            if till.standing(visit).card is None:
                back = urllib.parse.urlencode({"next": _address(terms, currency)})
                return see(f"/billing/card?{back}")
            return quote_page(request, visit, terms, currency)
        except ControlPlaneError as wrong:
            return plan_form(request, visit, Form(typed(sent), errors_of(wrong, *_CHOICES)))

    @routes.post("/billing/plan/pay")
    @need("billing")
    def pay(request: Request, visit: Here) -> Response:
        """Order what was shown; refused where it costs another sum by now."""
        sent, caller = form(request), visit.caller

        def use_case(connection: sa.Connection) -> str:
            now, terms, at = standing(connection, till.now(), till.setup, caller.account), terms_of(sent), till.now()
            done = "ordered"
            if now.one.state == "active":
                made = orders.change_plan(
                    connection, at, till.setup, caller.account, terms, actor=caller.actor, seen=sent.one("seen")
                )
                if made is None:
                    done = "plan-stays" if terms == now.one.terms else "plan-next"
            else:
                orders.order(
                    connection,
                    at,
                    till.setup,
                    caller.account,
                    terms,
                    sent.one("currency"),
                    actor=caller.actor,
                    seen=sent.one("seen"),
                )
            if sent.one("autopay") == "yes":
                orders.consent(connection, at, till.setup, caller.account, True, actor=caller.actor)
            return done

        try:
            return see(f"/billing?done={till.doors.write(use_case)}")
        except ControlPlaneError as wrong:
            try:
                return quote_page(request, visit, terms_of(sent), sent.one("currency"), wrong)
            except ControlPlaneError as again:  # there is no quote of it: what was wrong is the choice itself
                return plan_form(request, visit, Form(typed(sent), errors_of(again, *_CHOICES)))


def _add_ons(routes: APIRouter, till: Till) -> None:
    def add_on_form(request: Request, visit: Visit, shown: Form) -> Response:
        now, said = till.standing(visit), Words(till.pages.language(request))
        sold = offers(now.catalogue, till.now(), said)["add_ons"]
        return till.show(
            request,
            visit,
            "billing_add_ons.html",
            form=shown,
            stands=now,
            offers=sold,
            add_on_options=[(offer.item.name, offer.title) for offer in sold],
        )

    @routes.get("/billing/add-ons")
    @need("billing")
    def add_on_page(request: Request, visit: Here) -> Response:
        """Those that the account has, and what can be bought."""
        return add_on_form(request, visit, Form())

    def quote_page(request: Request, visit: Visit, sent: Fields, wrong: ControlPlaneError | None = None) -> Response:
        name, account = sent.one("add_on"), visit.caller.account
        quantity = whole(sent.one("quantity"), "quantity_malformed", "quantity")
        draft = till.doors.store.read(
            lambda connection: orders.quote_add_on(connection, till.now(), till.setup, account, name, quantity)
        )
        return till.show(
            request,
            visit,
            "billing_add_on_quote.html",
            form=Form({}, errors_of(wrong)) if wrong else Form(),
            draft=draft,
            add_on=name,
            quantity=quantity,
            once=sent.one("once") == "yes",
        )

    @routes.get("/billing/add-ons/quote")
    @need("billing")
    def quote(request: Request, visit: Here, add_on: str = "", quantity: str = "", once: str = "") -> Response:
        """What it costs for the days left (BIL-12), and from the next period on."""
        sent = Fields({"add_on": (add_on,), "quantity": (quantity,), "once": (once,)})
        try:
            return quote_page(request, visit, sent)
        except ControlPlaneError as wrong:
            return add_on_form(request, visit, Form(typed(sent), errors_of(wrong, "add_on", "quantity")))

    @routes.post("/billing/add-ons/pay")
    @need("billing")
    def pay(request: Request, visit: Here) -> Response:
        sent, account = form(request), visit.caller.account

        def use_case(connection: sa.Connection) -> None:
            orders.buy_add_on(
                connection,
                till.now(),
                till.setup,
                account,
                sent.one("add_on"),
                whole(sent.one("quantity"), "quantity_malformed", "quantity"),
                once=sent.one("once") == "yes",
                seen=sent.one("seen"),
            )

        try:
            till.doors.write(use_case)
        except ControlPlaneError as wrong:
            try:
                return quote_page(request, visit, sent, wrong)
            except ControlPlaneError as again:
                return add_on_form(request, visit, Form(typed(sent), errors_of(again, "add_on", "quantity")))
        return see("/billing?done=ordered")

    @routes.post("/billing/add-ons/{bought}/cancel")
    @need("billing")
    def cancel(request: Request, visit: Here, bought: str) -> Response:
        """It works to the end of its days (BIL-11)."""
        try:
            till.doors.write(lambda connection: add_ons.cancel(connection, till.now(), visit.caller.account, bought))
        except ControlPlaneError as wrong:
            return add_on_form(request, visit, Form({}, errors_of(wrong)))
        return see("/billing/add-ons?done=add-on-cancelled")


def _quoted(connection: sa.Connection, till: Till, account: str, terms: Terms, currency: str) -> Quoted:
    """What ordering these terms comes to, as it will be carried out. Raises Invalid, Conflict."""
    now = standing(connection, till.now(), till.setup, account)
    beyond = metering.beyond(now.use, till.setup, terms.plan)
    if now.one.state == "active":
        if terms == now.one.terms and now.one.next_terms is None:
            raise Conflict("plan_same", "this is the plan that you have")
        try:
            return Quoted(orders.quote_upgrade(connection, till.now(), till.setup, account, terms), beyond=beyond)
        except Conflict as error:
            if error.code != "no_upgrade":
                raise
        return Quoted(orders.quote_next(connection, till.setup, account, terms), later=True, beyond=beyond)
    if not now.orders:
        raise Conflict("plan_state", f"a subscription that is {now.one.state} cannot order")
    return Quoted(orders.quote(connection, till.now(), till.setup, account, terms, currency), beyond=beyond)


def terms_of(sent: Fields) -> Terms:
    """Raises Invalid."""
    if sent.one("cycle") not in CYCLE_DAYS:
        raise Invalid("cycle_unknown", "month or year", field="cycle")
    return Terms(sent.one("plan"), cast(Cycle, sent.one("cycle")))


def _currency(now: Standing, sent: Fields) -> str:
    """Of a plan that is paid its own: it does not change (BIL-48)."""
    return now.currency if now.one.state == "active" else sent.one("currency")


def _address(terms: Terms, currency: str) -> str:
    values: dict[str, Any] = {"plan": terms.plan, "cycle": terms.cycle, "currency": currency}
    return f"/billing/plan/quote?{urllib.parse.urlencode(values)}"
