"""[I/O] The account's own subscription: how it stands, its country, its card, consent, freeze and cancellation."""

from __future__ import annotations

from typing import Annotated, Literal

import sqlalchemy as sa
from fastapi import APIRouter, Path, Request
from pydantic import Field
from starlette.responses import Response

from control_plane.accounts import people
from control_plane.api.billing import views
from control_plane.api.billing.views import PaymentView, Seen, Standing
from control_plane.api.bodies import Body
from control_plane.api.doors import Doors, Here, Visit, need
from control_plane.api.idempotency import Answer
from control_plane.billing import cards, orders, subscriptions, wallet
from control_plane.billing import subscription as machine
from control_plane.billing.counter import Counter
from control_plane.billing.freeze import FREEZE_DAYS_MAX

SetupReference = Annotated[str, Path(max_length=255, pattern=r"^[A-Za-z0-9_]+$")]


class Country(Body):
    """Two letters (ISO 3166)."""

    country: Annotated[str, Field(min_length=2, max_length=2, pattern=r"^[A-Za-z]+$", examples=["DE"])]


class Fields(Body):
    """For the page on which the card is entered: the gateway's script, its public key, and a secret for this browser
    alone. `setup` is what is asked for afterwards."""

    setup: str
    script: str
    public_key: str
    secret: str


class CardGiven(Body):
    """`awaited`: not entered yet. `declined`: give another. `removed`: another has taken its place since."""

    state: Literal["awaited", "saved", "declined", "removed"]


class Consent(Body):
    """To being charged at each renewal (BIL-03)."""

    on: bool


class UnfreezeWish(Body):
    """`seen`: the `payable` of a quote of `unfreeze`; "" where none was asked for."""

    seen: Seen = ""


class FreezeWish(Body):
    days: Annotated[int, Field(ge=1, le=FREEZE_DAYS_MAX)]


def router(doors: Doors, counter: Counter) -> APIRouter:
    """For who has the right `billing`."""
    routes = doors.router("billing")
    now, setup = doors.clock.now, counter.setup

    @routes.get("/billing", response_model=Standing)
    @need("billing")
    def how_it_stands(visit: Here) -> Standing:
        """The subscription with all that belongs to it."""
        account = visit.caller.account
        return doors.store.read(lambda connection: views.standing(connection, now(), setup, account))

    @routes.put("/billing/country", response_model=Standing)
    @need("billing")
    def set_country(visit: Here, body: Country) -> Standing:
        """Where the customer is: whose taxes are on the next invoice (BIL-14)."""
        account = visit.caller.account

        def use_case(connection: sa.Connection) -> Standing:
            cards.set_country(connection, account, body.country)
            return views.standing(connection, now(), setup, account)

        return doors.write(use_case)

    @routes.put("/billing/consent", response_model=Standing)
    @need("billing")
    def consent(visit: Here, body: Consent) -> Standing:
        """Give or take back consent to recurring charges; without it the subscription expires after its paid days."""
        account, actor = visit.caller.account, visit.caller.actor

        def use_case(connection: sa.Connection) -> Standing:
            orders.consent(connection, now(), setup, account, body.on, actor=actor)
            return views.standing(connection, now(), setup, account)

        return doors.write(use_case)

    _cards(routes, doors, counter)
    _freeze(routes, doors, counter)
    _cancellation(routes, doors, counter)
    return routes


