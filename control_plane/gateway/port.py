"""What billing asks of a payment gateway, in our words (issue "Gateway port"). Pure: types, no gateway.

    charge, refund   move money; each under a key of ours, by which it happens once
    ask, ask_refund  what became of a key
    set-up of a card by hosted fields: the number goes from the customer to the gateway and never through us
    read_event       what the gateway says by itself, once its signature holds

The rule of unknown outcomes: after `OutcomeUnknown`, ask by the key. `Unseen` means that the gateway has nothing under
it; then the same order may be sent again **with the same key**, never with a new one: the first may still arrive.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, Protocol

from control_plane.billing.freeze import CardMonth
from control_plane.gateway.errors import EventForeign, Refused
from control_plane.money import Money

# Gateways keep keys of up to 255 characters; our adapters put a word before them.
KEY_CHARACTERS_MAX = 200
# What a gateway posts to us is a few kilobytes.
EVENT_BYTES_MAX = 1 << 20
# How old the signature of an event may be, and how far its clock may be ahead of ours.
EVENT_TOLERANCE_S = 300

_KEY = re.compile(r"[A-Za-z0-9_.:-]+")

DeclineCode = Literal[
    "declined",  # the issuer gave no reason, or one that is not for the customer
    "insufficient_funds",
    "expired_card",
    "card_unusable",  # wrong number or code, lost, closed, not of this kind: never again
    "authentication_failed",
    "try_again",  # issuer or network out of order
    "called_off",  # we took it back before it was settled
]


# Cards


@dataclass(frozen=True, slots=True)
class Card:
    """A saved card. `token` is what is charged; `fingerprint` is the same for the same card, whoever gave it."""

    token: str
    brand: str
    last4: str
    expires: CardMonth
    fingerprint: str


@dataclass(frozen=True, slots=True)
class Sources:
    """What of elsewhere a page with the gateway's fields needs, as its Content-Security-Policy writes it: scripts,
    frames, and where the script connects to."""

    scripts: tuple[str, ...] = ()
    frames: tuple[str, ...] = ()
    connections: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class HostedFields:
    """What our page needs to show the gateway's fields; `secret` is for this one customer's browser. `card`: the token
    that a charge has to be confirmed with once more, "" where its bank waits already."""

    script: str
    public_key: str
    secret: str = field(repr=False)
    sources: Sources = Sources()
    card: str = ""


@dataclass(frozen=True, slots=True)
class CardSaved:
    """The customer gave a card, authenticated where it was asked, and it may be charged without him."""

    reference: str
    card: Card


@dataclass(frozen=True, slots=True)
class CardAwaited:
    """The customer has not finished at the hosted fields."""

    reference: str


@dataclass(frozen=True, slots=True)
class CardDeclined:
    """This card cannot be saved; the customer may begin again with another."""

    reference: str
    code: DeclineCode


SetupOutcome = CardSaved | CardAwaited | CardDeclined


# Charges


@dataclass(frozen=True, slots=True)
class ChargeOrder:
    """Take `amount` from the card of this payer. `present`: the customer sits before the page and can authenticate."""

    key: str
    payer: str
    token: str
    amount: Money
    present: bool


@dataclass(frozen=True, slots=True)
class Succeeded:
    """The money is ours. `amount` is what came in."""

    reference: str
    amount: Money


@dataclass(frozen=True, slots=True)
class Declined:
    """No money moved, and none will under this key. `retryable`: the same card may be tried again on a later day."""

    reference: str
    code: DeclineCode
    retryable: bool


@dataclass(frozen=True, slots=True)
class NeedsAction:
    """No money moved yet: the customer has to authenticate at `link`. Until then it can be called off."""

    reference: str
    link: str


@dataclass(frozen=True, slots=True)
class Processing:
    """On its way; an event will tell, and `ask` knows. Nothing is to be sent again."""

    reference: str


Outcome = Succeeded | Declined | NeedsAction | Processing


@dataclass(frozen=True, slots=True)
class Unseen:
    """The gateway has nothing under this key; the same order may be sent again, with the same key."""

    key: str


# Refunds and disputes


@dataclass(frozen=True, slots=True)
class RefundOrder:
    """Give `amount` of a charge back; `charge` is the reference of a `Succeeded`."""

    key: str
    charge: str
    amount: Money


@dataclass(frozen=True, slots=True)
class Refunded:
    reference: str
    amount: Money


@dataclass(frozen=True, slots=True)
class RefundProcessing:
    """It has left us and has not arrived yet."""

    reference: str


@dataclass(frozen=True, slots=True)
class RefundFailed:
    """The issuer did not take it; the money is with us again. It has to be given back in another way."""

    reference: str


RefundOutcome = Refunded | RefundProcessing | RefundFailed

# inquiry: the issuer asks, no money moved. open, lost: the amount was taken from us. won: it came back.
DisputeState = Literal["inquiry", "open", "won", "lost"]


@dataclass(frozen=True, slots=True)
class Dispute:
    """A customer's issuer takes (part of) a charge back. Refunds and disputes never exceed the charge together."""

    reference: str
    charge: str
    amount: Money
    state: DisputeState


