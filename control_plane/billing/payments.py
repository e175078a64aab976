"""Attempts to collect an invoice: one row each, put down before anything is sent, and what became of it.

    processing --answer or event--> succeeded | failed | needs_action --authenticated--> succeeded | failed
                                                              |
                                                              +--called off, after a day at the latest--> failed

A row that is put here is carried by control_plane.billing.collector. What follows from its end is decided by
control_plane.billing.settling; this module only knows the rows.
"""

from __future__ import annotations

import datetime
from dataclasses import dataclass
from typing import Any, Literal

import sqlalchemy as sa

from control_plane.billing import buyers
from control_plane.billing.buyers import Buyer
from control_plane.billing.invoices import Invoice
from control_plane.billing.tables import payments
from control_plane.errors import NotFound
from control_plane.gateway.port import attempt_key
from control_plane.money import Money
from control_plane.running import jobs, outbox
from control_plane.storage.prepared import Prepared

State = Literal["processing", "needs_action", "succeeded", "failed"]
# So long a customer may take for his bank's question. Longer: an order that hangs, and keeps him from another.
ACTION_LASTS = datetime.timedelta(days=1)


@dataclass(frozen=True)
class Payment:
    """A row; `received` is what came in, `code` why it failed (control_plane.gateway.port.DeclineCode)."""

    key: str
    invoice: str
    account: str
    state: State
    present: bool
    payer: str
    token: str
    amount: Money
    received: Money
    reference: str
    code: str
    link: str
    made_at: datetime.datetime

    @property
    def over(self) -> bool:
        return self.state in ("succeeded", "failed")


def collect(
    connection: sa.Connection,
    now: datetime.datetime,
    invoice: Invoice,
    *,
    present: bool,
    buyer: Buyer | None = None,
) -> Payment:
    """Have what is payable charged to the card on file, after the commit. `present`: the customer sits before the page
    and can be asked by his bank. Without a card, or with nothing left to charge, nobody is asked, and it ends likewise.
    `buyer`: who read him in this transaction already.

    It is the first attempt: one that failed voids its invoice, and another charge has an invoice of its own. The
    database refuses a second row.
    """
    buyer = buyer or buyers.of(connection, invoice.account)
    key = attempt_key(invoice.id, 1)
    payer, token = buyer.payer.payer if buyer.payer else "", buyer.card.token if buyer.card else ""
    values: dict[str, Any] = {"key": key, "invoice": invoice.id, "account": invoice.account, "attempt": 1}
    values |= {"state": "processing", "present": present, "payer": payer, "token": token}
    values |= {"currency": invoice.payable.currency, "amount": invoice.payable.minor, "received": 0}
    values |= {"reference": "", "code": "", "link": "", "made_at": now}
    _ADD.run(connection, values)
    _send(connection, now, "charge", key, invoice.account, awaited=present)
    nothing = Money(0, invoice.payable.currency)
    return Payment(
        key, invoice.id, invoice.account, "processing", present, payer, token, invoice.payable, nothing, "", "", "", now
    )


def call_off(connection: sa.Connection, now: datetime.datetime, payment: Payment) -> None:
    """Take back what waits for the customer. Only the gateway's answer ends it: he may have paid at this moment."""
    _send(connection, now, "call_off", payment.key, payment.account, awaited=payment.present)


def needs_action(
    connection: sa.Connection, now: datetime.datetime, payment: Payment, reference: str, link: str
) -> None:
    """His bank asks him: he has a day."""
    values = {"state": "needs_action", "reference": reference, "link": link}
    connection.execute(payments.update().where(payments.c.key == payment.key).values(values))
    jobs.put(
        connection,
        kind="billing.action_over",
        key=f"billing.action_over:{payment.key}",
        due_at=now + ACTION_LASTS,
        account=payment.account,
        payload={"payment": payment.key},
    )


def ended(
    connection: sa.Connection,
    now: datetime.datetime,
    payment: Payment,
    state: Literal["succeeded", "failed"],
    *,
    reference: str = "",
    received: Money | None = None,
    code: str = "",
) -> None:
    """Nothing more comes of it."""
    values: dict[str, Any] = {
        "of": payment.key,
        "state": state,
        "reference": reference or payment.reference,
        "code": code,
    }
    values |= {"received": received.minor if received is not None else 0, "ended_at": now, "link": ""}
    _END.run(connection, values)
    if payment.state == "needs_action":
        jobs.cancel(connection, f"billing.action_over:{payment.key}")


def by_key(connection: sa.Connection, key: str, account: str | None = None) -> Payment:
    """Raises NotFound, also for one of another account than `account`."""
    row = _BY_KEY.first(connection, {"of": key})
    if row is None or (account is not None and row.account != account):
        raise NotFound("payment_unknown", "there is no such payment")
    return _payment(row)


def by_reference(connection: sa.Connection, reference: str) -> Payment | None:
    """By the gateway's name for it."""
    row = connection.execute(payments.select().where(payments.c.reference == reference)).one_or_none()
    return None if row is None or not reference else _payment(row)


def of_invoice(connection: sa.Connection, invoice: str) -> list[Payment]:
    """All attempts, the first one first."""
    rows = connection.execute(payments.select().where(payments.c.invoice == invoice).order_by(payments.c.attempt))
    return [_payment(row) for row in rows]


def running(connection: sa.Connection, account: str) -> Payment | None:
    """The one that is on its way, or waits for the customer; the newest where there are more."""
    wanted = payments.select().where(
        payments.c.account == account, payments.c.state.in_(("processing", "needs_action"))
    )
    row = connection.execute(wanted.order_by(payments.c.made_at.desc(), payments.c.key.desc()).limit(1)).one_or_none()
    return None if row is None else _payment(row)


def newest(connection: sa.Connection, account: str) -> Payment | None:
    """The last attempt that was made, however it ended."""
    wanted = payments.select().where(payments.c.account == account)
    row = connection.execute(wanted.order_by(payments.c.made_at.desc(), payments.c.key.desc()).limit(1)).one_or_none()
    return None if row is None else _payment(row)


def _send(
    connection: sa.Connection, now: datetime.datetime, what: str, key: str, account: str, *, awaited: bool
) -> None:
    outbox.put(
        connection,
        now,
        kind="gateway",
        key=f"{what}:{key}",
        account=account,
        payload={"what": what, "payment": key},
        awaited=awaited,
    )


_MINE = payments.c.key == sa.bindparam("of")
_BY_KEY = Prepared(payments.select().where(_MINE))
_ADD, _END = Prepared(payments.insert()), Prepared(payments.update().where(_MINE))


def _payment(row: sa.Row[Any]) -> Payment:
    return Payment(
        row.key,
        row.invoice,
        row.account,
        row.state,
        row.present,
        row.payer,
        row.token,
        Money(row.amount, row.currency),
        Money(row.received, row.currency),
        row.reference,
        row.code,
        row.link,
        row.made_at,
    )
