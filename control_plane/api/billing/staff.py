"""[I/O] The staff desk's money: the end of an agreement, refunds, gifts, discounts, disputes, and the price list."""

from __future__ import annotations

import datetime
from fractions import Fraction
from typing import Annotated, Any, Literal

import sqlalchemy as sa
from fastapi import APIRouter, Path, Query, Request
from pydantic import Field
from starlette.responses import Response

from control_plane import money
from control_plane.accounts import fields, people
from control_plane.api.billing import views
from control_plane.api.billing.views import Amount, Currency, Cycle, Day, InvoiceId, Item, PaymentView, Sum
from control_plane.api.bodies import Body, Id, Line
from control_plane.api.doors import Doors, Here, need
from control_plane.billing import cards, desk, disputes, invoices, prices
from control_plane.billing.charges import Discount
from control_plane.billing.invoices import Invoice
from control_plane.billing.liability import cap
from control_plane.billing.setup import Setup
from control_plane.billing.subscription import Terms
from control_plane.errors import Invalid
from control_plane.money import Money

PriceId = Annotated[
    str,
    Path(max_length=100, pattern=r"^[a-z_]+\.(month|year|once)\.[A-Z]{3}\.[0-9]{1,6}$", examples=["basic.month.EUR.1"]),
]
# Years of four digits: twelve months before them there is a day as well.
OnDay = Annotated[str, Query(max_length=10, pattern=r"^[1-9][0-9]{3}-[0-9]{2}-[0-9]{2}$", examples=["2027-01-31"])]
# Of an invoice. Longer ones than this are not made out.
LINES_MAX = 100


class Termination(Body):
    """`cause`: for one of the grounds (BIL-40), and nothing is given back; else the unused days are (BIL-43)."""

    cause: bool
    ground: desk.Ground | None = None
    ticket: Line


class Ended(Body):
    account: str
    state: str


class ReturnWish(Body):
    """`overrule`: though it was refused that this customer comes back."""

    plan: Item
    cycle: Cycle
    currency: Currency
    overrule: bool = False
    ticket: Line


class ReturnRefusal(Body):
    ticket: Line


class RefundLine(Body):
    """`line` as the invoice counts them, from 0; `amount` net, in the invoice's currency."""

    line: Annotated[int, Field(ge=0, lt=LINES_MAX)]
    amount: Amount


class Refund(Body):
    lines: Annotated[list[RefundLine], Field(max_length=LINES_MAX)]
    ticket: Line
    reason: Annotated[Line, Field(min_length=1)]


class CreditNote(Body):
    """`gross` is below zero: with its tax, what is given back."""

    id: str
    number: str
    gross: Sum


class Gift(Body):
    amount: Amount
    currency: Currency
    ticket: Line
    reason: Annotated[Line, Field(min_length=1)]


class Made(Body):
    id: str


class DiscountWish(Body):
    """`percent` off every price, 0 for none, on days before `until`."""

    percent: Annotated[int, Field(ge=0, le=100)]
    until: Day | None = None
    ticket: Line


class DisputeView(Body):
    reference: str
    payment: str
    state: str
    amount: Sum
    opened_at: str
    ended_at: str | None


class Disputes(Body):
    items: list[DisputeView]


class PriceWish(Body):
    """`item`: a plan or an add-on; net, for one piece and the whole cycle."""

    item: Item
    cycle: Literal["month", "year", "once"]
    amount: Amount
    currency: Currency


class Liability(Body):
    """At most this much, by currency. `basis`: what was `paid` in the days from `start` on and before `end`, or, of who
    paid nothing in them, twelve months of the cheapest plan (`free`)."""

    basis: Literal["paid", "free"]
    start: str
    end: str
    amounts: list[Sum]


