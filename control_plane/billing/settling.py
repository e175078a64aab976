"""What follows when an attempt to collect has ended: the invoice is paid with all that hangs on it, or it is not.

In one transaction: the number, the document, the postings, the days, and what was bought (model 3.3). It does not
matter who brings the news, or how often: an attempt ends once.
"""

from __future__ import annotations

import datetime
import logging
from collections.abc import Callable
from dataclasses import replace

import sqlalchemy as sa

from control_plane.accounts import account as accounts
from control_plane.accounts import lifecycle
from control_plane.billing import add_ons, credit, disputes, invoices, payments, postings, revenue, subscriptions
from control_plane.billing import subscription as machine
from control_plane.billing.document import Document
from control_plane.billing.invoices import Invoice
from control_plane.billing.payments import Payment
from control_plane.billing.setup import Setup
from control_plane.billing.subscription import Terms
from control_plane.errors import Conflict
from control_plane.gateway.port import Declined, NeedsAction, Outcome, Processing, Succeeded
from control_plane.ledger import journal
from control_plane.money import Money
from control_plane.periods import Span, day_of
from control_plane.running import tasks
from sfu import logs

log = logging.getLogger("stentor.control")
ACTOR = "system:billing"


def told(connection: sa.Connection, now: datetime.datetime, setup: Setup, key: str, outcome: Outcome) -> None:
    """Take note of what became of an attempt. Raises NotFound for one that is not ours."""
    payment = payments.by_key(connection, key)
    if payment.state == "succeeded" or (payment.state == "failed" and not isinstance(outcome, Succeeded)):
        return
    if isinstance(outcome, Succeeded):
        _received(connection, now, setup, payment, outcome)
        if outcome.reference:
            disputes.arrived(connection, now, setup, outcome.reference)
    elif isinstance(outcome, Declined):
        payments.ended(connection, now, payment, "failed", reference=outcome.reference, code=outcome.code)
        _not_paid(connection, now, setup, payment, outcome.code)
    elif isinstance(outcome, NeedsAction):
        if payment.state == "processing":
            payments.needs_action(connection, now, payment, outcome.reference, outcome.link)
            if not payment.present:
                # Nobody is there to answer his bank. He can pay by hand as long as the account waits for him (BIL-18).
                payments.call_off(connection, now, payment)
    else:
        assert isinstance(outcome, Processing)


def _received(
    connection: sa.Connection, now: datetime.datetime, setup: Setup, payment: Payment, outcome: Succeeded
) -> None:
    invoice = invoices.by_id(connection, payment.invoice)
    payments.ended(connection, now, payment, "succeeded", reference=outcome.reference, received=outcome.amount)
    if invoice.state != "open" or outcome.amount < invoice.payable:
        _kept(connection, now, payment, outcome.amount, "short" if invoice.state == "open" else "late")
        if invoice.state == "open":
            _not_paid(connection, now, setup, payment, "short")
        return
    try:
        final = _PAID[invoice.purpose["kind"]](connection, now, setup, invoice)
    except Conflict as error:
        # What it was for is no longer there: the agreement ended while the money was on its way.
        log.warning("paid for nothing", extra=logs.fields(invoice=invoice.id, code=error.code))
        invoices.void(connection, now, invoice)
        _kept(connection, now, payment, outcome.amount, error.code)
        return
    _book(connection, now, setup, invoice, final, outcome.amount)


def _book(
    connection: sa.Connection,
    now: datetime.datetime,
    setup: Setup,
    invoice: Invoice,
    final: Document,
    received: Money,
) -> None:
    lines = postings.paid(invoice.account, final.draft, received)
    if lines:
        journal.post(
            connection,
            now,
            idem_key=f"paid:{invoice.id}",
            effective_at=now,
            reason="invoice_paid",
            ref=invoice.id,
            lines=lines,
        )
    excess = received - final.draft.payable
    if excess.minor:
        credit.add(connection, now, account=invoice.account, id_=f"crd_{invoice.id}", amount=excess, cause="overpaid")
    paid = invoices.pay(connection, now, setup, invoice, final)
    revenue.defer(connection, invoice.account, invoice.id, final.draft.lines)
    values = {"number": paid.number, "sum": str(final.draft.gross)}
    setup.tell(
        connection,
        now,
        account=invoice.account,
        template="billing_paid",
        key=f"billing_paid:{invoice.id}",
        values=values,
    )