# Events


@dataclass(frozen=True, slots=True)
class ChargeTold:
    key: str
    payer: str
    outcome: Outcome

    def belongs(self, key: str, payer: str) -> None:
        """Raises EventForeign unless it is about this attempt of this payer. Call it before applying it."""
        if (self.key, self.payer) != (key, payer):
            raise EventForeign("an event about another payment")


@dataclass(frozen=True, slots=True)
class RefundTold:
    key: str
    charge: str
    outcome: RefundOutcome


@dataclass(frozen=True, slots=True)
class DisputeTold:
    dispute: Dispute


@dataclass(frozen=True, slots=True)
class SetupTold:
    payer: str
    outcome: SetupOutcome


@dataclass(frozen=True, slots=True)
class CardTold:
    """The issuer replaced a saved card's date or number; the token stays."""

    payer: str
    card: Card


@dataclass(frozen=True, slots=True)
class NotOurs:
    """Nothing that we act on: another kind of event, or a payment that was not made through this port. Answer 200."""

    kind: str


Told = ChargeTold | RefundTold | DisputeTold | SetupTold | CardTold | NotOurs


@dataclass(frozen=True, slots=True)
class GatewayEvent:
    """Keep `id` in the transaction that applies it: the same event comes more than once, and not in order. What is
    older (`at`, which may be whole seconds) than the last one applied to the same object is ignored; at the same
    instant, `ask` decides."""

    id: str
    at: datetime.datetime
    told: Told


class Gateway(Protocol):
    """A payment gateway. Requests may raise OutcomeUnknown, TryLater, Misconfigured; what else, is said beside them.

    `at_once`: so many requests at one time are good for it; they come from threads."""

    @property
    def at_once(self) -> int: ...

    def open_payer(self, key: str) -> str:
        """Our customer, as the gateway's; the same for the same key. It is told nothing about the person."""
        ...

    def begin_card(self, payer: str, key: str) -> str:
        """Begin to save a card that may later be charged without the customer; its reference. Raises Refused."""
        ...

    def hosted_fields(self, reference: str) -> HostedFields:
        """For the page on which a card is entered (a set-up) or a charge is authenticated. Raises Refused."""
        ...

    def card_of(self, setup: str) -> SetupOutcome:
        """What became of a set-up. Raises Refused."""
        ...

    def forget_card(self, token: str) -> None:
        """It can be charged no more; once more does nothing. Raises Refused."""
        ...

    def charge(self, order: ChargeOrder) -> Outcome:
        """Once for each key: sent again, it gives the first answer (see `ask` for the present one).

        Raises Refused, KeyReused.
        """
        ...

    def ask(self, key: str, payer: str) -> Outcome | Unseen:
        """What became of the charge with this key. Moves nothing."""
        ...

    def call_off(self, reference: str) -> Outcome:
        """Take back a charge that waits for the customer. Where it was settled meanwhile, that is the answer.

        Raises Refused.
        """
        ...

    def refund(self, order: RefundOrder) -> RefundOutcome:
        """Once for each key, never more than is left of the charge, never while it is disputed or lost.

        Raises Refused, KeyReused.
        """
        ...

    def ask_refund(self, key: str, charge: str) -> RefundOutcome | Unseen:
        """What became of the refund with this key. Raises Refused."""
        ...

    def disputes(self, charge: str) -> tuple[Dispute, ...]:
        """All of a charge, the oldest first. Raises Refused."""
        ...

    def read_event(self, body: bytes, headers: Mapping[str, str], now: datetime.datetime) -> GatewayEvent:
        """`body` as it came, before any parsing. Raises EventRejected's four kinds, and nothing else."""
        ...


def attempt_key(invoice: str, attempt: int) -> str:
    """The key of a charge: one for each attempt to collect an invoice (model 3.3). Raises Refused."""
    if type(attempt) is not int or attempt < 1:
        raise Refused("key_malformed", "attempts count from 1")
    return check_key(f"{invoice}:{attempt}")


def check_key(key: str) -> str:
    """Raises Refused for a key that a gateway would not take or that says more than a number of ours."""
    if len(key) > KEY_CHARACTERS_MAX or not _KEY.fullmatch(key):
        raise Refused("key_malformed", f"a key has at most {KEY_CHARACTERS_MAX} letters, digits and _ . : -")
    return key


def check_amount(amount: Money) -> Money:
    """Raises Refused for what nobody can be charged or given back; TypeError for what is not money."""
    if not isinstance(amount, Money):
        raise TypeError(f"money is needed, not {type(amount).__name__}")
    if amount.minor <= 0:
        raise Refused("amount_not_positive", "an amount is above zero")
    return amount
