"""A customer's issuer takes a payment back (BIL-42): while that is open for the days he is in, he is suspended.

inquiry  nothing has moved; the staff answers
open     the money is gone for now: dispute_pending holds it
won      it came back
lost     it stays away: what it had paid for is taken out of what is prepaid and of revenue, and he is in default

An issuer may name more than was paid, or is left of it. Then the books move what is left and no more, so that of each
payment paid = refunded + disputed + kept, and somebody of the staff looks at the gateway for the rest.
"""

from __future__ import annotations

import datetime
from typing import Any

import sqlalchemy as sa

from control_plane.accounts import account as accounts
from control_plane.accounts import lifecycle
from control_plane.billing import invoices, payments, postings, revenue, subscriptions
from control_plane.billing.payments import Payment
from control_plane.billing.setup import Setup
from control_plane.billing.tables import awaited_disputes, disputes, refunds
from control_plane.errors import NotFound
from control_plane.gateway.port import Dispute
from control_plane.ledger import journal
from control_plane.ledger.chart import Line, credit, debit
from control_plane.ledger.tables import LINE_MAX
from control_plane.money import Money
from control_plane.periods import day_of
from control_plane.running import audit, events, tasks
from control_plane.storage.prepared import Prepared

ACTOR = "system:billing"
# So long one waits for its payment to be known: a charge whose answer did not come is asked for within hours.
AWAITED_FOR = datetime.timedelta(days=30)
# Where a dispute can come to; what is told in another order is old news.
_RANKS = {"inquiry": 0, "open": 1, "won": 2, "lost": 2}


def told(connection: sa.Connection, now: datetime.datetime, setup: Setup, dispute: Dispute) -> None:
    """Take note of how it stands. Again, or late: nothing happens. Raises NotFound where the payment is not ours, or
    not known to be paid yet: then it is kept for `arrived`."""
    payment = payments.by_reference(connection, dispute.charge)
    if payment is None or payment.state != "succeeded":
        _wait(connection, now, dispute)
        if payment is not None and payment.state == "failed":
            _exceeds(connection, now, payment, dispute, payment.received)
        raise NotFound("payment_unknown", "this dispute is about no payment of ours")
    before = connection.execute(disputes.select().where(disputes.c.reference == dispute.reference)).one_or_none()
    if before is not None and _RANKS[dispute.state] <= _RANKS[before.state]:
        return
    moved = before is not None and before.state == "open"
    # What has moved comes back, or is lost, as it moved.
    amount = Money(before.amount, before.currency) if before and moved else _within(connection, payment, dispute)
    _save(connection, now, payment, dispute, amount, before)
    if amount.minor:
        if dispute.state in ("open", "lost") and not moved:
            _post(connection, now, dispute, "opened", _move(amount, out=True))
        if dispute.state == "won" and moved:
            _post(connection, now, dispute, "won", _move(amount, out=False))
        if dispute.state == "lost":
            _post(connection, now, dispute, "lost", _lost(connection, now, payment, amount))
    _access(connection, now, setup, payment, dispute)
    if dispute.state in ("open", "lost") and dispute.amount != amount:
        _exceeds(connection, now, payment, dispute, amount)
    tasks.raise_task(
        connection,
        now,
        kind=f"dispute_{dispute.state}",
        ref=dispute.reference,
        account=payment.account,
        payload={"payment": payment.key},
    )
    payload = {"payment": payment.key, "state": dispute.state}
    events.emit(connection, now, account=payment.account, kind="payment.disputed", payload=payload)


def arrived(connection: sa.Connection, now: datetime.datetime, setup: Setup, charge: str) -> None:
    """The gateway's name of a payment has become known: what was told of it before counts now."""
    waiting = _AWAITED.all(connection, {"of": charge})
    if waiting:
        connection.execute(awaited_disputes.delete().where(awaited_disputes.c.charge == charge))
    for row in sorted(waiting, key=lambda row: (row.at, row.reference)):
        told(connection, now, setup, Dispute(row.reference, charge, Money(row.amount, row.currency), row.state))


def of_account(connection: sa.Connection, account: str) -> list[sa.Row[Any]]:
    """All of an account, the newest first."""
    wanted = disputes.select().where(disputes.c.account == account).order_by(disputes.c.opened_at.desc())
    return list(connection.execute(wanted))


def _wait(connection: sa.Connection, now: datetime.datetime, dispute: Dispute) -> None:
    """As it was told last. One that nobody waits for any more, of another installation, goes."""
    rows = awaited_disputes
    connection.execute(rows.delete().where(rows.c.at < now - AWAITED_FOR))
    known = connection.execute(rows.select().where(rows.c.reference == dispute.reference)).one_or_none()
    if known is not None and _RANKS[dispute.state] <= _RANKS[known.state]:
        return
    connection.execute(rows.delete().where(rows.c.reference == dispute.reference))
    values: dict[str, Any] = {"reference": dispute.reference, "charge": dispute.charge, "state": dispute.state}
    # No payment is larger than a line of the ledger: what a column cannot hold is beyond its payment in any case.
    values |= {"currency": dispute.amount.currency, "amount": min(dispute.amount.minor, LINE_MAX), "at": now}
    connection.execute(rows.insert().values(values))


