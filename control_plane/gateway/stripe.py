"""[I/O] Stripe behind the port, over its REST API: forms out, JSON in, one request a call, none repeated.

A charge is a PaymentIntent that is made and confirmed at once. Our key stands in it, and goes as idempotency key with
it; `ask` finds it by listing the payer's intents, which shows what was made a moment ago (Stripe's search does not).
"""

from __future__ import annotations

import datetime
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar
from urllib.parse import urlsplit

import httpx2
import msgspec

from control_plane.gateway.errors import KeyReused, Misconfigured, OutcomeUnknown, Refused, TryLater
from control_plane.gateway.port import (
    ChargeOrder,
    Dispute,
    GatewayEvent,
    HostedFields,
    Outcome,
    RefundOrder,
    RefundOutcome,
    SetupOutcome,
    Sources,
    Unseen,
    check_amount,
    check_key,
)
from control_plane.gateway.signed import check
from control_plane.gateway.stripe_objects import (
    KEY_FIELD,
    DisputeObject,
    Fault,
    Intent,
    Named,
    PaymentMethod,
    RefundObject,
    SetupIntent,
    event_of,
    minor_of,
)

# Newer ones may change what a field means; change it together with the tests.
API_VERSION = "2026-10-28.endive"
SCRIPT = "https://js.stripe.com/v3/"
_SCRIPTS = ("https://js.stripe.com", "https://*.js.stripe.com")
# What Stripe documents for cards (https://docs.stripe.com/security/guide#content-security-policy); banks are asked in
# frames of hooks.stripe.com.
SOURCES = Sources(_SCRIPTS, (*_SCRIPTS, "https://hooks.stripe.com"), ("https://api.stripe.com",))
# A charge waits for the issuer, which may take some 20 s. Shorter: more outcomes that have to be asked for.
TIMEOUT_S = 30
CONNECT_TIMEOUT_S = 5
PAGE_SIZE = 100
# A payer has a few hundred charges in a lifetime. Beyond: no answer is better than a wrong "unseen".
PAGES_MAX = 50
# At 0.3 s each some 25 charges a second. More: a night is over sooner, and Stripe's limit (100 a second, 25 with test
# keys) is nearer, which one's own pages share.
AT_ONCE = 8
RETRY_AFTER_S = 2
RETRY_AFTER_MAX_S = 3600

Form = dict[str, str]
Made = TypeVar("Made", bound=msgspec.Struct)


@dataclass(frozen=True)
class StripeSettings:
    """Credentials, and where our page for authentication is ({} stands for the reference). `script` is loaded by the
    customer's browser, out of `sources`.

    Raises ValueError for keys that are none, and for an address that would send them, or a card, in the clear.
    """

    secret_key: str = field(repr=False)
    public_key: str
    webhook_secrets: tuple[str, ...] = field(repr=False)
    page: str
    address: str = "https://api.stripe.com"
    script: str = SCRIPT
    sources: Sources = SOURCES

    def __post_init__(self) -> None:
        if not self.secret_key.startswith(("sk_test_", "sk_live_", "rk_test_", "rk_live_")):
            raise ValueError("a secret key of Stripe begins with sk_ or rk_")
        if not self.secret_key.isascii() or not self.secret_key.isprintable():
            raise ValueError("a secret key has printable ASCII characters only")
        if not self.webhook_secrets or not all(self.webhook_secrets):
            raise ValueError("events need a secret to be checked with")
        for parts in (urlsplit(self.address), urlsplit(self.script)):
            if parts.scheme != "https" and parts.hostname not in ("127.0.0.1", "::1", "localhost"):
                raise ValueError("Stripe is spoken to over https")
        if not self.public_key.startswith(("pk_test_", "pk_live_")):
            raise ValueError("a public key of Stripe begins with pk_")
        if ("_live_" in self.public_key[:8]) != self.live:
            raise ValueError("one key is for real money and the other is not")

    @property
    def live(self) -> bool:
        """Real money, by the key."""
        return "_live_" in self.secret_key[:8]