def router(doors: Doors, setup: Setup) -> APIRouter:
    """For staff."""
    routes = doors.router("staff")
    now = doors.clock.now

    @routes.post("/staff/accounts/{account}/termination", response_model=Ended)
    @need("staff")
    def terminate(request: Request, visit: Here, account: Id, body: Termination) -> Response:
        """End the agreement at once; the account closes."""
        fields.ticket(body.ticket)
        if body.cause != (body.ground is not None):
            raise Invalid("ground_missing", "a termination for cause has a ground, and no other has", field="ground")
        actor = _actor(visit)
        return doors.act(
            request,
            views.said(body),
            lambda connection: desk.terminate(
                connection, now(), setup, account, body.ground, ticket=body.ticket, actor=actor
            ),
            lambda after: views.answer(200, Ended(account=account, state=after.state)),
        )

    @routes.post("/staff/accounts/{account}/credits", status_code=201, response_model=Made)
    @need("staff")
    def give(request: Request, visit: Here, account: Id, body: Gift) -> Response:
        """A gift to the account's credit; it pays invoices and is never paid out."""
        fields.ticket(body.ticket)
        amount, actor = _positive(body.amount, body.currency), _actor(visit)
        return doors.act(
            request,
            views.said(body),
            lambda connection: desk.give(
                connection, now(), setup, account, amount, ticket=body.ticket, reason=body.reason, actor=actor
            ),
            lambda id_: views.answer(201, Made(id=id_)),
        )

    @routes.put("/staff/accounts/{account}/discount", status_code=204, response_class=Response)
    @need("staff")
    def discount(visit: Here, account: Id, body: DiscountWish) -> Response:
        """From the next period on (BIL-46)."""
        fields.ticket(body.ticket)
        until = None if body.until is None else _day(body.until, "until")
        found = Discount(Fraction(body.percent, 100), until) if body.percent else None
        doors.write(
            lambda connection: cards.set_discount(connection, now(), account, found, _actor(visit), body.ticket)
        )
        return Response(status_code=204)

    @routes.get("/staff/accounts/{account}/disputes", response_model=Disputes)
    @need("staff")
    def account_disputes(visit: Here, account: Id) -> Disputes:
        """What issuers took back, the newest first."""

        def question(connection: sa.Connection) -> list[sa.Row[Any]]:
            people.account(connection, account)
            return disputes.of_account(connection, account)

        return Disputes(
            items=[
                DisputeView(
                    reference=row.reference,
                    payment=row.payment,
                    state=row.state,
                    amount=str(Money(row.amount, row.currency)),
                    opened_at=row.opened_at.isoformat(),
                    ended_at=views.iso(row.ended_at),
                )
                for row in doors.store.read(question)
            ]
        )

    @routes.get("/staff/accounts/{account}/liability", response_model=Liability)
    @need("staff")
    def liability(visit: Here, account: Id, on: OnDay) -> dict[str, Any]:
        """How far the operator is liable for an event on this day (BIL-44)."""
        day = _day(on, "on")
        found = doors.store.read(lambda connection: cap(connection, setup, account, day))
        amounts = [str(Money(minor, currency)) for currency, minor in sorted(found.amounts.items())]
        return {"basis": found.basis, "start": str(found.start), "end": str(found.end), "amounts": amounts}

    @routes.post("/staff/invoices/{invoice}/refunds", status_code=201, response_model=CreditNote)
    @need("staff")
    def refund(request: Request, visit: Here, invoice: InvoiceId, body: Refund) -> Response:
        """Goodwill (BIL-06): a credit note for parts of a paid invoice; the money goes back the way it came."""
        fields.ticket(body.ticket)
        actor = _actor(visit)

        def use_case(connection: sa.Connection) -> Invoice:
            currency = invoices.by_id(connection, invoice).draft.currency
            amounts = {one.line: _positive(one.amount, currency) for one in body.lines}
            if len(amounts) != len(body.lines):
                raise Invalid("refund_malformed", "each line once", field="lines")
            return desk.refund(
                connection, now(), setup, invoice, amounts, ticket=body.ticket, reason=body.reason, actor=actor
            )

        def told(note: Invoice) -> CreditNote:
            return CreditNote(id=note.id, number=note.number, gross=str(note.draft.gross))

        return doors.act(request, views.said(body), use_case, lambda note: views.answer(201, told(note)))

    _returns(routes, doors, setup)
    _prices(routes, doors, setup)
    return routes