def _cards(routes: APIRouter, doors: Doors, counter: Counter) -> None:
    now, setup = doors.clock.now, counter.setup

    @routes.post("/billing/cards", status_code=201, response_model=Fields)
    @need("billing")
    def begin_card(visit: Here) -> Fields:
        """Begin to give a card. Asked again before it was given, it goes on with the same one."""
        entry = counter.begin_card(visit.caller.account)
        fields = entry.fields
        return Fields(setup=entry.reference, script=fields.script, public_key=fields.public_key, secret=fields.secret)

    @routes.post("/billing/cards/{setup}/check", response_model=CardGiven)
    @need("billing")
    def check_card(visit: Here, setup: SetupReference) -> CardGiven:
        """Ask the gateway what became of a card that was entered. From `saved` on it is the one that is charged."""
        return CardGiven(state=counter.card_given(visit.caller.account, setup))

    @routes.delete("/billing/card", status_code=204, response_class=Response)
    @need("billing")
    def remove_card(visit: Here) -> Response:
        """Charge it no more, and have the gateway forget it. Consent to recurring charges ends with it."""
        account, actor = visit.caller.account, visit.caller.actor
        doors.write(lambda connection: wallet.remove(connection, now(), setup, account, actor=actor))
        return Response(status_code=204)


def _freeze(routes: APIRouter, doors: Doors, counter: Counter) -> None:
    now, setup = doors.clock.now, counter.setup

    @routes.post("/billing/freeze", response_model=Standing)
    @need("billing")
    def ask_freeze(visit: Here, body: FreezeWish) -> Standing:
        """Freeze from the next period on, for so many days (BIL-21); asked again, for as many as were asked last."""
        account, actor = visit.caller.account, visit.caller.actor

        def use_case(connection: sa.Connection) -> Standing:
            orders.ask_freeze(connection, now(), setup, account, body.days, actor=actor)
            return views.standing(connection, now(), setup, account)

        return doors.write(use_case)

    @routes.delete("/billing/freeze", response_model=Standing)
    @need("billing")
    def withdraw_freeze(visit: Here) -> Standing:
        """Take it back before it has begun."""
        return _stepped(doors, counter, visit, machine.WithdrawFreeze())

    @routes.post("/billing/unfreeze", status_code=202, response_model=PaymentView)
    @need("billing")
    def unfreeze(request: Request, visit: Here, body: UnfreezeWish | None = None) -> Response:
        """End the freeze now: the next period is charged, and begins when it is paid (BIL-27). 409 `price_changed`
        where it costs another sum than was seen, `account_state` while the account is suspended."""
        account, actor, seen = visit.caller.account, visit.caller.actor, body.seen if body else ""
        return doors.act(
            request,
            seen.encode(),
            lambda connection: orders.unfreeze(connection, now(), setup, account, actor=actor, seen=seen or None),
            lambda made: views.answer(202, views.payment(made)),
        )


def _cancellation(routes: APIRouter, doors: Doors, counter: Counter) -> None:
    now, setup = doors.clock.now, counter.setup

    @routes.post("/billing/cancellation", response_model=Standing)
    @need("billing")
    def cancel(request: Request, visit: Here) -> Response:
        """Cancel: all goes on to the end of the paid days, and then the account closes (BIL-31). It takes effect with
        the confirmation by mail (BIL-34)."""
        account, actor = visit.caller.account, visit.caller.actor

        def use_case(connection: sa.Connection) -> Standing:
            # Who has an agreement of his own goes through support (BIL-33).
            individual = people.account(connection, account).kind == "consultant"
            event = machine.RequestCancel(now(), through_support=individual)
            subscriptions.step(connection, now(), setup, account, event, actor=actor)
            return views.standing(connection, now(), setup, account)

        def told(after: Standing) -> Answer:
            return views.answer(200, after)

        return doors.act(request, b"", use_case, told)

    @routes.delete("/billing/cancellation", response_model=Standing)
    @need("billing")
    def undo(visit: Here) -> Standing:
        """Take the cancellation back, as long as the account is open."""
        return _stepped(doors, counter, visit, machine.UndoCancel())


def _stepped(doors: Doors, counter: Counter, visit: Visit, event: machine.Event) -> Standing:
    """One event by the customer, and how it stands then."""
    account, actor, setup = visit.caller.account, visit.caller.actor, counter.setup

    def use_case(connection: sa.Connection) -> Standing:
        now = doors.clock.now()
        subscriptions.step(connection, now, setup, account, event, actor=actor)
        return views.standing(connection, now, setup, account)

    return doors.write(use_case)
