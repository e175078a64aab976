"""What Stripe's API says, in the port's words. Pure; unknown fields are ignored, unknown values are never a success."""

from __future__ import annotations

import datetime

import msgspec

from control_plane.billing.freeze import CardMonth
from control_plane.gateway.errors import EventForeign, EventUnreadable, Refused
from control_plane.gateway.port import (
    Card,
    CardAwaited,
    CardDeclined,
    CardSaved,
    CardTold,
    ChargeTold,
    DeclineCode,
    Declined,
    Dispute,
    DisputeState,
    DisputeTold,
    GatewayEvent,
    NeedsAction,
    NotOurs,
    Outcome,
    Processing,
    Refunded,
    RefundFailed,
    RefundOutcome,
    RefundProcessing,
    RefundTold,
    SetupOutcome,
    SetupTold,
    Succeeded,
    Told,
)
from control_plane.money import MINOR_DIGITS, Money

# Under this name our key stands in what we create, so that it can be asked for.
KEY_FIELD = "stentor_key"

# Where Stripe counts in other units than ISO 4217 does: so many digits.
_DIGITS = {"ISK": 2, "MGA": 0}
# Its documentation calls it both a currency of no digits and one of two; a factor of 100 is nothing to guess.
_UNCERTAIN = {"UGX"}

# https://docs.stripe.com/declines/codes; what is not here is "declined". Fraud is nothing that a customer is told of.
_CODES: dict[str, DeclineCode] = {
    "insufficient_funds": "insufficient_funds",
    "withdrawal_count_limit_exceeded": "insufficient_funds",
    "card_velocity_exceeded": "insufficient_funds",
    "expired_card": "expired_card",
    "invalid_expiry_month": "expired_card",
    "invalid_expiry_year": "expired_card",
    "card_not_supported": "card_unusable",
    "currency_not_supported": "card_unusable",
    "incorrect_number": "card_unusable",
    "invalid_number": "card_unusable",
    "incorrect_cvc": "card_unusable",
    "invalid_cvc": "card_unusable",
    "invalid_account": "card_unusable",
    "lost_card": "card_unusable",
    "stolen_card": "card_unusable",
    "pickup_card": "card_unusable",
    "restricted_card": "card_unusable",
    "stop_payment_order": "card_unusable",
    "revocation_of_authorization": "card_unusable",
    "revocation_of_all_authorizations": "card_unusable",
    "payment_intent_authentication_failure": "authentication_failed",
    "setup_intent_authentication_failure": "authentication_failed",
    "authentication_not_handled": "authentication_failed",
    "processing_error": "try_again",
    "issuer_not_available": "try_again",
    "reenter_transaction": "try_again",
    "try_again_later": "try_again",
}
_NEVER_AGAIN = {"expired_card", "card_unusable", "authentication_failed"}
AUTHENTICATION_REQUIRED = "authentication_required"

_DISPUTES: dict[str, DisputeState] = {
    "warning_needs_response": "inquiry",
    "warning_under_review": "inquiry",
    "warning_closed": "inquiry",
    "prevented": "inquiry",
    "needs_response": "open",
    "under_review": "open",
    "appeal_needs_response": "open",
    "appeal_under_review": "open",
    "won": "won",
    "lost": "lost",
}


class Fault(msgspec.Struct):
    """An error, as an answer or as the last one of an intent. Its message is not read: it may quote anything."""

    type: str = ""
    code: str | None = None
    decline_code: str | None = None
    advice_code: str | None = None
    payment_intent: Intent | None = None
    payment_method: Named | None = None

    def word(self) -> str:
        return self.decline_code or self.code or "declined"

    def asks(self) -> bool:
        """The issuer wants to see the customer; the intent can be finished by him."""
        return AUTHENTICATION_REQUIRED in (self.code, self.decline_code)


class Named(msgspec.Struct):
    id: str


class Redirect(msgspec.Struct):
    url: str | None = None


class NextAction(msgspec.Struct):
    redirect_to_url: Redirect | None = None


class Intent(msgspec.Struct):
    """A PaymentIntent: one attempt to charge."""

    id: str
    amount: int
    currency: str
    status: str
    customer: str | None = None
    amount_received: int | None = None
    last_payment_error: Fault | None = None
    next_action: NextAction | None = None
    metadata: dict[str, str] = {}
    client_secret: str | None = None

    def outcome(self, page: str) -> Outcome:
        """`page`: ours, on which Stripe's script lets the customer authenticate."""
        fault = self.last_payment_error
        match self.status:
            case "succeeded":
                # What came in counts, not what was asked for (BIL-16); 0 is what some events say before it is known.
                return Succeeded(self.id, money(self.amount_received or self.amount, self.currency))
            case "requires_action":
                redirect = self.next_action and self.next_action.redirect_to_url
                return NeedsAction(self.id, (redirect and redirect.url) or page.replace("{}", self.id))
            case "canceled":
                return Declined(self.id, "called_off", retryable=False)
            case "requires_payment_method" if fault and fault.asks():
                return NeedsAction(self.id, page.replace("{}", self.id))
            case "requires_payment_method":
                return declined(self.id, fault or Fault())
        # processing, requires_confirmation, requires_capture, and what comes to be: not over, and not paid.
        return Processing(self.id)

    def confirmed_again(self) -> str:
        """The card that was taken off it when its issuer wanted to see the customer; "" where none was."""
        fault = self.last_payment_error
        if self.status != "requires_payment_method" or fault is None or not fault.asks():
            return ""
        return fault.payment_method.id if fault.payment_method else ""


class PaymentCard(msgspec.Struct):
    brand: str
    last4: str
    exp_month: int
    exp_year: int
    fingerprint: str | None = None