class StripeGateway:
    """Implements control_plane.gateway.port.Gateway. `transport` is for tests."""

    at_once = AT_ONCE

    def __init__(self, settings: StripeSettings, *, transport: httpx2.BaseTransport | None = None) -> None:
        self._settings = settings
        self._client = httpx2.Client(
            base_url=settings.address,
            headers={"Authorization": f"Bearer {settings.secret_key}", "Stripe-Version": API_VERSION},
            timeout=httpx2.Timeout(TIMEOUT_S, connect=CONNECT_TIMEOUT_S),
            follow_redirects=False,
            trust_env=False,
            transport=transport,
        )

    def close(self) -> None:
        self._client.close()

    # Cards

    def open_payer(self, key: str) -> str:
        check_key(key)
        return self._post("customers", "payer", key, {f"metadata[{KEY_FIELD}]": key}, Named).id

    def begin_card(self, payer: str, key: str) -> str:
        check_key(key)
        form = {"customer": payer, "usage": "off_session", "payment_method_types[]": "card"}
        return self._post("setup_intents", "card", key, form, SetupIntent, missing="no_such_payer").id

    def hosted_fields(self, reference: str) -> HostedFields:
        card = ""
        if reference.startswith("pi_"):
            intent = self._get(f"payment_intents/{_id(reference)}", Intent, "no_such_charge")
            secret, card = intent.client_secret, intent.confirmed_again()
        else:
            secret = self._get(f"setup_intents/{_id(reference)}", SetupIntent, "no_such_setup").client_secret
        told = self._settings
        return HostedFields(told.script, told.public_key, secret or "", told.sources, card)

    def card_of(self, setup: str) -> SetupOutcome:
        intent = self._get(f"setup_intents/{_id(setup)}", SetupIntent, "no_such_setup")
        method = intent.payment_method
        if intent.status != "succeeded" or method is None:
            return intent.outcome(None)
        if isinstance(method, str):
            method = self._get(f"payment_methods/{_id(method)}", PaymentMethod, "no_such_card")
        return intent.outcome(method.saved())

    def forget_card(self, token: str) -> None:
        self._post(f"payment_methods/{_id(token)}/detach", "forget", token, {}, Named, missing="no_such_card")

    # Charges

    def charge(self, order: ChargeOrder) -> Outcome:
        check_key(order.key)
        form = {
            "amount": str(minor_of(check_amount(order.amount))),
            "currency": order.amount.currency.lower(),
            "customer": order.payer,
            "payment_method": order.token,
            "payment_method_types[]": "card",
            "confirm": "true",
            "off_session": "false" if order.present else "true",
            f"metadata[{KEY_FIELD}]": order.key,
        }
        try:
            intent = self._post("payment_intents", "charge", order.key, form, Intent, missing="no_such_card")
        except _DeclinedAnswer as answer:
            if answer.fault.payment_intent is not None:
                return answer.fault.payment_intent.outcome(self._settings.page)
            # It does not say of which charge; there is one, and it can be asked for.
            outcome = self.ask(order.key, order.payer)
            if isinstance(outcome, Unseen):
                raise OutcomeUnknown(order.key, "declined without a charge") from None
            return outcome
        return intent.outcome(self._settings.page)

    def ask(self, key: str, payer: str) -> Outcome | Unseen:
        for intent in self._list("payment_intents", {"customer": payer}, Intent, key):
            if intent.metadata.get(KEY_FIELD) == key and intent.customer == payer:
                return intent.outcome(self._settings.page)
        return Unseen(key)

    def call_off(self, reference: str) -> Outcome:
        path = f"payment_intents/{_id(reference)}"
        try:
            intent = self._post(f"{path}/cancel", "call_off", reference, {}, Intent, missing="no_such_charge")
        except Refused as refused:
            if refused.code != "refused":
                raise
            intent = self._get(path, Intent, "no_such_charge")
            if intent.status not in ("succeeded", "canceled"):
                raise
        return intent.outcome(self._settings.page)

    # Refunds and disputes

    def refund(self, order: RefundOrder) -> RefundOutcome:
        check_key(order.key)
        check_amount(order.amount)
        charged = self._get(f"payment_intents/{_id(order.charge)}", Intent, "no_such_charge")
        # A refund names no currency: this would give back so many units of another one.
        if charged.currency.upper() != order.amount.currency:
            raise Refused("currency_unsupported", f"the charge was in {charged.currency.upper()}")
        if charged.status != "succeeded":
            raise Refused("not_paid", "what was not paid cannot be given back")
        minor = minor_of(order.amount)
        # Stripe forgets keys after a day; what was given back, it does not.
        earlier = list(self._list("refunds", {"payment_intent": order.charge}, RefundObject, order.key))
        for refund in earlier:
            if (refund.metadata or {}).get(KEY_FIELD) == order.key:
                if refund.amount != minor:
                    raise KeyReused(order.key)
                return refund.outcome()
        gone = sum(refund.amount for refund in earlier if refund.status not in ("failed", "canceled"))
        if minor > (charged.amount_received or charged.amount) - gone:
            raise Refused("over_refunded", "more than is left of the charge")
        form = {"payment_intent": order.charge, "amount": str(minor), f"metadata[{KEY_FIELD}]": order.key}
        return self._post("refunds", "refund", order.key, form, RefundObject, missing="no_such_charge").outcome()

    def ask_refund(self, key: str, charge: str) -> RefundOutcome | Unseen:
        for refund in self._list("refunds", {"payment_intent": charge}, RefundObject, key, "no_such_charge"):
            if (refund.metadata or {}).get(KEY_FIELD) == key:
                return refund.outcome()
        return Unseen(key)

    def disputes(self, charge: str) -> tuple[Dispute, ...]:
        found = self._list("disputes", {"payment_intent": charge}, DisputeObject, charge, "no_such_charge")
        return tuple(one.dispute() for one in found)[::-1]

    # Events

    def read_event(self, body: bytes, headers: Mapping[str, str], now: datetime.datetime) -> GatewayEvent:
        found = {name.lower(): value for name, value in headers.items()}
        check(self._settings.webhook_secrets, found.get("stripe-signature"), body, now)
        return event_of(body, live=self._settings.live, page=self._settings.page)

    # One request

    def _post(
        self, path: str, what: str, key: str, form: Form, form_of: type[Made], *, missing: str = "refused"
    ) -> Made:
        # One key of ours may stand for a charge and for a refund; Stripe keeps them all in one place.
        headers = {"Idempotency-Key": f"stentor-{what}-{key}"}
        return _read(self._send("POST", path, key, missing, data=form, headers=headers), form_of, key)

    def _get(self, path: str, form_of: type[Made], missing: str) -> Made:
        return _read(self._send("GET", path, path, missing), form_of, path)

    def _list(self, path: str, query: Form, form_of: type[Made], key: str, missing: str = "refused") -> Iterator[Made]:
        """All of them, the newest first. Raises OutcomeUnknown rather than leave one out."""
        query = {**query, "limit": str(PAGE_SIZE)}
        for _ in range(PAGES_MAX):
            page = _read(self._send("GET", path, key, missing, params=query), _Page, key)
            yield from (_decoded(raw, form_of, key) for raw in page.data)
            if not page.has_more or not page.data:
                return
            query = {**query, "starting_after": _decoded(page.data[-1], Named, key).id}
        raise OutcomeUnknown(key, "too many to look through")

    def _send(self, method: str, path: str, key: str, missing: str, **content: Any) -> httpx2.Response:
        try:
            answer = self._client.request(method, f"/v1/{path}", **content)
        except (httpx2.ConnectError, httpx2.ConnectTimeout):
            raise OutcomeUnknown(key, "the gateway cannot be reached") from None
        except httpx2.HTTPError as error:
            raise OutcomeUnknown(key, f"no whole answer ({type(error).__name__})") from None
        if not answer.is_success:
            raise _error(answer, key, missing)
        return answer