def _within(connection: sa.Connection, payment: Payment, dispute: Dispute) -> Money:
    """What of the sum that is disputed can be: what came in, less what went back and what others dispute."""
    told, left = dispute.amount, payment.received
    if told.currency != left.currency:
        return Money(0, left.currency)
    for table, states in ((refunds, ("processing", "arrived")), (disputes, ("open", "lost"))):
        taken = sa.select(sa.func.coalesce(sa.func.sum(table.c.amount), 0))
        minor = connection.scalar(taken.where(table.c.payment == payment.key, table.c.state.in_(states)))
        left -= Money(int(minor or 0), left.currency)
    return max(Money(0, left.currency), min(told, left))


def _exceeds(
    connection: sa.Connection, now: datetime.datetime, payment: Payment, dispute: Dispute, booked: Money
) -> None:
    """Have the staff look at what no payment can be disputed for; sums as text, for nothing is reckoned with them."""
    sums = {"payment": payment.key, "told": str(dispute.amount), "booked": str(booked)}
    ref, account = dispute.reference, payment.account
    tasks.raise_task(connection, now, kind="dispute_exceeds", ref=ref, account=account, payload=sums)


def _save(
    connection: sa.Connection,
    now: datetime.datetime,
    payment: Payment,
    dispute: Dispute,
    amount: Money,
    before: sa.Row[Any] | None,
) -> None:
    over = now if dispute.state in ("won", "lost") else None
    if before is None:
        values: dict[str, Any] = {"reference": dispute.reference, "payment": payment.key, "account": payment.account}
        values |= {"currency": amount.currency, "amount": amount.minor, "opened_at": now}
        connection.execute(disputes.insert().values(values | {"state": dispute.state, "ended_at": over}))
    else:
        changed = disputes.update().where(disputes.c.reference == dispute.reference)
        connection.execute(changed.values(state=dispute.state, amount=amount.minor, ended_at=over))
    ids = {"dispute": dispute.reference, "payment": payment.key, "state": dispute.state}
    audit.record(connection, now, actor=ACTOR, account=payment.account, code="payment_disputed", ids=ids)


def _access(
    connection: sa.Connection, now: datetime.datetime, setup: Setup, payment: Payment, dispute: Dispute
) -> None:
    """Out while it is open for the days that he is in; in again when it is won."""
    status = lifecycle.state(connection, payment.account)
    if dispute.state == "open" and status.status == "open" and _of_these_days(connection, now, payment):
        event: accounts.Event = accounts.Suspend("unpaid")
    elif dispute.state == "won" and status.status == "suspended" and status.reason == "unpaid":
        if _another(connection, now, payment, dispute):
            return
        event = accounts.Lift()
    else:
        return
    lifecycle.step(connection, now, setup.accounts, payment.account, event, actor=ACTOR)


def _another(connection: sa.Connection, now: datetime.datetime, payment: Payment, dispute: Dispute) -> bool:
    """Whether another dispute keeps him out: one of this payment that is open or lost, or an open one of these days."""
    rows = disputes.select().where(
        disputes.c.account == payment.account,
        disputes.c.reference != dispute.reference,
        disputes.c.state.in_(("open", "lost")),
    )
    return any(
        row.payment == payment.key
        or (row.state == "open" and _of_these_days(connection, now, payments.by_key(connection, row.payment)))
        for row in connection.execute(rows).all()
    )


def _of_these_days(connection: sa.Connection, now: datetime.datetime, payment: Payment) -> bool:
    paid = invoices.by_id(connection, payment.invoice)
    return subscriptions.state(connection, payment.account) == "active" and any(
        line.span is not None and day_of(now) in line.span for line in paid.draft.lines
    )


def _move(amount: Money, *, out: bool) -> tuple[Line, ...]:
    moved = amount if out else -amount
    return debit("dispute_pending", moved), credit("gateway_clearing", moved)


def _lost(connection: sa.Connection, now: datetime.datetime, payment: Payment, amount: Money) -> tuple[Line, ...]:
    """Its part of every line and of every tax; what rounding leaves is a loss."""
    paid = invoices.by_id(connection, payment.invoice)
    gross, rest = paid.draft.gross.minor, amount
    found: list[Line | None] = [credit("dispute_pending", amount)]
    for number, line in enumerate(paid.draft.lines):
        net = line.net.share(amount.minor, gross)
        if not net.minor:
            continue
        prepaid, taken = revenue.take_back(connection, now, paid.account, paid.id, number, net)
        found.append(postings.debit_or_none("deferred:subscription", prepaid, paid.account))
        found += [postings.debit_or_none(kind, part) for kind, part in taken]
        rest -= net
    for tax in paid.draft.taxes:
        part = tax.amount.share(amount.minor, gross)
        found.append(postings.debit_or_none("vat", part, tax.treatment.country))
        rest -= part
    found.append(postings.debit_or_none("dispute_losses", rest))
    return tuple(line for line in found if line is not None)


def _post(
    connection: sa.Connection, now: datetime.datetime, dispute: Dispute, what: str, lines: tuple[Line, ...]
) -> None:
    journal.post(
        connection,
        now,
        idem_key=f"dispute_{what}:{dispute.reference}",
        effective_at=now,
        reason=f"dispute_{what}",
        ref=dispute.reference,
        lines=lines,
    )


# Written once: nearly every charge that is paid asks for nothing.
_AWAITED = Prepared(awaited_disputes.select().where(awaited_disputes.c.charge == sa.bindparam("of")))
