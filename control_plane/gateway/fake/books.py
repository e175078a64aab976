"""The books of the fake gateway: what a charge, refund or dispute does to them, and which events that causes.

All within one transaction of the shelf. Nothing here decides faults or reads a clock.
"""

from __future__ import annotations

import datetime
from typing import Any

import msgspec

from control_plane.clock import aware
from control_plane.gateway.errors import Refused
from control_plane.gateway.fake.cards import RETRYABLE, Behaviour, behaviour_of
from control_plane.gateway.fake.faults import Authenticate, Decline, Fault, Slow
from control_plane.gateway.fake.records import (
    Charge,
    Disputed,
    Due,
    Movement,
    Notice,
    Ordered,
    Payer,
    Refund,
    SavedCard,
    Setup,
    Undelivered,
)
from control_plane.gateway.fake.shelf import Drawer, Record
from control_plane.gateway.port import ChargeOrder, DeclineCode
from control_plane.money import Money
from control_plane.periods import day_of

# How long a card takes that settles later, and a refund.
SETTLES_AFTER = datetime.timedelta(days=1)


class Books:
    """One transaction's view; `now` is its instant, `gateway` the name of this gateway in events."""

    def __init__(self, drawer: Drawer, now: datetime.datetime, gateway: str) -> None:
        self.drawer, self.now, self._gateway = drawer, aware(now), gateway

    # Looking

    def payer(self, id: str) -> Payer:
        return _there(self.drawer.get(Payer, id), "no_such_payer")

    def setup(self, id: str) -> Setup:
        return _there(self.drawer.get(Setup, id), "no_such_setup")

    def card(self, id: str) -> SavedCard:
        return _there(self.drawer.get(SavedCard, id), "no_such_card")

    def charge(self, id: str) -> Charge:
        return _there(self.drawer.get(Charge, id), "no_such_charge")

    def new_id(self, prefix: str) -> str:
        return f"{prefix}_{self.drawer.count(prefix):06}"

    # Charges

    def order(self, order: Ordered | ChargeOrder, fault: Fault | None = None) -> Charge:
        """A new charge, as far as it goes at once. Raises Refused."""
        self.payer(order.payer)
        card = self.card(order.token)
        if card.payer != order.payer or card.forgotten:
            raise Refused("no_such_card", "this payer has no such card")
        amount = order.amount if isinstance(order, ChargeOrder) else Money(order.minor, order.currency)
        charge = Charge(self.new_id("ch"), order.key, order.payer, card.id, amount.minor, amount.currency)
        behaviour = behaviour_of(card.number)
        if isinstance(fault, Decline):
            self._decline(charge, fault.code, fault.retryable)
        elif card.card().expires.last < day_of(self.now):
            self._decline(charge, "expired_card")
        elif isinstance(fault, Authenticate) or behaviour.authenticates == "always":
            charge.state = "needs_action"
            self.changed_charge(charge)
        else:
            self.collect(charge, behaviour, fault)
        return charge

    def collect(self, charge: Charge, behaviour: Behaviour, fault: Fault | None = None) -> None:
        """The issuer is asked: authentication, where it was needed, is over."""
        if behaviour.charging is not None:
            self._decline(charge, behaviour.charging)
        elif isinstance(fault, Slow):
            self._later("charge", charge.id, fault.after, fault.well)
            self._process(charge)
        elif behaviour.settles != "at once":
            self._later("charge", charge.id, SETTLES_AFTER, behaviour.settles == "later")
            self._process(charge)
        else:
            self._succeed(charge)

    def call_off(self, charge: Charge) -> None:
        """Raises Refused for one that is on its way to the issuer."""
        if charge.state == "processing":
            raise Refused("refused", "it is on its way already")
        if charge.state == "needs_action":
            self._decline(charge, "called_off")

    def _process(self, charge: Charge) -> None:
        charge.state = "processing"
        self.changed_charge(charge)

    def _succeed(self, charge: Charge) -> None:
        charge.state = "succeeded"
        self.move(charge.minor, charge.currency, "charge")
        self.changed_charge(charge)
        if behaviour_of(self.card(charge.card).number).disputed:
            self.open_dispute(charge, charge.amount())

    def _decline(self, charge: Charge, code: DeclineCode, retryable: bool | None = None) -> None:
        charge.state, charge.code = "declined", code
        charge.retryable = RETRYABLE[code] if retryable is None else retryable
        self.changed_charge(charge)

    def fail_authentication(self, charge: Charge) -> None:
        self._decline(charge, "authentication_failed")

    def changed_charge(self, charge: Charge) -> None:
        self.drawer.put(charge.id, charge, parent=charge.payer)
        self.tell(f"charge.{charge.state}", charge=charge)

    # Refunds and disputes

    def left(self, charge: Charge) -> int:
        """How much of a charge is neither given back nor disputed."""
        return charge.minor - charge.refunded - sum(dispute.minor for dispute in self._taken(charge))

    def _taken(self, charge: Charge) -> list[Disputed]:
        return [dispute for dispute in self.drawer.of(Disputed, charge.id) if dispute.state in ("open", "lost")]

    def refund(self, charge: Charge, key: str, amount: Money, fault: Fault | None = None) -> Refund:
        """Raises Refused, also where two currencies meet."""
        if charge.state != "succeeded":
            raise Refused("not_paid", "what was not paid cannot be given back")
        if amount.currency != charge.currency:
            raise Refused("currency_unsupported", f"the charge was in {charge.currency}")
        if self._taken(charge):
            raise Refused("disputed", "the issuer takes this charge back itself")
        if amount.minor > self.left(charge):
            raise Refused("over_refunded", "more than is left of the charge")
        refund = Refund(self.new_id("re"), key, charge.id, amount.minor, amount.currency)
        charge.refunded += amount.minor
        self.drawer.put(charge.id, charge, parent=charge.payer)
        self.move(-amount.minor, amount.currency, "refund")
        how = behaviour_of(self.card(charge.card).number).refunds
        if isinstance(fault, Slow):
            self._later("refund", refund.id, fault.after, fault.well)
        elif how != "at once":
            self._later("refund", refund.id, SETTLES_AFTER, how == "later")
        else:
            refund.state = "done"
        self._changed_refund(refund)
        return refund

    def _changed_refund(self, refund: Refund) -> None:
        self.drawer.put(refund.id, refund, parent=refund.charge)
        self.tell(f"refund.{refund.state}", refund=refund)

    def open_dispute(self, charge: Charge, amount: Money) -> Disputed:
        """Raises Refused where less is left of the charge: refund and dispute together never exceed it."""
        if charge.state != "succeeded":
            raise Refused("not_paid", "what was not paid is not disputed")
        if amount.currency != charge.currency or not 0 < amount.minor <= self.left(charge):
            raise Refused("over_refunded", "more than is left of the charge")
        disputed = Disputed(self.new_id("dp"), charge.id, amount.minor, amount.currency)
        self.move(-amount.minor, amount.currency, "dispute")
        self._changed_dispute(disputed)
        return disputed

    def close_dispute(self, id: str, won: bool) -> Disputed:
        """Raises Refused for one that is closed."""
        disputed = _there(self.drawer.get(Disputed, id), "no_such_charge")
        if disputed.state != "open":
            raise Refused("refused", f"this dispute is {disputed.state}")
        disputed.state = "won" if won else "lost"
        if won:
            self.move(disputed.minor, disputed.currency, "dispute_won")
        self._changed_dispute(disputed)
        return disputed

    def _changed_dispute(self, disputed: Disputed) -> None:
        self.drawer.put(disputed.id, disputed, parent=disputed.charge)
        self.tell(f"dispute.{disputed.state}", dispute=disputed)

    # What happens by itself

    def _later(self, what: str, id: str, after: datetime.timedelta, well: bool) -> None:
        due = Due(id, self.now + after, "charge" if what == "charge" else "refund", well)
        self.drawer.put(id, due)

    def settle(self, due: Due) -> None:
        """A charge or refund that was on its way has arrived."""
        self.drawer.remove(Due, due.id)
        if due.what == "charge":
            charge = self.charge(due.id)
            if due.well:
                self._succeed(charge)
            else:
                self._decline(charge, "declined")
        else:
            refund = _there(self.drawer.get(Refund, due.id), "no_such_charge")
            refund.state = "done" if due.well else "failed"
            if not due.well:
                charge = self.charge(refund.charge)
                charge.refunded -= refund.minor
                self.drawer.put(charge.id, charge, parent=charge.payer)
                self.move(refund.minor, refund.currency, "refund_failed")
            self._changed_refund(refund)

    def move(self, minor: int, currency: str, reason: str) -> None:
        movement = msgspec.convert({"minor": minor, "currency": currency, "reason": reason}, Movement)
        self.drawer.put(self.new_id("mv"), movement)

    def tell(self, kind: str, **about: Any) -> None:
        """An event, to be delivered; `about` are fields of Notice."""
        id = self.new_id("ev")
        notice = Notice(id, self.now, self._gateway, kind, **about)
        self.drawer.put(id, Undelivered(id, msgspec.json.encode(notice).decode()))


def _there(record: Record | None, code: str) -> Record:
    if record is None:
        raise Refused(code, f"there is {code.replace('_', ' ')}")
    return record