class PaymentMethod(msgspec.Struct):
    id: str
    card: PaymentCard | None = None
    customer: str | None = None

    def saved(self) -> Card:
        """Raises ValueError where it is no card."""
        card = self.card
        if card is None:
            raise ValueError("not a card")
        return Card(self.id, card.brand, card.last4, CardMonth(card.exp_year, card.exp_month), card.fingerprint or "")


class SetupIntent(msgspec.Struct):
    id: str
    status: str
    customer: str | None = None
    payment_method: str | PaymentMethod | None = None
    last_setup_error: Fault | None = None
    client_secret: str | None = None

    def outcome(self, card: Card | None) -> SetupOutcome:
        if self.status == "succeeded" and card is not None:
            return CardSaved(self.id, card)
        if self.status == "canceled":
            return CardDeclined(self.id, decline_code(self.last_setup_error or Fault()))
        if self.status == "requires_payment_method" and self.last_setup_error is not None:
            return CardDeclined(self.id, decline_code(self.last_setup_error))
        return CardAwaited(self.id)


class RefundObject(msgspec.Struct):
    id: str
    amount: int
    currency: str
    status: str | None = None
    payment_intent: str | None = None
    metadata: dict[str, str] | None = None

    def outcome(self) -> RefundOutcome:
        if self.status == "succeeded":
            return Refunded(self.id, money(self.amount, self.currency))
        return RefundFailed(self.id) if self.status in ("failed", "canceled") else RefundProcessing(self.id)


class DisputeObject(msgspec.Struct):
    id: str
    amount: int
    currency: str
    status: str
    payment_intent: str | None = None

    def dispute(self) -> Dispute:
        """A state that we do not know is taken for open: access is held, and staff look."""
        state = _DISPUTES.get(self.status, "open")
        return Dispute(self.id, self.payment_intent or "", money(self.amount, self.currency), state)


class EventContent(msgspec.Struct):
    object: msgspec.Raw


class Event(msgspec.Struct):
    id: str
    type: str
    created: int
    livemode: bool
    data: EventContent
    account: str | None = None


def declined(reference: str, fault: Fault) -> Declined:
    code = decline_code(fault)
    return Declined(reference, code, fault.advice_code != "do_not_try_again" and code not in _NEVER_AGAIN)


def decline_code(fault: Fault) -> DeclineCode:
    return _CODES.get(fault.word(), "declined")


def minor_of(amount: Money) -> int:
    """How Stripe counts it. Raises Refused where it cannot say this amount exactly."""
    if amount.currency in _UNCERTAIN:
        raise Refused("currency_unsupported", f"not clear how the gateway counts {amount.currency}")
    digits = _DIGITS.get(amount.currency, amount.digits)
    up: int = 10 ** max(digits - amount.digits, 0)
    down: int = 10 ** max(amount.digits - digits, 0)
    minor, rest = divmod(amount.minor * up, down)
    # Of three digits the last is 0: the card networks have two.
    if rest or (digits == 3 and minor % 10):
        raise Refused("amount_too_fine", f"the gateway has no such fine amounts of {amount.currency}")
    return minor


def money(minor: int, currency: str) -> Money:
    """What Stripe counted. Raises ValueError for a currency that is none, or an amount that we cannot say."""
    code = currency.upper()
    if code not in MINOR_DIGITS or code in _UNCERTAIN:
        raise ValueError(f"no currency of ours: {currency!r}")
    digits, ours = _DIGITS.get(code, MINOR_DIGITS[code]), MINOR_DIGITS[code]
    whole, rest = divmod(minor * 10 ** max(ours - digits, 0), 10 ** max(digits - ours, 0))
    if rest:
        raise ValueError(f"a part of a unit of {code}")
    return Money(whole, code)


def event_of(body: bytes, *, live: bool, page: str) -> GatewayEvent:
    """A signed body. Raises EventUnreadable, EventForeign."""
    try:
        event = msgspec.json.decode(body, type=Event)
        # A test event at a live endpoint, or one of an account connected to ours, moves nothing here.
        if event.livemode != live or event.account is not None:
            raise EventForeign("an event of another account or mode")
        at = datetime.datetime.fromtimestamp(event.created, datetime.UTC)
        return GatewayEvent(event.id, at, _told(event, page))
    except (msgspec.MsgspecError, ValueError, OverflowError, RecursionError, OSError):
        raise EventUnreadable("not an event that we can read") from None


def _told(event: Event, page: str) -> Told:
    content = event.data.object
    match event.type.rpartition(".")[0]:
        case "payment_intent":
            intent = msgspec.json.decode(content, type=Intent)
            if KEY_FIELD in intent.metadata:
                return ChargeTold(intent.metadata[KEY_FIELD], intent.customer or "", intent.outcome(page))
        case "refund":
            refund = msgspec.json.decode(content, type=RefundObject)
            if KEY_FIELD in (refund.metadata or {}):
                return RefundTold((refund.metadata or {})[KEY_FIELD], refund.payment_intent or "", refund.outcome())
        case "charge.dispute":
            dispute = msgspec.json.decode(content, type=DisputeObject).dispute()
            if dispute.charge:
                return DisputeTold(dispute)
        case "setup_intent":
            # Its card is not in it; what is saved is asked for.
            setup = msgspec.json.decode(content, type=SetupIntent)
            if setup.customer is not None:
                return SetupTold(setup.customer, setup.outcome(None))
        case "payment_method" if event.type.endswith(("updated", "automatically_updated")):
            method = msgspec.json.decode(content, type=PaymentMethod)
            if method.card is not None and method.customer is not None:
                return CardTold(method.customer, method.saved())
    return NotOurs(event.type)
