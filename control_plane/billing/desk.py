"""What staff decide about an account's money, each for a ticket: the end of the agreement, its coming back, a refund, a
gift."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import Literal

import sqlalchemy as sa

from control_plane.accounts import lifecycle, people
from control_plane.accounts.tokens import new_id
from control_plane.billing import credit, orders, payments, refunds, subscriptions
from control_plane.billing import subscription as machine
from control_plane.billing.invoices import Invoice
from control_plane.billing.payments import Payment
from control_plane.billing.setup import Setup
from control_plane.billing.subscription import Subscription, Terms
from control_plane.errors import Conflict, Invalid
from control_plane.money import Money
from control_plane.running import audit

# The grounds of BIL-40, as codes: the order of an authority, and the five major breaches.
Ground = Literal[
    "authority_order",
    "payment_default",
    "prohibited_practice",
    "misuse_of_marks",
    "false_registration",
    "means_without_right",
]


def terminate(
    connection: sa.Connection,
    now: datetime.datetime,
    setup: Setup,
    account: str,
    ground: Ground | None,
    *,
    ticket: str,
    actor: str,
) -> Subscription:
    """End the agreement at once. With a ground nothing is given back and coming back is refused by default (BIL-40),
    without one the unused days are given back (BIL-43). Raises NotFound, Conflict "not_subscribed"."""
    people.account(connection, account)
    ids = {"ground": ground or "none", "ticket": ticket}
    audit.record(connection, now, actor=actor, account=account, code="agreement_terminated", ids=ids)
    event = machine.Terminate(cause=ground is not None, bars=ground is not None)
    return subscriptions.step(connection, now, setup, account, event, actor=actor)


def bring_back(
    connection: sa.Connection,
    now: datetime.datetime,
    setup: Setup,
    account: str,
    terms: Terms,
    currency: str,
    *,
    overrules: bool,
    ticket: str,
    actor: str,
    seen: str | None = None,
) -> Payment:
    """Let an account come back whose agreement has ended: its card is charged, and with the payment it is open again,
    from that day on (BIL-37). `overrules`: though it was refused; `seen`: the sum that was looked at. Raises NotFound,
    Invalid for what is not sold, Conflict "window_over", "return_refused", "not_ended", "payment_running",
    "card_missing", "country_missing", "price_changed"."""
    people.account(connection, account)
    window_ends_at = lifecycle.state(connection, account).window_ends_at
    if window_ends_at is not None and now > window_ends_at:
        raise Conflict("window_over", "the time to come back is over")
    orders.ready(connection, account)
    orders.same(orders.quote(connection, now, setup, account, terms, currency), seen)
    event = machine.Return(terms, overrules=overrules)
    subscriptions.step(connection, now, setup, account, event, actor=actor, currency=currency)
    ids = {"plan": terms.plan, "overrules": "yes" if overrules else "no", "ticket": ticket}
    audit.record(connection, now, actor=actor, account=account, code="return_approved", ids=ids)
    found = payments.running(connection, account)
    assert found is not None
    return found


def refuse_return(
    connection: sa.Connection, now: datetime.datetime, setup: Setup, account: str, *, ticket: str, actor: str
) -> Subscription:
    """It may not come back; no reason is given to anybody (BIL-38). Nothing is charged, and its time runs on to the
    deletion. Raises NotFound, Conflict "not_ended", and "payment_running" while its return is being paid."""
    people.account(connection, account)
    after = subscriptions.step(connection, now, setup, account, machine.RefuseReturn(), actor=actor)
    audit.record(connection, now, actor=actor, account=account, code="return_refused", ids={"ticket": ticket})
    return after


def refund(
    connection: sa.Connection,
    now: datetime.datetime,
    setup: Setup,
    invoice: str,
    amounts: Mapping[int, Money],
    *,
    ticket: str,
    reason: str,
    actor: str,
) -> Invoice:
    """Goodwill (BIL-06): net sums by the number of the line; the credit note. Raises what `refunds.goodwill` raises."""
    note = refunds.goodwill(connection, now, setup, invoice, amounts, actor)
    ids = {"invoice": invoice, "credit_note": note.id, "ticket": ticket}
    said = {"reason": reason}
    audit.record(connection, now, actor=actor, account=note.account, code="refund_decided", ids=ids, personal=said)
    return note


def give(
    connection: sa.Connection,
    now: datetime.datetime,
    setup: Setup,
    account: str,
    amount: Money,
    *,
    ticket: str,
    reason: str,
    actor: str,
) -> str:
    """A gift to his credit, which is no money: nobody is ever paid it out (BIL-43). Returns the credit's id. Raises
    NotFound, Invalid with field `amount` for none and less than none."""
    people.account(connection, account)
    if amount.minor <= 0:
        raise Invalid("amount_not_positive", "a gift is above zero", field="amount")
    id_ = new_id("crd", setup.accounts.draw)
    credit.add(connection, now, account=account, id_=id_, amount=amount, cause="goodwill", promotional=True)
    ids = {"credit": id_, "amount": str(amount.minor), "currency": amount.currency, "ticket": ticket}
    said = {"reason": reason}
    audit.record(connection, now, actor=actor, account=account, code="credit_given", ids=ids, personal=said)
    return id_