def _kept(connection: sa.Connection, now: datetime.datetime, payment: Payment, amount: Money, why: str) -> None:
    """Money that pays nothing: it is the customer's credit (BIL-07), and somebody of the staff looks at it."""
    if not amount.minor:
        return
    journal.post(
        connection,
        now,
        idem_key=f"kept:{payment.key}",
        effective_at=now,
        reason=f"payment_{why}",
        ref=payment.key,
        lines=postings.short(payment.account, amount),
    )
    credit.add(connection, now, account=payment.account, id_=f"crd_{payment.key}", amount=amount, cause="unassigned")
    tasks.raise_task(
        connection, now, kind="payment_unassigned", ref=payment.key, account=payment.account, payload={"why": why}
    )


def _not_paid(connection: sa.Connection, now: datetime.datetime, setup: Setup, payment: Payment, code: str) -> None:
    invoice = invoices.by_id(connection, payment.invoice)
    kind = invoice.purpose["kind"]
    if code != "short":  # a short payment leaves the invoice open (BIL-16)
        invoices.void(connection, now, invoice)
    if kind == "period":
        one = subscriptions.of(connection, payment.account).one
        if one.charging is not None:
            subscriptions.step(connection, now, setup, payment.account, machine.Failed(), actor=ACTOR)
    elif kind == "add_on":
        add_ons.not_paid(connection, invoice.purpose["add_on"])
    if payment.amount.minor:
        setup.tell(
            connection,
            now,
            account=payment.account,
            template="billing_declined",
            key=f"billing_declined:{payment.key}",
            values={"sum": str(payment.amount), "code": code},
        )


def _period(connection: sa.Connection, now: datetime.datetime, setup: Setup, invoice: Invoice) -> Document:
    """The subscription has its period. Where that begins with the payment, its lines move to the day of it."""
    held = subscriptions.of(connection, invoice.account)
    one = held.one
    if one.charging is None:
        raise Conflict("nothing_charged", "no payment is on its way")
    final = invoice.document
    if one.charging.why != "renewal":
        final = _moved(final, day_of(now) - one.charging.period.first)
    paid = replace(invoice, document=final)
    subscriptions.step(connection, now, setup, invoice.account, machine.Settled(), actor=ACTOR, paid=paid, held=held)
    if one.charging.why == "return" and lifecycle.state(connection, invoice.account).status == "closed":
        # Support had let it come back, if it pays (BIL-37).
        back = accounts.Reactivate(approved=True, paid=True)
        lifecycle.step(connection, now, setup.accounts, invoice.account, back, actor=ACTOR)
    return final


def _add_on(connection: sa.Connection, now: datetime.datetime, setup: Setup, invoice: Invoice) -> Document:
    span = invoice.draft.lines[0].span
    if subscriptions.state(connection, invoice.account) != "active":
        raise Conflict("plan_state", "the plan that it was bought for is over")
    add_ons.paid(connection, now, invoice.purpose["add_on"], None if span is None else span.end)
    return invoice.document


def _upgrade(connection: sa.Connection, now: datetime.datetime, setup: Setup, invoice: Invoice) -> Document:
    terms = Terms(invoice.purpose["plan"], invoice.purpose["cycle"])
    event = machine.ChangeTerms(terms, upgrade=True)
    subscriptions.step(connection, now, setup, invoice.account, event, actor=ACTOR, paid=invoice)
    return invoice.document


_PAID: dict[str, Callable[[sa.Connection, datetime.datetime, Setup, Invoice], Document]] = {
    "period": _period,
    "add_on": _add_on,
    "upgrade": _upgrade,
}


def _moved(made: Document, by: datetime.timedelta) -> Document:
    if not by:
        return made
    lines = tuple(
        replace(line, span=Span(line.span.first + by, line.span.days)) if line.span else line
        for line in made.draft.lines
    )
    return replace(made, draft=replace(made.draft, lines=lines))
