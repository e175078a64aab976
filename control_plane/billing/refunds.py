"""What is given back: the unused days of an agreement that the operator ended (BIL-43), and goodwill (BIL-06).

A refund is a credit note with a number, its postings, and, as far as a card had paid, money that goes back to it. The
way back is a row of its own, carried after the commit under one key for ever.
"""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa

from control_plane.billing import credit, invoices, payments, postings, revenue
from control_plane.billing.charges import Draft, Line, give_back, returned, unused
from control_plane.billing.invoices import Invoice
from control_plane.billing.prices import catalogue
from control_plane.billing.setup import Setup
from control_plane.billing.tables import deferrals, disputes, refunds
from control_plane.billing.tables import payments as payments_rows
from control_plane.errors import Conflict, NotFound
from control_plane.ledger import journal
from control_plane.money import Money
from control_plane.periods import Period, day_of
from control_plane.running import audit, outbox, tasks


def pro_rata(
    connection: sa.Connection, now: datetime.datetime, setup: Setup, account: str, period: Period, actor: str
) -> list[Invoice]:
    """Give back the unused days of every invoice that reaches into them: the plan's, add-ons' and upgrades' (BIL-43).
    Returns the credit notes."""
    today, notes = day_of(now), []
    for paid in _reaching(connection, account, today):
        if _disputed(connection, paid.id):
            continue
        before = [note.draft for note in invoices.notes_of(connection, paid.id)]
        note = unused(paid.draft, today, before)
        if note is not None:
            notes.append(_return(connection, now, setup, paid, note, before, "pro_rata", actor))
    return notes


def goodwill(
    connection: sa.Connection,
    now: datetime.datetime,
    setup: Setup,
    invoice: str,
    amounts: Mapping[int, Money],
    actor: str,
) -> Invoice:
    """Give net sums back by the number of the line; by staff. Raises NotFound, Invalid, Conflict (charges.give_back),
    Conflict "not_paid", "disputed", and "not_returnable" for what is never given back (minutes: BIL-09)."""
    paid = invoices.by_id(connection, invoice)
    if paid.state != "paid" or paid.kind != "invoice":
        raise Conflict("not_paid", "only what was paid can be given back")
    if _disputed(connection, paid.id):
        raise Conflict("disputed", "his issuer has taken this payment back: it is the dispute that decides")
    known = catalogue(connection, setup).add_ons
    if any(line.item in known and not known[line.item].returnable for line in _named(paid.draft, amounts)):
        raise Conflict("not_returnable", "of this nothing is given back, used or not")
    before = [note.draft for note in invoices.notes_of(connection, paid.id)]
    note = give_back(paid.draft, amounts, before)
    return _return(connection, now, setup, paid, note, before, "goodwill", actor)


def ended(connection: sa.Connection, now: datetime.datetime, key: str, reference: str, *, arrived: bool) -> None:
    """What the gateway said of a way back. Of one that failed the money is with us again: it is the customer's credit,
    and the staff looks for another way. Raises NotFound."""
    row = connection.execute(refunds.select().where(refunds.c.key == key)).one_or_none()
    if row is None:
        raise NotFound("refund_unknown", "there is no such refund")
    if row.state in ("arrived", "failed"):
        return
    state = "arrived" if arrived else "failed"
    values = {"state": state, "reference": reference, "ended_at": now}
    connection.execute(refunds.update().where(refunds.c.key == key).values(values))
    if not arrived:
        amount = Money(row.amount, row.currency)
        lines = postings.short(row.account, amount)
        journal.post(
            connection,
            now,
            idem_key=f"refund_failed:{key}",
            effective_at=now,
            reason="refund_failed",
            ref=key,
            lines=lines,
        )
        credit.add(connection, now, account=row.account, id_=f"crd_{key}", amount=amount, cause="refund_failed")
        tasks.raise_task(connection, now, kind="refund_failed", ref=key, account=row.account)


def _return(
    connection: sa.Connection,
    now: datetime.datetime,
    setup: Setup,
    paid: Invoice,
    note: Draft,
    before: list[Draft],
    why: str,
    actor: str,
) -> Invoice:
    made = invoices.credit_note(connection, now, setup, paid, note)
    to = returned(note, paid.draft, before)
    zero = Money(0, note.currency)
    prepaid, taken = zero, dict[str, Money]()
    for line in note.lines:
        assert line.of is not None
        part, rest = revenue.take_back(connection, now, paid.account, paid.id, line.of, -line.net)
        prepaid += part
        for kind, amount in rest:
            taken[kind] = taken.get(kind, zero) + amount
    lines = postings.returned(paid.account, note, prepaid, tuple(taken.items()), to)
    journal.post(
        connection, now, idem_key=f"returned:{made.id}", effective_at=now, reason=why, ref=made.id, lines=lines
    )
    if to.credit.minor:
        credit.add(connection, now, account=paid.account, id_=f"crd_{made.id}", amount=to.credit, cause="refund")
    if to.card.minor:
        _send(connection, now, paid, made, to.card)
    ids = {"invoice": paid.id, "credit_note": made.id, "why": why}
    audit.record(connection, now, actor=actor, account=paid.account, code="refunded", ids=ids)
    return made


def _send(connection: sa.Connection, now: datetime.datetime, paid: Invoice, made: Invoice, amount: Money) -> None:
    """To the card that paid: the original means (BIL-43)."""
    charge = next(one for one in payments.of_invoice(connection, paid.id) if one.state == "succeeded")
    key = f"{made.id}:refund"
    values: dict[str, Any] = {"key": key, "credit_note": made.id, "account": paid.account, "payment": charge.key}
    values |= {"currency": amount.currency, "amount": amount.minor, "state": "processing", "reference": ""}
    connection.execute(refunds.insert().values(values | {"made_at": now}))
    payload = {"what": "refund", "refund": key}
    outbox.put(connection, now, kind="gateway", key=f"refund:{key}", account=paid.account, payload=payload)


def _named(paid: Draft, amounts: Mapping[int, Money]) -> list[Line]:
    """Those that there are; others are refused by charges.give_back."""
    return [line for number, line in enumerate(paid.lines) if number in amounts]


def _disputed(connection: sa.Connection, invoice: str) -> bool:
    """Whether its issuer has the money: a payment is given back or disputed, never both."""
    taken = sa.select(disputes.c.reference).join(payments_rows, payments_rows.c.key == disputes.c.payment)
    open_ = taken.where(payments_rows.c.invoice == invoice, disputes.c.state.in_(("open", "lost")))
    return connection.execute(open_.limit(1)).one_or_none() is not None


def _reaching(connection: sa.Connection, account: str, today: datetime.date) -> list[Invoice]:
    """Paid invoices of the account with days that are still to come."""
    wanted = (
        sa.select(deferrals.c.invoice)
        .where(deferrals.c.account == account, ~deferrals.c.over)
        .distinct()
        .order_by(deferrals.c.invoice)
    )
    found = [invoices.by_id(connection, id_) for id_ in connection.scalars(wanted)]
    return [one for one in found if any(line.span is not None and line.span.end > today for line in one.draft.lines)]