class _Page(msgspec.Struct):
    data: list[msgspec.Raw]
    has_more: bool


class _ErrorBody(msgspec.Struct):
    error: Fault


class _DeclinedAnswer(Refused):
    """Status 402; of a charge it says that the card was declined."""

    def __init__(self, fault: Fault) -> None:
        super().__init__("refused", "the gateway answered 402")
        self.fault = fault


def _read(answer: httpx2.Response, form_of: type[Made], key: str) -> Made:
    return _decoded(answer.content, form_of, key)


def _decoded(content: bytes | msgspec.Raw, form_of: type[Made], key: str) -> Made:
    """It was done, so what cannot be read is an outcome that is not known."""
    try:
        return msgspec.json.decode(content, type=form_of)
    except msgspec.MsgspecError:
        raise OutcomeUnknown(key, "an answer that cannot be read") from None


def _error(answer: httpx2.Response, key: str, missing: str) -> Exception:
    """What a status means for money. Only words of Stripe's own lists are read, never a message."""
    try:
        fault = msgspec.json.decode(answer.content, type=_ErrorBody).error
    except msgspec.MsgspecError:
        fault = Fault()
    status = answer.status_code
    if status == 402:
        return _DeclinedAnswer(fault)
    if status in (401, 403):
        return Misconfigured("misconfigured", "the gateway does not accept our key")
    if status == 429:
        after = answer.headers.get("retry-after", "")
        known = after.isascii() and after.isdigit() and len(after) < 6
        return TryLater(min(max(int(after), 1), RETRY_AFTER_MAX_S) if known else RETRY_AFTER_S)
    # 409: the first one with this key is still at work.
    if status == 409 or status >= 500 or status < 400:
        return OutcomeUnknown(key, f"the gateway answered {status}")
    if fault.type == "idempotency_error":
        return KeyReused(key)
    if status == 404 or fault.code == "resource_missing":
        return Refused(missing, f"there is {missing.replace('_', ' ')}")
    known_codes = {
        "charge_already_refunded": ("over_refunded", "more than is left of the charge"),
        "amount_too_large": ("over_refunded", "more than is left of the charge"),
        "charge_disputed": ("disputed", "the issuer takes this charge back itself"),
        "invalid_currency": ("currency_unsupported", "not with this account"),
    }
    return Refused(*known_codes.get(fault.code or "", ("refused", f"the gateway answered {status}")))


def _id(reference: str) -> str:
    """Raises Refused for what would lead to another path."""
    if not (reference.isascii() and reference.replace("_", "").isalnum()):
        raise Refused("refused", "no reference of this gateway")
    return reference
