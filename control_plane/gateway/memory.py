"""A payment gateway for tests and for `--dev`, faithful where it can hurt: keys, time-outs, authentication, delays,
disputes, refunds, signed events. Its inside is control_plane.gateway.fake; docs/gateway.md lists its cards and faults.
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path

import msgspec

from control_plane.clock import Clock, aware
from control_plane.gateway.errors import (
    EventForeign,
    EventUnreadable,
    GatewayError,
    KeyReused,
    OutcomeUnknown,
    Refused,
    TryLater,
)
from control_plane.gateway.fake.books import Books
from control_plane.gateway.fake.faults import AnswerLost, Busy, Fault, Late, Lost, Operation, Plan, Script
from control_plane.gateway.fake.outside import HEADER, Outside
from control_plane.gateway.fake.records import (
    Answered,
    Charge,
    Disputed,
    Due,
    Notice,
    Ordered,
    Payer,
    Refund,
    Setup,
)
from control_plane.gateway.fake.shelf import Drawer, Shelf
from control_plane.gateway.port import (
    CardTold,
    ChargeOrder,
    ChargeTold,
    Dispute,
    DisputeTold,
    GatewayEvent,
    HostedFields,
    NotOurs,
    Outcome,
    RefundOrder,
    RefundOutcome,
    RefundTold,
    SetupOutcome,
    SetupTold,
    Told,
    Unseen,
    check_amount,
    check_key,
)
from control_plane.gateway.signed import check


class MemoryGateway:
    """Implements control_plane.gateway.port.Gateway.

    `secret` signs events, `directory` keeps the state beyond the process, `page` is where a customer authenticates
    ({} stands for the reference), `name` is the gateway's own in its events. `outside` is everybody else.
    """

    # It answers at once, in this process; and by a test clock all happens in one order.
    at_once = 1

    def __init__(
        self,
        clock: Clock,
        secret: str,
        *,
        directory: Path | None = None,
        plan: Plan | None = None,
        page: str = "/gateway/confirm/{}",
        name: str = "fake",
    ) -> None:
        self._clock, self._secret, self._page, self._name = clock, secret, page, name
        self._plan: Plan = plan or Script()
        self._shelf = Shelf(directory)
        self.outside = Outside(self._books, clock, self._plan, secret)

    def close(self) -> None:
        self._shelf.close()

    # Cards

    def open_payer(self, key: str) -> str:
        with self._asked("open_payer", check_key(key)), self._books() as books:
            (payer, *_) = books.drawer.of(Payer, key) or [Payer(books.new_id("payer"), key)]
            books.drawer.put(payer.id, payer, parent=key)
        return payer.id

    def begin_card(self, payer: str, key: str) -> str:
        check_key(key)
        with self._asked("begin_card", key), self._books() as books:
            books.payer(payer)
            earlier = _answered(books.drawer, "begin_card", key, payer)
            if earlier is None:
                setup = Setup(books.new_id("setup"), payer)
                books.drawer.put(setup.id, setup, parent=payer)
                earlier = Answered(_digest(payer), reference=setup.id)
                books.drawer.put(f"begin_card:{key}", earlier)
        return earlier.reference

    def hosted_fields(self, reference: str) -> HostedFields:
        with self._books() as books:
            if books.drawer.get(Charge, reference) is None:
                books.setup(reference)
        mac = hmac.new(self._secret.encode(), f"fields {reference}".encode(), hashlib.sha256)
        return HostedFields("/gateway/fields.js", f"pk_{self._name}", f"{reference}_secret_{mac.hexdigest()[:24]}")

    def card_of(self, setup: str) -> SetupOutcome:
        with self._books() as books:
            one = books.setup(setup)
            return one.outcome(books.card(one.card).card() if one.state == "saved" else None)

    def forget_card(self, token: str) -> None:
        with self._books() as books:
            card = books.card(token)
            card.forgotten = True
            books.drawer.put(card.id, card, parent=card.payer)

    # Charges

    def charge(self, order: ChargeOrder) -> Outcome:
        check_key(order.key)
        check_amount(order.amount)
        digest = _digest(order.payer, order.token, order.amount, order.present)
        with self._asked("charge", order.key) as fault, self._books() as books:
            earlier = _answered(books.drawer, "charge", order.key, digest)
            if earlier is not None and earlier.charge is not None:
                return earlier.charge.outcome(self._page)
            charge = self._order(books, order, digest, fault)
        return charge.outcome(self._page)

    def _order(self, books: Books, order: ChargeOrder, digest: str, fault: Fault | None) -> Charge:
        if isinstance(fault, Late):
            amount = order.amount
            sent = Ordered(order.key, order.payer, order.token, amount.minor, amount.currency, order.present)
            books.drawer.put(
                f"order {order.key}", Due(f"order {order.key}", books.now + fault.after, "order", order=sent)
            )
            return Charge("", order.key, order.payer, order.token, amount.minor, amount.currency)  # nobody is told
        charge = books.order(order, fault)
        books.drawer.put(f"charge:{order.key}", Answered(_digest(digest), charge=charge))
        return charge

    def ask(self, key: str, payer: str) -> Outcome | Unseen:
        with self._asked("ask", key), self._books() as books:
            found = [charge for charge in books.drawer.of(Charge, payer) if charge.key == key]
        return found[0].outcome(self._page) if found else Unseen(key)

    def call_off(self, reference: str) -> Outcome:
        with self._asked("call_off", reference), self._books() as books:
            charge = books.charge(reference)
            books.call_off(charge)
        return charge.outcome(self._page)

    # Refunds and disputes

    def refund(self, order: RefundOrder) -> RefundOutcome:
        check_key(order.key)
        check_amount(order.amount)
        digest = _digest(order.charge, order.amount)
        with self._asked("refund", order.key) as fault, self._books() as books:
            earlier = _answered(books.drawer, "refund", order.key, digest)
            if earlier is not None and earlier.refund is not None:
                return earlier.refund.outcome()
            refund = books.refund(books.charge(order.charge), order.key, order.amount, fault)
            books.drawer.put(f"refund:{order.key}", Answered(_digest(digest), refund=refund))
        return refund.outcome()

    def ask_refund(self, key: str, charge: str) -> RefundOutcome | Unseen:
        with self._asked("ask_refund", key), self._books() as books:
            books.charge(charge)
            found = [refund for refund in books.drawer.of(Refund, charge) if refund.key == key]
        return found[0].outcome() if found else Unseen(key)

    def disputes(self, charge: str) -> tuple[Dispute, ...]:
        with self._asked("disputes", charge), self._books() as books:
            books.charge(charge)
            return tuple(one.dispute() for one in books.drawer.of(Disputed, charge))

    # Events

    def read_event(self, body: bytes, headers: Mapping[str, str], now: datetime) -> GatewayEvent:
        found = {name.lower(): value for name, value in headers.items()}
        check([self._secret], found.get(HEADER.lower()), body, now)
        try:
            notice = msgspec.json.decode(body, type=Notice)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            raise EventUnreadable("not an event of this gateway") from None
        if notice.gateway != self._name:
            raise EventForeign("an event of another gateway")
        try:
            return GatewayEvent(notice.id, aware(notice.at), self._told(notice))
        except (ValueError, OverflowError):
            raise EventUnreadable("an event with impossible values") from None

    def _told(self, notice: Notice) -> Told:
        if notice.charge is not None:
            one = notice.charge
            return ChargeTold(one.key, one.payer, one.outcome(self._page))
        if notice.refund is not None:
            return RefundTold(notice.refund.key, notice.refund.charge, notice.refund.outcome())
        if notice.dispute is not None:
            return DisputeTold(notice.dispute.dispute())
        if notice.setup is not None:
            return SetupTold(notice.setup.payer, notice.setup.outcome(notice.card))
        if notice.card is not None:
            return CardTold(notice.payer, notice.card)
        return NotOurs(notice.kind)

    # One request

    @contextlib.contextmanager
    def _books(self) -> Iterator[Books]:
        """The books, with all that was due by now entered first, the oldest first."""
        with self._shelf.open() as drawer:
            now = self._clock.now()
            # One at a time: an order that arrived late is charged, and its charge may have been due by now as well.
            while overdue := [due for due in drawer.of(Due) if due.at <= now]:
                due = min(overdue, key=lambda due: due.at)
                _settle(Books(drawer, due.at, self._name), due)
            yield Books(drawer, now, self._name)

    @contextlib.contextmanager
    def _asked(self, operation: Operation, key: str) -> Iterator[Fault | None]:
        """What the plan says to this request; a lost answer is lost after the work is done and kept."""
        with self._shelf.open() as drawer:
            fault = self._plan.fault(operation, key, drawer.count(f"seen {operation} {key}"))
        if isinstance(fault, Busy):
            raise TryLater(fault.retry_after_s)
        if isinstance(fault, Lost):
            raise OutcomeUnknown(key, "no answer within the time")
        lost = isinstance(fault, AnswerLost | Late)
        try:
            yield fault
        except GatewayError:
            if not lost:
                raise
        if lost:
            raise OutcomeUnknown(key, "no answer within the time")


def _settle(books: Books, due: Due) -> None:
    if due.what != "order":
        books.settle(due)
        return
    books.drawer.remove(Due, due.id)
    order = due.order
    assert order is not None
    # It may have been sent again in the meantime; then this one is the repetition.
    if books.drawer.get(Answered, f"charge:{order.key}") is not None:
        return
    # Nobody waits for the answer to an order that cannot be carried out.
    with contextlib.suppress(Refused):
        charge = books.order(order)
        digest = _digest(order.payer, order.token, charge.amount(), order.present)
        books.drawer.put(f"charge:{order.key}", Answered(_digest(digest), charge=charge))


def _answered(drawer: Drawer, operation: str, key: str, content: str) -> Answered | None:
    """What was answered under this key. Raises KeyReused where it was asked for something else."""
    earlier = drawer.get(Answered, f"{operation}:{key}")
    if earlier is not None and earlier.digest != _digest(content):
        raise KeyReused(key)
    return earlier


def _digest(*content: object) -> str:
    return hashlib.sha256(repr(content).encode()).hexdigest()
