"""What localstripe cannot show of the Stripe adapter: keys, errors, disputes, secrets. Answers in the form that Stripe
documents for the pinned version."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs

import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from control_plane.gateway.errors import KeyReused, Misconfigured, OutcomeUnknown, Refused, TryLater
from control_plane.gateway.port import (
    CardDeclined,
    CardTold,
    ChargeOrder,
    ChargeTold,
    Declined,
    Dispute,
    DisputeTold,
    NeedsAction,
    NotOurs,
    Outcome,
    Processing,
    Refunded,
    RefundFailed,
    RefundOrder,
    RefundProcessing,
    RefundTold,
    SetupTold,
    Succeeded,
    Unseen,
)
from control_plane.gateway.signed import sign
from control_plane.gateway.stripe import API_VERSION, StripeGateway, StripeSettings
from control_plane.gateway.stripe_objects import minor_of, money
from control_plane.money import MINOR_DIGITS, Money
from tests.control_plane.gateway.rigs import NOW, PAGE, SECRET
from tests.control_plane.gateway.test_events import INTENT, event

KEY = "sk_test_very_secret"
ORDER = ChargeOrder("inv-1:1", "cus_1", "pm_1", Money(1230, "EUR"), present=False)
Answer = Callable[[httpx2.Request], httpx2.Response]


def stripe(*answers: httpx2.Response | Exception, seen: list[httpx2.Request] | None = None) -> StripeGateway:
    """An adapter whose requests get these answers, in this order, and no more."""
    waiting = list(answers)

    def answer(request: httpx2.Request) -> httpx2.Response:
        if seen is not None:
            seen.append(request)
        one = waiting.pop(0)
        if isinstance(one, Exception):
            raise one
        return one

    settings = StripeSettings(KEY, "pk_test_1", (SECRET,), PAGE)
    return StripeGateway(settings, transport=httpx2.MockTransport(answer))


def fault(status: int, headers: Any = None, **error: Any) -> httpx2.Response:
    return httpx2.Response(status, json={"error": {"message": "about Ann <ann@example.org>", **error}}, headers=headers)


def intent(**changes: Any) -> httpx2.Response:
    return httpx2.Response(200, json={**INTENT, **changes})


def page(*objects: Any, more: bool = False) -> httpx2.Response:
    return httpx2.Response(200, json={"object": "list", "data": list(objects), "has_more": more})


# Requests


def test_a_charge_is_one_request_with_our_key_the_pinned_version_and_whole_units() -> None:
    seen: list[httpx2.Request] = []
    assert stripe(intent(), seen=seen).charge(ORDER) == Succeeded("pi_1", Money(1230, "EUR"))
    (request,) = seen
    assert request.headers["idempotency-key"] == "stentor-charge-inv-1:1"
    assert request.headers["stripe-version"] == API_VERSION
    form = {name: values[0] for name, values in parse_qs(request.content.decode()).items()}
    assert (form["amount"], form["currency"], form["off_session"]) == ("1230", "eur", "true")
    assert form["metadata[stentor_key]"] == "inv-1:1"


@pytest.mark.parametrize(
    "error",
    [httpx2.ConnectError("x"), httpx2.ConnectTimeout("x"), httpx2.ReadTimeout("x"), httpx2.RemoteProtocolError("x")],
    ids=lambda error: type(error).__name__,
)
def test_a_broken_connection_is_an_unknown_outcome_and_is_never_sent_again_by_itself(error: Exception) -> None:
    seen: list[httpx2.Request] = []
    with pytest.raises(OutcomeUnknown) as unknown:
        stripe(error, seen=seen).charge(ORDER)
    assert unknown.value.key == "inv-1:1" and len(seen) == 1


@pytest.mark.parametrize(
    "answer",
    [
        fault(500),
        fault(502),
        fault(409, code="idempotency_key_in_use"),
        httpx2.Response(200, text="<html>"),
        intent(id=7),
    ],
    ids=["500", "502", "in use", "no JSON", "another form"],
)
def test_an_answer_that_says_nothing_is_an_unknown_outcome(answer: httpx2.Response) -> None:
    with pytest.raises(OutcomeUnknown):
        stripe(answer).charge(ORDER)


def test_a_redirect_is_not_followed_with_our_key() -> None:
    seen: list[httpx2.Request] = []
    with pytest.raises(OutcomeUnknown):
        stripe(httpx2.Response(302, headers={"location": "https://evil.test/"}), seen=seen).charge(ORDER)
    assert len(seen) == 1


def test_a_key_that_was_used_for_another_order_is_told() -> None:
    with pytest.raises(KeyReused):
        stripe(fault(400, type="idempotency_error")).charge(ORDER)


@pytest.mark.parametrize(
    ("header", "after"),
    [({}, 2), ({"retry-after": "9"}, 9), ({"retry-after": "soon"}, 2), ({"retry-after": "99999"}, 3600)],
)
def test_too_many_requests_have_done_nothing(header: dict[str, str], after: int) -> None:
    with pytest.raises(TryLater) as later:
        stripe(fault(429, header)).charge(ORDER)
    assert later.value.retry_after_s == after


@pytest.mark.parametrize("status", [401, 403])
def test_a_key_that_is_not_accepted_is_the_operators_matter(status: int) -> None:
    with pytest.raises(Misconfigured):
        stripe(fault(status)).charge(ORDER)


# Outcomes


@pytest.mark.parametrize(
    ("words", "outcome"),
    [
        ({"code": "card_declined", "decline_code": "generic_decline"}, ("declined", True)),
        ({"code": "card_declined", "decline_code": "insufficient_funds"}, ("insufficient_funds", True)),
        ({"code": "card_declined", "decline_code": "lost_card"}, ("card_unusable", False)),
        ({"code": "expired_card"}, ("expired_card", False)),
        ({"code": "processing_error"}, ("try_again", True)),
        ({"code": "card_declined", "advice_code": "do_not_try_again"}, ("declined", False)),
        ({"code": "a_new_word"}, ("declined", True)),
    ],
    ids=lambda value: str(value),
)
def test_a_decline_is_told_in_our_words(words: dict[str, str], outcome: tuple[str, bool]) -> None:
    failed = {**INTENT, "status": "requires_payment_method", "last_payment_error": words}
    told = stripe(fault(402, type="card_error", payment_intent=failed, **words)).charge(ORDER)
    assert isinstance(told, Declined) and (told.code, told.retryable) == outcome
    assert stripe(page(failed)).ask("inv-1:1", "cus_1") == told


def test_a_renewal_that_needs_the_customer_leads_him_to_our_page() -> None:
    words = {"code": "authentication_required"}
    failed = {**INTENT, "status": "requires_payment_method", "last_payment_error": words}
    told = stripe(fault(402, payment_intent=failed, **words)).charge(ORDER)
    assert told == NeedsAction("pi_1", PAGE.replace("{}", "pi_1"))


def test_a_redirect_to_the_issuer_is_the_link() -> None:
    action = {"type": "redirect_to_url", "redirect_to_url": {"url": "https://issuer.test/3ds"}}
    assert stripe(intent(status="requires_action", next_action=action)).charge(ORDER) == NeedsAction(
        "pi_1", "https://issuer.test/3ds"
    )


@pytest.mark.parametrize("status", ["processing", "requires_capture", "requires_confirmation", "a_new_word"])
def test_what_is_not_over_is_no_success(status: str) -> None:
    outcome: Outcome = stripe(intent(status=status)).charge(ORDER)
    assert outcome == Processing("pi_1")


def test_what_came_in_counts_not_what_was_asked_for() -> None:
    assert stripe(intent(amount_received=1000)).charge(ORDER) == Succeeded("pi_1", Money(1000, "EUR"))


def test_asking_looks_through_every_page_and_would_rather_not_answer_than_miss_one() -> None:
    others = {**INTENT, "id": "pi_2", "metadata": {}}
    seen: list[httpx2.Request] = []
    assert isinstance(stripe(page(others, more=True), page(INTENT), seen=seen).ask("inv-1:1", "cus_1"), Succeeded)
    assert seen[1].url.params["starting_after"] == "pi_2" and seen[0].url.params["customer"] == "cus_1"
    assert stripe(page(others)).ask("inv-1:1", "cus_1") == Unseen("inv-1:1")
    with pytest.raises(OutcomeUnknown):
        stripe(page(others, more=True), fault(500)).ask("inv-1:1", "cus_1")
    with pytest.raises(OutcomeUnknown):
        stripe(*[page(others, more=True)] * 50).ask("inv-1:1", "cus_1")


# Refunds and disputes

REFUND = RefundOrder("refund:1", "pi_1", Money(410, "EUR"))
REFUNDED = {"id": "re_1", "amount": 410, "currency": "eur", "status": "succeeded", "payment_intent": "pi_1"}


def test_a_refund_is_sent_once_even_when_stripe_has_forgotten_its_key() -> None:
    earlier = {**REFUNDED, "metadata": {"stentor_key": "refund:1"}}
    seen: list[httpx2.Request] = []
    assert stripe(intent(), page(earlier), seen=seen).refund(REFUND) == Refunded("re_1", Money(410, "EUR"))
    assert [request.method for request in seen] == ["GET", "GET"]
    with pytest.raises(KeyReused):
        stripe(intent(), page({**earlier, "amount": 1})).refund(REFUND)


@pytest.mark.parametrize(
    ("status", "form"),
    [
        ("succeeded", Refunded),
        ("pending", RefundProcessing),
        ("failed", RefundFailed),
        ("a_new_word", RefundProcessing),
    ],
)
def test_a_refunds_states(status: str, form: type) -> None:
    answer = httpx2.Response(200, json={**REFUNDED, "status": status})
    assert isinstance(stripe(intent(), page(), answer).refund(REFUND), form)


@pytest.mark.parametrize(
    ("code", "ours"),
    [("charge_disputed", "disputed"), ("charge_already_refunded", "over_refunded"), ("a_new_word", "refused")],
)
def test_a_refund_that_stripe_refuses(code: str, ours: str) -> None:
    with pytest.raises(Refused) as refused:
        stripe(intent(), page(), fault(400, code=code)).refund(REFUND)
    assert refused.value.code == ours


DISPUTED = {"id": "dp_1", "amount": 1230, "currency": "eur", "status": "needs_response", "payment_intent": "pi_1"}


@pytest.mark.parametrize(
    ("status", "state"),
    [
        ("warning_needs_response", "inquiry"),
        ("needs_response", "open"),
        ("won", "won"),
        ("lost", "lost"),
        ("a_new_word", "open"),
    ],
)
def test_disputes_and_their_states(status: str, state: Any) -> None:
    told = Dispute("dp_1", "pi_1", Money(1230, "EUR"), state)
    assert stripe(page({**DISPUTED, "status": status})).disputes("pi_1") == (told,)
    assert read(event("charge.dispute.updated", {**DISPUTED, "status": status})).told == DisputeTold(told)


# Events


def read(body: bytes) -> Any:
    return stripe().read_event(body, {"Stripe-Signature": sign(SECRET, NOW, body)}, NOW)


def test_the_events_that_tell_something() -> None:
    paid = ChargeTold("inv-1:1", "cus_1", Succeeded("pi_1", Money(1230, "EUR")))
    assert read(event("payment_intent.succeeded", INTENT)).told == paid
    refunded = {**REFUNDED, "metadata": {"stentor_key": "refund:1"}}
    assert read(event("refund.updated", refunded)).told == RefundTold(
        "refund:1", "pi_1", Refunded("re_1", Money(410, "EUR"))
    )
    failed = {"id": "seti_1", "status": "requires_payment_method", "customer": "cus_1"}
    failed["last_setup_error"] = {"code": "setup_intent_authentication_failure"}  # type: ignore[assignment]
    told = SetupTold("cus_1", CardDeclined("seti_1", "authentication_failed"))
    assert read(event("setup_intent.setup_failed", failed)).told == told
    card = {"brand": "visa", "last4": "4242", "exp_month": 1, "exp_year": 2031, "fingerprint": "f"}
    method = {"id": "pm_1", "customer": "cus_1", "card": card}
    renewed = read(event("payment_method.automatically_updated", method)).told
    assert isinstance(renewed, CardTold) and str(renewed.card.expires) == "01/2031"


@pytest.mark.parametrize(
    "body",
    [
        event("payment_intent.succeeded", {**INTENT, "metadata": {}}),
        event("payment_intent.succeeded", {**INTENT, "metadata": {"order": "of a shop"}}),
        event("refund.updated", {**REFUNDED, "metadata": None}),
        event("charge.dispute.created", {**DISPUTED, "payment_intent": None}),
        event("invoice.paid", {}),
        event("payout.created", None),
    ],
)
def test_what_was_not_made_through_the_port_is_not_ours(body: bytes) -> None:
    assert isinstance(read(body).told, NotOurs)


# Amounts


@pytest.mark.parametrize(
    ("amount", "theirs"),
    [
        (Money(1230, "EUR"), 1230),
        (Money(500, "JPY"), 500),
        (Money(5120, "KWD"), 5120),
        # Stripe counts these otherwise than ISO 4217 does.
        (Money(5, "ISK"), 500),
        (Money(500, "MGA"), 5),
    ],
    ids=str,
)
def test_amounts_as_stripe_counts_them(amount: Money, theirs: int) -> None:
    assert minor_of(amount) == theirs and money(theirs, amount.currency.lower()) == amount


@pytest.mark.parametrize("amount", [Money(5124, "KWD"), Money(550, "MGA"), Money(5, "UGX")], ids=str)
def test_what_stripe_cannot_say_exactly_is_not_charged(amount: Money) -> None:
    with pytest.raises(Refused) as refused:
        minor_of(amount)
    assert refused.value.code in ("amount_too_fine", "currency_unsupported")


@given(currency=st.sampled_from(sorted(MINOR_DIGITS)), minor=st.integers(1, 10**12))
def test_every_amount_that_is_sent_comes_back_the_same(currency: str, minor: int) -> None:
    try:
        theirs = minor_of(Money(minor, currency))
    except Refused:
        return
    assert money(theirs, currency.lower()) == Money(minor, currency)


# Secrets


def test_no_secret_and_no_text_of_the_gateway_is_in_a_log_or_an_error(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    told = []
    for answer in (intent(), fault(400, code="x"), fault(401), fault(500), httpx2.ReadTimeout(KEY)):
        gateway = stripe(answer)
        told.append(repr(gateway))
        try:
            gateway.charge(ORDER)
        except Exception as error:
            told.append(f"{error} {error!r} {error.__cause__}")
    told += [record.getMessage() for record in caplog.records]
    told.append(repr(StripeSettings(KEY, "pk_test_1", (SECRET,), PAGE)))
    assert len(told) > 6
    assert not [one for one in told if KEY in one or SECRET in one or "ann@" in one]


@pytest.mark.parametrize(
    "changes",
    [
        {"secret_key": "pk_test_1"},
        {"secret_key": "sk_test_1\r\nX: y"},
        {"webhook_secrets": ()},
        {"webhook_secrets": ("",)},
        {"address": "http://api.stripe.com"},
        {"address": "ftp://127.0.0.2"},
        {"script": "http://js.stripe.com/v3/"},
        {"public_key": ""},
        {"public_key": KEY},  # it would stand in every page
        {"public_key": "pk_live_1"},
    ],
    ids=json.dumps,
)
def test_settings_that_would_give_secrets_away_are_refused(changes: dict[str, Any]) -> None:
    good: dict[str, Any] = {"secret_key": KEY, "public_key": "pk_test_1", "webhook_secrets": (SECRET,), "page": PAGE}
    with pytest.raises(ValueError):
        StripeSettings(**{**good, **changes})


def test_the_mode_is_read_from_the_key() -> None:
    assert StripeSettings("sk_live_1", "pk_live_1", (SECRET,), PAGE).live
    assert StripeSettings("rk_live_1", "pk_live_1", (SECRET,), PAGE).live
    assert not StripeSettings("sk_test_x_live_", "pk_test_1", (SECRET,), PAGE).live


@pytest.mark.parametrize("reference", ["../customers", "pi_1/cancel", "pi_1?x=1", "", "pí"])
def test_a_reference_leads_to_no_other_path(reference: str) -> None:
    with pytest.raises(Refused):
        stripe().call_off(reference)
