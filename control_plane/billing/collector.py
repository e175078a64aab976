"""[I/O] Carries orders to the payment gateway, after the commit that put them down; as many at one time as it takes.

The rule of unknown outcomes: an order whose answer did not come is asked for by its key, and sent again, under the same
key, only when the gateway has never seen it (control_plane.gateway.port). What is still on its way is asked for again
later; an event usually brings it sooner.
"""

from __future__ import annotations

import contextlib
import datetime
from collections.abc import Callable
from typing import Any, ClassVar

import sqlalchemy as sa

from control_plane.billing import payments, refunds, settling
from control_plane.billing.payments import Payment
from control_plane.billing.setup import Setup
from control_plane.billing.tables import refunds as refund_rows
from control_plane.gateway.errors import Refused
from control_plane.gateway.port import (
    ChargeOrder,
    Declined,
    Gateway,
    NeedsAction,
    Outcome,
    Processing,
    Refunded,
    RefundFailed,
    RefundOrder,
    RefundOutcome,
    RefundProcessing,
    Succeeded,
    Unseen,
)
from control_plane.money import Money
from control_plane.running import outbox
from control_plane.storage.store import Store

# A gateway may take half a minute to say no.
LEASE_S = 60


class StillOnItsWay(Exception):
    """Neither paid nor declined yet: ask again later."""


class Collector:
    """`deliverer` is the outbox's for rows of kind "gateway"."""

    def __init__(self, store: Store, setup: Setup, gateway: Gateway) -> None:
        self._store, self._setup, self._gateway = store, setup, gateway

    def deliverer(self) -> outbox.Deliverer:
        at_once = self._gateway.at_once
        return outbox.Deliverer(self.carry, lease_s=LEASE_S, arrived=self.arrived, idempotent=True, at_once=at_once)

    def carry(self, letter: outbox.Letter) -> Any:
        """The gateway's answer. Raises StillOnItsWay, and what the gateway raises, to have it tried again."""
        return self._CARRY[letter.payload["what"]](self, letter)

    def arrived(self, connection: sa.Connection, now: datetime.datetime, letter: outbox.Letter, answer: Any) -> None:
        """In the transaction that marks the row as sent."""
        if isinstance(answer, Succeeded | Declined | NeedsAction):
            settling.told(connection, now, self._setup, letter.payload["payment"], answer)
        elif isinstance(answer, Refunded | RefundFailed):
            key = letter.payload["refund"]
            refunds.ended(connection, now, key, answer.reference, arrived=isinstance(answer, Refunded))

    def _charge(self, letter: outbox.Letter) -> Outcome | None:
        payment = self._payment(letter)
        if payment.state != "processing":
            return None
        if not payment.amount.minor:
            return Succeeded("", payment.amount)
        if not payment.token:
            return Declined("", "card_unusable", retryable=False)
        order = ChargeOrder(payment.key, payment.payer, payment.token, payment.amount, payment.present)
        try:
            known = self._gateway.ask(payment.key, payment.payer) if letter.attempts > 1 else Unseen(payment.key)
            outcome = self._gateway.charge(order) if isinstance(known, Unseen) else known
        except Refused:
            return Declined("", "card_unusable", retryable=False)
        if isinstance(outcome, Processing):
            raise StillOnItsWay("the gateway has not settled it yet")
        return outcome

    def _call_off(self, letter: outbox.Letter) -> Outcome | None:
        payment = self._payment(letter)
        if payment.state != "needs_action":
            return None
        outcome = self._gateway.call_off(payment.reference)
        if isinstance(outcome, Processing):
            raise StillOnItsWay("it was paid at the last moment and is being settled")
        return outcome

    def _refund(self, letter: outbox.Letter) -> RefundOutcome | None:
        def read(connection: sa.Connection) -> sa.Row[Any]:
            return connection.execute(refund_rows.select().where(refund_rows.c.key == letter.payload["refund"])).one()

        row = self._store.read(read)
        if row.state != "processing":
            return None
        charge = self._store.read(lambda connection: payments.by_key(connection, row.payment)).reference
        known = self._gateway.ask_refund(row.key, charge) if letter.attempts > 1 else Unseen(row.key)
        outcome = known
        if isinstance(known, Unseen):
            outcome = self._gateway.refund(RefundOrder(row.key, charge, Money(row.amount, row.currency)))
        if isinstance(outcome, RefundProcessing):
            raise StillOnItsWay("the refund has not arrived yet")
        assert not isinstance(outcome, Unseen)
        return outcome

    def _forget(self, letter: outbox.Letter) -> None:
        with contextlib.suppress(Refused):  # it has no such card: nothing is left to forget
            self._gateway.forget_card(letter.payload["token"])

    def _payment(self, letter: outbox.Letter) -> Payment:
        return self._store.read(lambda connection: payments.by_key(connection, letter.payload["payment"]))

    _CARRY: ClassVar[dict[str, Callable[[Collector, outbox.Letter], Any]]] = {
        "charge": _charge,
        "call_off": _call_off,
        "refund": _refund,
        "forget": _forget,
    }
