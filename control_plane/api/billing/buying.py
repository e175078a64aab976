"""[I/O] What the customer buys: first what it would cost, then the order, then what became of its payment."""

from __future__ import annotations

import datetime
from typing import Annotated, Literal

import sqlalchemy as sa
from fastapi import APIRouter, Request
from pydantic import Field
from starlette.responses import Response

from control_plane.api.billing import views
from control_plane.api.billing.views import Currency, Cycle, Item, PaymentKey, PaymentView, Quote, Seen, Sum
from control_plane.api.bodies import Body, Id
from control_plane.api.doors import Doors, Here, need
from control_plane.billing import add_ons, orders, payments, prices
from control_plane.billing.charges import Draft
from control_plane.billing.counter import Counter
from control_plane.billing.payments import Payment
from control_plane.billing.setup import Setup
from control_plane.billing.subscription import Terms
from control_plane.billing.words import Words
from control_plane.errors import Conflict

# The most of one add-on that an account may have is the catalogue's; this only bounds what is looked at.
Quantity = Annotated[int, Field(ge=1, le=1_000)]


class QuoteWish(Body):
    """Of a `plan`: plan, cycle, currency. Of an `upgrade`: plan, cycle. Of an `add_on`: add_on, quantity. Of
    `unfreeze`, the end of a freeze today: nothing more."""

    of: Literal["plan", "upgrade", "add_on", "unfreeze"]
    plan: Item = ""
    cycle: Cycle = "month"
    currency: Currency = ""
    add_on: Item = ""
    quantity: Quantity = 1


class OrderWish(Body):
    """`seen`: the sum that the customer was shown. `consent`: to being charged at each renewal (BIL-03)."""

    plan: Item
    cycle: Cycle
    currency: Currency
    seen: Sum
    consent: bool = False


class PlanWish(Body):
    """`seen`: what the quote of the upgrade said; left out where the other plan begins with the next period."""

    plan: Item
    cycle: Cycle
    seen: Seen = ""


class PlanChanged(Body):
    """`payment`: of an upgrade, which counts when it is paid; null where it begins with the next period."""

    payment: PaymentView | None


class AddOnWish(Body):
    """`once`: for this period alone (BIL-11)."""

    add_on: Item
    quantity: Quantity = 1
    once: bool = False
    seen: Sum


def router(doors: Doors, counter: Counter) -> APIRouter:
    """For who has the right `billing`."""
    routes = doors.router("billing")
    now, setup = doors.clock.now, counter.setup

    @routes.post("/billing/quotes", response_model=Quote)
    @need("billing")
    def quote(visit: Here, body: QuoteWish) -> Quote:
        """What it would cost if it were ordered now, line by line. Nothing is ordered."""
        return doors.store.read(lambda connection: _quote(connection, now(), setup, visit.caller.account, body))

    @routes.post("/billing/orders", status_code=202, response_model=PaymentView)
    @need("billing")
    def order(request: Request, visit: Here, body: OrderWish) -> Response:
        """Order a plan and have it charged to the card; an expired account comes back so (BIL-37). 409 `price_changed`
        where it costs another sum than was seen."""
        account, actor = visit.caller.account, visit.caller.actor

        def use_case(connection: sa.Connection) -> Payment:
            at, terms = now(), Terms(body.plan, body.cycle)
            made = orders.order(connection, at, setup, account, terms, body.currency, actor=actor, seen=body.seen)
            if body.consent:
                orders.consent(connection, at, setup, account, True, actor=actor)
            return made

        return doors.act(request, views.said(body), use_case, lambda made: views.answer(202, views.payment(made)))

    @routes.post("/billing/plan", status_code=202, response_model=PlanChanged)
    @need("billing")
    def change_plan(request: Request, visit: Here, body: PlanWish) -> Response:
        """Another plan: what costs more begins now, for the difference (BIL-48); anything else with the next period.
        409 `price_changed` where that is otherwise than was seen."""
        account, actor = visit.caller.account, visit.caller.actor

        def use_case(connection: sa.Connection) -> Payment | None:
            terms = Terms(body.plan, body.cycle)
            made = orders.change_plan(connection, now(), setup, account, terms, actor=actor, seen=body.seen)
            if made is None and body.seen:
                raise Conflict("price_changed", "this plan costs no more now: it would begin with the next period")
            return made

        return doors.act(
            request,
            views.said(body),
            use_case,
            lambda made: views.answer(202, PlanChanged(payment=views.payment(made) if made else None)),
        )

    @routes.post("/billing/add-ons", status_code=202, response_model=PaymentView)
    @need("billing")
    def buy_add_on(request: Request, visit: Here, body: AddOnWish) -> Response:
        """Buy it for the days left (BIL-12); it counts when it is paid. 409 `price_changed` as above."""
        account = visit.caller.account
        return doors.act(
            request,
            views.said(body),
            lambda connection: orders.buy_add_on(
                connection, now(), setup, account, body.add_on, body.quantity, once=body.once, seen=body.seen
            ),
            lambda made: views.answer(202, views.payment(made)),
        )

    @routes.delete("/billing/add-ons/{add_on}", status_code=204, response_class=Response)
    @need("billing")
    def cancel_add_on(visit: Here, add_on: Id) -> Response:
        """Have it end with the days that are paid (BIL-11)."""
        doors.write(lambda connection: add_ons.cancel(connection, now(), visit.caller.account, add_on))
        return Response(status_code=204)

    _payments(routes, doors, counter)
    return routes


