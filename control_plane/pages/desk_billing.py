"""[I/O] The staff desk's view of an account's billing: goodwill refunds, the end of an agreement, disputes."""

from __future__ import annotations

import datetime
from dataclasses import dataclass
from typing import Any, cast, get_args

import sqlalchemy as sa
from fastapi import APIRouter, Request
from pydantic import Field
from starlette.responses import Response

from control_plane.accounts import fields, people
from control_plane.api.accounts.staff import Ticket
from control_plane.api.bodies import Body, Fields, Line, Word
from control_plane.api.doors import Here, form, need
from control_plane.billing import desk, disputes, invoices
from control_plane.billing.invoices import Invoice
from control_plane.billing.words import Words
from control_plane.errors import ControlPlaneError, Invalid, NotFound
from control_plane.money import Money, parse
from control_plane.pages.billing import ONE_DAY, whole
from control_plane.pages.forms import Form, Refused, errors_of, taken, typed
from control_plane.pages.shell import Pages, see
from control_plane.pages.subscribed import currency_options, standing
from control_plane.pages.words import TASKS
from control_plane.paying import Paying
from control_plane.running import tasks

# What the desk looks at on one page; older ones stand in the customer's own history.
INVOICES = 100


@dataclass(frozen=True)
class Taken:
    """A dispute, as the page tells it."""

    reference: str
    payment: str
    sum: Money
    state: str
    opened_at: datetime.datetime


def router(pages: Pages, paying: Paying) -> APIRouter:
    """Routes for staff."""
    doors, setup = pages.doors, paying.setup
    routes = doors.pages()
    now = doors.clock.now

    def billing_form(request: Request, account: str, shown: Form, which: str = "") -> Response:
        said = Words(pages.language(request))

        def ask(connection: sa.Connection) -> dict[str, Any]:
            found = standing(connection, now(), setup, account)
            active = found.one.state == "active" and found.one.period is not None
            return {
                "account": people.account(connection, account),
                "stands": found,
                "rows": invoices.newest(connection, account, limit=INVOICES),
                "disputes": [_taken(row) for row in disputes.of_account(connection, account)],
                "tasks": tasks.of_account(connection, account, TASKS),
                "currency_options": currency_options(found.catalogue),
                "unused": found.one.period.unused(found.today) if active and found.one.period else 0,
            }

        def lines_of(one: Invoice) -> list[tuple[str, str]]:
            draft = one.draft
            words = zip(draft.lines, one.document.words, strict=True)
            return [(str(number), f"{what}: {said.sum(line.net)}") for number, (line, what) in enumerate(words)]

        return pages.show(
            request,
            "desk_billing.html",
            form=shown,
            which=which,
            said=said,
            one_day=ONE_DAY,
            lines_of=lines_of,
            **doors.store.read(ask),
        )

    @routes.get("/desk/accounts/{account}/billing")
    @need("staff")
    def billing_page(request: Request, account: str) -> Response:
        """Sums, states and days; nothing of what is in the account (ACC-27)."""
        return billing_form(request, account, Form())

    @routes.post("/desk/accounts/{account}/billing/refund")
    @need("staff")
    def refund(request: Request, visit: Here, account: str) -> Response:
        """Out of goodwill (BIL-06)."""
        sent, which = form(request), form(request).one("invoice")

        def use_case(connection: sa.Connection) -> None:
            ticket = fields.ticket(taken(Ticket, {"ticket": sent.one("ticket")}).ticket)
            named = taken(Paid, {"invoice": which}).invoice
            paid = invoices.by_id(connection, named, account)
            line = whole(sent.one("line"), "refund_malformed", "amount")
            amount = parse(sent.one("amount").strip(), paid.draft.currency)
            reason, actor = _reason(sent), f"staff:{visit.caller.person}"
            desk.refund(connection, now(), setup, paid.id, {line: amount}, ticket=ticket, reason=reason, actor=actor)

        try:
            doors.write(use_case)
        except (Refused, ControlPlaneError) as wrong:
            errors = errors_of(wrong, "amount", "reason", "ticket")
            return billing_form(request, account, Form(typed(sent), errors), which)
        return see(f"/desk/accounts/{account}/billing?done=refunded")

    @routes.post("/desk/accounts/{account}/billing/end")
    @need("staff")
    def end(request: Request, visit: Here, account: str) -> Response:
        """For a cause (BIL-40), or without one and with the unused days given back (BIL-43)."""
        sent = form(request)

        def use_case(connection: sa.Connection) -> None:
            ticket = fields.ticket(taken(Ticket, {"ticket": sent.one("ticket")}).ticket)
            actor = f"staff:{visit.caller.person}"
            desk.terminate(connection, now(), setup, account, _ground(sent), ticket=ticket, actor=actor)

        try:
            doors.write(use_case)
        except (Refused, ControlPlaneError) as wrong:
            errors = errors_of(wrong, "ground", "ticket")
            return billing_form(request, account, Form(typed(sent), errors), "end")
        return see(f"/desk/accounts/{account}/billing?done=terminated")

    @routes.post("/desk/accounts/{account}/billing/credit")
    @need("staff")
    def give(request: Request, visit: Here, account: str) -> Response:
        """A gift, which is used before the card and never paid out (BIL-43)."""
        sent = form(request)

        def use_case(connection: sa.Connection) -> None:
            ticket = fields.ticket(taken(Ticket, {"ticket": sent.one("ticket")}).ticket)
            amount = parse(sent.one("amount").strip(), sent.one("currency"))
            reason, actor = _reason(sent), f"staff:{visit.caller.person}"
            desk.give(connection, now(), setup, account, amount, ticket=ticket, reason=reason, actor=actor)

        try:
            doors.write(use_case)
        except (Refused, ControlPlaneError) as wrong:
            errors = errors_of(wrong, "amount", "currency", "reason", "ticket")
            return billing_form(request, account, Form(typed(sent), errors), "give")
        return see(f"/desk/accounts/{account}/billing?done=credit-given")

    @routes.post("/desk/accounts/{account}/billing/tasks")
    @need("staff")
    def task_done(request: Request, visit: Here, account: str) -> Response:
        """Somebody has looked at it."""
        sent = form(request)

        def use_case(connection: sa.Connection) -> None:
            known = {str(one.id): one.id for one in tasks.of_account(connection, account, TASKS)}
            task = known.get(sent.one("task"))
            if task is None:
                raise NotFound("no_such_task", "no such open task of this account")
            tasks.settle_one(connection, now(), task=task, actor=f"staff:{visit.caller.person}")

        try:
            doors.write(use_case)
        except ControlPlaneError as wrong:
            return billing_form(request, account, Form({}, errors_of(wrong)), "tasks")
        return see(f"/desk/accounts/{account}/billing?done=task-done")

    return routes


class Reason(Body):
    reason: Line = Field(min_length=1)


class Paid(Body):
    invoice: Word


def _reason(sent: Fields) -> str:
    """Raises Refused."""
    return taken(Reason, {"reason": sent.one("reason").strip()}).reason


def _ground(sent: Fields) -> desk.Ground | None:
    """None for without a cause. Raises Invalid."""
    named = sent.one("ground")
    if named not in ("none", *get_args(desk.Ground)):
        raise Invalid("ground_unknown", "one of the grounds of the terms, or none", field="ground")
    return None if named == "none" else cast(desk.Ground, named)


def _taken(row: sa.Row[Any]) -> Taken:
    return Taken(row.reference, row.payment, Money(row.amount, row.currency), row.state, row.opened_at)
