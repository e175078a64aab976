"""What the fake gateway writes down, and how it is told in the port's words. Pure."""

from __future__ import annotations

import datetime
from typing import Literal

import msgspec

from control_plane.billing.freeze import CardMonth
from control_plane.gateway.port import (
    Card,
    CardAwaited,
    CardDeclined,
    CardSaved,
    DeclineCode,
    Declined,
    Dispute,
    DisputeState,
    NeedsAction,
    Outcome,
    Processing,
    Refunded,
    RefundFailed,
    RefundOutcome,
    RefundProcessing,
    SetupOutcome,
    Succeeded,
)
from control_plane.money import Money


class Payer(msgspec.Struct):
    id: str
    key: str


class SavedCard(msgspec.Struct):
    """The fake knows the number, as every gateway does; nobody else is told more than its end."""

    id: str
    payer: str
    number: str
    year: int
    month: int
    fingerprint: str
    forgotten: bool = False

    def card(self) -> Card:
        return Card(self.id, "fake", self.number[-4:], CardMonth(self.year, self.month), self.fingerprint)


class Setup(msgspec.Struct):
    id: str
    payer: str
    state: Literal["fields", "authentication", "saved", "declined"] = "fields"
    card: str = ""
    code: DeclineCode = "declined"

    def outcome(self, card: Card | None) -> SetupOutcome:
        """Raises ValueError where it was saved and `card` is not told."""
        if self.state == "saved":
            if card is None:
                raise ValueError("a saved card is missing")
            return CardSaved(self.id, card)
        return CardDeclined(self.id, self.code) if self.state == "declined" else CardAwaited(self.id)


class Charge(msgspec.Struct):
    id: str
    key: str
    payer: str
    card: str
    minor: int
    currency: str
    state: Literal["succeeded", "declined", "needs_action", "processing"] = "processing"
    code: DeclineCode = "declined"
    retryable: bool = False
    refunded: int = 0  # those that are on their way too

    def amount(self) -> Money:
        return Money(self.minor, self.currency)

    def outcome(self, page: str) -> Outcome:
        """`page`: where a customer authenticates; the reference stands in the place of {}."""
        match self.state:
            case "succeeded":
                return Succeeded(self.id, self.amount())
            case "declined":
                return Declined(self.id, self.code, self.retryable)
            case "needs_action":
                return NeedsAction(self.id, page.replace("{}", self.id))
            case "processing":
                return Processing(self.id)


class Refund(msgspec.Struct):
    id: str
    key: str
    charge: str
    minor: int
    currency: str
    state: Literal["done", "processing", "failed"] = "processing"

    def outcome(self) -> RefundOutcome:
        match self.state:
            case "done":
                return Refunded(self.id, Money(self.minor, self.currency))
            case "processing":
                return RefundProcessing(self.id)
            case "failed":
                return RefundFailed(self.id)


class Disputed(msgspec.Struct):
    id: str
    charge: str
    minor: int
    currency: str
    state: DisputeState = "open"

    def dispute(self) -> Dispute:
        return Dispute(self.id, self.charge, Money(self.minor, self.currency), self.state)


class Answered(msgspec.Struct):
    """What was asked under a key, as a digest, and what was answered the first time."""

    digest: str
    charge: Charge | None = None
    refund: Refund | None = None
    reference: str = ""


class Ordered(msgspec.Struct):
    """A charge that is still on its way to the gateway (`faults.Late`)."""

    key: str
    payer: str
    token: str
    minor: int
    currency: str
    present: bool


class Due(msgspec.Struct):
    """Something that happens by itself at an instant: a charge or refund settles, an order arrives."""

    id: str
    at: datetime.datetime
    what: Literal["charge", "refund", "order"]
    well: bool = True
    order: Ordered | None = None


class Movement(msgspec.Struct):
    """Money that came to the operator's balance at the gateway, or left it."""

    minor: int
    currency: str
    reason: Literal["charge", "refund", "refund_failed", "dispute", "dispute_won"]


class Notice(msgspec.Struct):
    """The body of an event: what was changed, as it stood then."""

    id: str
    at: datetime.datetime
    gateway: str
    kind: str
    charge: Charge | None = None
    refund: Refund | None = None
    dispute: Disputed | None = None
    setup: Setup | None = None
    card: Card | None = None  # without its number
    payer: str = ""


class Undelivered(msgspec.Struct):
    """An event that nobody has taken yet. The bytes stay the same, however often it is sent."""

    id: str
    body: str