def _returns(routes: APIRouter, doors: Doors, setup: Setup) -> None:
    now = doors.clock.now

    @routes.post("/staff/accounts/{account}/return", status_code=202, response_model=PaymentView)
    @need("staff")
    def bring_back(request: Request, visit: Here, account: Id, body: ReturnWish) -> Response:
        """Let a closed account come back with a plan: its card is charged, and with that it is open (BIL-37)."""
        fields.ticket(body.ticket)
        terms, actor = Terms(body.plan, body.cycle), _actor(visit)
        return doors.act(
            request,
            views.said(body),
            lambda connection: desk.bring_back(
                connection,
                now(),
                setup,
                account,
                terms,
                body.currency,
                overrules=body.overrule,
                ticket=body.ticket,
                actor=actor,
            ),
            lambda made: views.answer(202, views.payment(made)),
        )

    @routes.post("/staff/accounts/{account}/return-refusal", response_model=Ended)
    @need("staff")
    def refuse_return(request: Request, visit: Here, account: Id, body: ReturnRefusal) -> Response:
        """It may not come back (BIL-38)."""
        fields.ticket(body.ticket)
        actor = _actor(visit)
        return doors.act(
            request,
            views.said(body),
            lambda connection: desk.refuse_return(connection, now(), setup, account, ticket=body.ticket, actor=actor),
            lambda after: views.answer(200, Ended(account=account, state=after.state)),
        )


def _prices(routes: APIRouter, doors: Doors, setup: Setup) -> None:
    now = doors.clock.now

    @routes.post("/staff/prices", status_code=201, response_model=Made)
    @need("staff")
    def publish(request: Request, visit: Here, body: PriceWish) -> Response:
        """A new price: newcomers pay it from now on, everybody else 30 days after its notice (BIL-05)."""
        amount, actor = money.parse(body.amount, body.currency), _actor(visit)
        if amount.minor < 0:
            raise Invalid("amount_negative", "a price is not below zero", field="amount")
        return doors.act(
            request,
            views.said(body),
            lambda connection: prices.publish(
                connection, now(), setup, item=body.item, cycle=body.cycle, amount=amount, actor=actor
            ),
            lambda made: views.answer(201, Made(id=made.id)),
        )

    @routes.post("/staff/prices/{price}/notice", status_code=204, response_class=Response)
    @need("staff")
    def notice(visit: Here, price: PriceId) -> Response:
        """From now on its 30 days run."""
        doors.write(lambda connection: prices.notify(connection, now(), setup, price, _actor(visit)))
        return Response(status_code=204)

    @routes.post("/staff/prices/{price}/withdrawal", status_code=204, response_class=Response)
    @need("staff")
    def withdraw(visit: Here, price: PriceId) -> Response:
        """The change is taken back: the price is nobody's from now on."""
        doors.write(lambda connection: prices.withdraw(connection, now(), setup, price, _actor(visit)))
        return Response(status_code=204)


def _positive(text: str, currency: str) -> Money:
    """Raises Invalid with field `amount` or `currency`."""
    found = money.parse(text, currency)
    if found.minor <= 0:
        raise Invalid("amount_not_positive", "an amount above zero", field="amount")
    return found


def _day(text: str, field: str) -> datetime.date:
    """Raises Invalid."""
    try:
        return datetime.date.fromisoformat(text)
    except ValueError:
        raise Invalid("day_unknown", "there is no such day", field=field) from None


def _actor(visit: Here) -> str:
    return f"staff:{visit.caller.person}"