def _payments(routes: APIRouter, doors: Doors, counter: Counter) -> None:
    now = doors.clock.now

    @routes.get("/billing/payments/{payment}", response_model=PaymentView)
    @need("billing")
    def how_it_stands(visit: Here, payment: PaymentKey) -> PaymentView:
        """One attempt to collect, as it is known here."""
        account = visit.caller.account
        return views.payment(doors.store.read(lambda connection: payments.by_key(connection, payment, account)))

    @routes.post("/billing/payments/{payment}/check", response_model=PaymentView)
    @need("billing")
    def check(visit: Here, payment: PaymentKey) -> PaymentView:
        """Ask the gateway: for who comes back from his bank."""
        return views.payment(counter.payment(visit.caller.account, payment))

    @routes.post("/billing/payments/{payment}/abandon", status_code=202, response_model=PaymentView)
    @need("billing")
    def abandon(visit: Here, payment: PaymentKey) -> PaymentView:
        """Take back one that waits for the customer. The gateway's answer ends it; one that does not wait stays."""
        account = visit.caller.account

        def use_case(connection: sa.Connection) -> Payment:
            found = payments.by_key(connection, payment, account)
            if found.state == "needs_action":
                payments.call_off(connection, now(), found)
            return found

        return views.payment(doors.write(use_case))


def _quote(connection: sa.Connection, now: datetime.datetime, setup: Setup, account: str, wish: QuoteWish) -> Quote:
    made = _draft(connection, now, setup, account, wish)
    words, known = Words(views.language_of(connection, account)), prices.catalogue(connection, setup)
    texts = [words.item(line, known) for line in made.lines]
    return Quote(
        lines=views.lines(made, texts, words),
        taxes=views.taxes(made, words),
        **views.totals(made),
    )


def _draft(connection: sa.Connection, now: datetime.datetime, setup: Setup, account: str, wish: QuoteWish) -> Draft:
    terms = Terms(wish.plan, wish.cycle)
    if wish.of == "plan":
        return orders.quote(connection, now, setup, account, terms, wish.currency)
    if wish.of == "upgrade":
        return orders.quote_upgrade(connection, now, setup, account, terms)
    if wish.of == "unfreeze":
        return orders.quote_unfreeze(connection, now, setup, account)
    return orders.quote_add_on(connection, now, setup, account, wish.add_on, wish.quantity)
