"""What every gateway behind the port does. Each story runs against the fake and against Stripe's adapter."""

from __future__ import annotations

import datetime
from typing import Any

import pytest

from control_plane.gateway.errors import EventForeign, EventForged, EventStale, EventUnreadable, OutcomeUnknown, Refused
from control_plane.gateway.fake.cards import AUTHENTICATES, DECLINED_LATER, GOOD
from control_plane.gateway.port import (
    CardAwaited,
    CardDeclined,
    CardSaved,
    ChargeOrder,
    ChargeTold,
    Declined,
    NeedsAction,
    Refunded,
    RefundOrder,
    Succeeded,
    Unseen,
    attempt_key,
)
from control_plane.money import Money
from tests.control_plane.entries import entry
from tests.control_plane.gateway.rigs import ANSWER_LOST, FAR, LOST, PRICE, Rig, changed, order, paid, saved_card

ALWAYS_AUTHENTICATES = "4000002760003184"


# Cards


def test_a_card_goes_from_the_hosted_fields_to_a_token_and_we_see_its_end_only(rig: Rig, payer: str) -> None:
    setup = rig.gateway.begin_card(payer, "setup-1")
    assert rig.gateway.card_of(setup) == CardAwaited(setup)
    fields = rig.gateway.hosted_fields(setup)
    assert fields.secret and fields.secret not in repr(fields)
    rig.enter_card(setup, GOOD, FAR)
    outcome = rig.gateway.card_of(setup)
    assert isinstance(outcome, CardSaved)
    assert (outcome.card.last4, outcome.card.expires) == ("4242", FAR)
    assert GOOD not in repr(outcome)


def test_the_same_card_has_the_same_fingerprint_whoever_gives_it(rig: Rig, payer: str) -> None:
    prints: list[str] = []
    for number, who in ((GOOD, payer), (GOOD, rig.gateway.open_payer("account-8")), (DECLINED_LATER, payer)):
        setup = rig.gateway.begin_card(who, f"setup-{len(prints)}")
        rig.enter_card(setup, number, FAR)
        outcome = rig.gateway.card_of(setup)
        assert isinstance(outcome, CardSaved)
        prints.append(outcome.card.fingerprint)
    assert prints[0] == prints[1] != prints[2]


def test_a_card_that_is_declined_at_once_is_not_saved(rig: Rig, payer: str) -> None:
    setup = rig.gateway.begin_card(payer, "setup-1")
    rig.enter_card(setup, "4000000000000002", FAR)
    assert rig.gateway.card_of(setup) == CardDeclined(setup, "declined")


def test_a_card_whose_issuer_asks_is_saved_when_the_customer_has_authenticated(rig: Rig, payer: str) -> None:
    setup = rig.gateway.begin_card(payer, "setup-1")
    rig.enter_card(setup, ALWAYS_AUTHENTICATES, FAR)
    assert isinstance(rig.gateway.card_of(setup), CardAwaited)
    rig.authenticate(setup, True)
    assert isinstance(rig.gateway.card_of(setup), CardSaved)


# Charges


@pytest.mark.parametrize("amount", [PRICE, Money(1, "EUR"), Money(1500, "JPY"), Money(12_340, "KWD")], ids=str)
def test_a_good_card_pays_exactly_the_sum_in_its_currency(rig: Rig, payer: str, amount: Money) -> None:
    outcome = paid(rig, payer, amount=amount)
    assert outcome.amount == amount
    # As many of the smallest unit; yen have no smaller one, so 1500 are 1500.
    assert rig.paid(payer) == [amount.minor]
    assert rig.gateway.ask("inv-1:1", payer) == outcome


def test_a_declined_card_moves_nothing_and_says_whether_another_day_may_help(rig: Rig, payer: str) -> None:
    token = saved_card(rig, payer, DECLINED_LATER, "setup-1")
    outcome = rig.gateway.charge(order(payer, token))
    assert isinstance(outcome, Declined)
    assert (outcome.code, outcome.retryable) == ("declined", True)
    assert rig.paid(payer) == []
    assert rig.gateway.ask("inv-1:1", payer) == outcome


@pytest.mark.parametrize("present", [True, False], ids=["at the checkout", "at a renewal"])
def test_a_charge_that_needs_the_customer_waits_for_him(rig: Rig, payer: str, present: bool) -> None:
    setup = rig.gateway.begin_card(payer, "setup-1")
    rig.enter_card(setup, ALWAYS_AUTHENTICATES, FAR)
    rig.authenticate(setup, True)
    saved = rig.gateway.card_of(setup)
    assert isinstance(saved, CardSaved)
    waiting = rig.gateway.charge(order(payer, saved.card.token, present=present))
    assert isinstance(waiting, NeedsAction)
    assert waiting.reference in waiting.link and rig.gateway.ask("inv-1:1", payer) == waiting
    assert rig.paid(payer) == []
    assert rig.gateway.hosted_fields(waiting.reference).secret
    rig.authenticate(waiting.reference, True)
    assert rig.gateway.ask("inv-1:1", payer) == Succeeded(waiting.reference, PRICE)
    assert rig.paid(payer) == [PRICE.minor]


def waiting_charge(rig: Rig, payer: str, number: str = ALWAYS_AUTHENTICATES) -> NeedsAction:
    setup = rig.gateway.begin_card(payer, "setup-1")
    rig.enter_card(setup, number, FAR)
    rig.authenticate(setup, True)
    saved = rig.gateway.card_of(setup)
    assert isinstance(saved, CardSaved)
    waiting = rig.gateway.charge(order(payer, saved.card.token, present=True))
    assert isinstance(waiting, NeedsAction)
    return waiting


def test_a_failed_authentication_declines_the_charge(rig: Rig, payer: str) -> None:
    waiting = waiting_charge(rig, payer)
    rig.authenticate(waiting.reference, False)
    assert rig.gateway.ask("inv-1:1", payer) == Declined(waiting.reference, "authentication_failed", False)
    assert rig.paid(payer) == []


def test_an_issuer_may_decline_after_the_customer_has_authenticated(rig: Rig, payer: str) -> None:
    waiting = waiting_charge(rig, payer, AUTHENTICATES)
    rig.authenticate(waiting.reference, True)
    assert isinstance(rig.gateway.ask("inv-1:1", payer), Declined)
    assert rig.paid(payer) == []


def test_a_time_out_that_charged_is_asked_for_and_charged_once(rig: Rig, payer: str) -> None:
    token = saved_card(rig, payer, GOOD, "setup-1")
    rig.lose("charge", ANSWER_LOST)
    with pytest.raises(OutcomeUnknown, match="never send with a new one") as unknown:
        rig.gateway.charge(order(payer, token))
    with entry("BIL-02.3"):
        outcome = rig.gateway.ask(unknown.value.key, payer)
        assert isinstance(outcome, Succeeded) and outcome.amount == PRICE
        assert rig.paid(payer) == [PRICE.minor]


def test_a_time_out_that_did_not_charge_is_unseen_and_may_be_sent_again_with_its_key(rig: Rig, payer: str) -> None:
    token = saved_card(rig, payer, GOOD, "setup-1")
    rig.lose("charge", LOST)
    with pytest.raises(OutcomeUnknown):
        rig.gateway.charge(order(payer, token))
    assert rig.gateway.ask("inv-1:1", payer) == Unseen("inv-1:1")
    assert isinstance(rig.gateway.charge(order(payer, token)), Succeeded)
    assert rig.paid(payer) == [PRICE.minor]


def test_each_attempt_is_found_among_many(rig: Rig, payer: str) -> None:
    good, bad = saved_card(rig, payer, GOOD, "setup-1"), saved_card(rig, payer, DECLINED_LATER, "setup-2")
    for attempt in range(1, 13):
        rig.gateway.charge(order(payer, good if attempt == 12 else bad, key=f"inv-1:{attempt}"))
    assert isinstance(rig.gateway.ask("inv-1:12", payer), Succeeded)
    assert isinstance(rig.gateway.ask("inv-1:1", payer), Declined)
    assert rig.gateway.ask("inv-1:13", payer) == Unseen("inv-1:13")


def test_a_key_of_one_payer_is_unseen_at_another(rig: Rig, payer: str) -> None:
    paid(rig, payer)
    assert rig.gateway.ask("inv-1:1", rig.gateway.open_payer("account-8")) == Unseen("inv-1:1")


def test_what_waits_for_the_customer_can_be_called_off(rig: Rig, payer: str) -> None:
    waiting = waiting_charge(rig, payer)
    called_off = Declined(waiting.reference, "called_off", False)
    assert rig.gateway.call_off(waiting.reference) == called_off
    assert rig.gateway.call_off(waiting.reference) == called_off
    assert rig.gateway.ask("inv-1:1", payer) == called_off
    # So he cannot pay a second time by the page that he left open.
    with pytest.raises(Refused):
        rig.gateway.call_off("pi_there_is_none")
    assert rig.paid(payer) == []


def test_what_is_paid_is_not_called_off(rig: Rig, payer: str) -> None:
    outcome = paid(rig, payer)
    assert rig.gateway.call_off(outcome.reference) == outcome


# Bad orders


@pytest.mark.parametrize("amount", [Money(0, "EUR"), Money(-1, "EUR")], ids=str)
def test_nothing_and_less_are_not_charged_and_not_given_back(rig: Rig, payer: str, amount: Money) -> None:
    charge = paid(rig, payer)
    with pytest.raises(Refused) as refused:
        rig.gateway.charge(order(payer, "any", "inv-1:2", amount))
    assert refused.value.code == "amount_not_positive"
    with pytest.raises(Refused):
        rig.gateway.refund(RefundOrder("refund:1", charge.reference, amount))
    assert rig.paid(payer) == [PRICE.minor]


@pytest.mark.parametrize("amount", [12.3, 1230, "12.30", None, True], ids=repr)
def test_what_is_no_money_is_not_charged(rig: Rig, payer: str, amount: Any) -> None:
    with pytest.raises(TypeError):
        rig.gateway.charge(order(payer, "any", amount=amount))


@pytest.mark.parametrize("key", ["", "inv 1:1", "inv\n1:1", "ünv:1", "i" * 201], ids=ascii)
def test_a_key_that_no_gateway_takes_is_refused(rig: Rig, payer: str, key: str) -> None:
    with pytest.raises(Refused) as refused:
        rig.gateway.charge(ChargeOrder(key, payer, "any", PRICE, present=False))
    assert refused.value.code == "key_malformed"


@pytest.mark.parametrize("attempt", [0, -1, True, "1"], ids=repr)
def test_attempts_count_from_one(attempt: Any) -> None:
    with pytest.raises(Refused):
        attempt_key("inv-1", attempt)


def test_what_is_not_there_is_refused_by_name(rig: Rig, payer: str) -> None:
    with pytest.raises(Refused) as no_card:
        rig.gateway.charge(order(payer, "pm_there_is_none"))
    assert no_card.value.code == "no_such_card"
    with pytest.raises(Refused) as no_charge:
        rig.gateway.refund(RefundOrder("refund:1", "pi_there_is_none", PRICE))
    assert no_charge.value.code == "no_such_charge"
    with pytest.raises(Refused) as no_setup:
        rig.gateway.card_of("seti_there_is_none")
    assert no_setup.value.code == "no_such_setup"


# Refunds


def test_a_charge_is_given_back_in_parts_and_never_beyond_its_sum(rig: Rig, payer: str) -> None:
    charge = paid(rig, payer)
    first = rig.gateway.refund(RefundOrder("refund:1", charge.reference, Money(410, "EUR")))
    assert isinstance(first, Refunded) and first.amount == Money(410, "EUR")
    with pytest.raises(Refused) as refused:
        rig.gateway.refund(RefundOrder("refund:2", charge.reference, Money(821, "EUR")))
    assert refused.value.code == "over_refunded"
    assert rig.gateway.ask_refund("refund:2", charge.reference) == Unseen("refund:2")
    rest = rig.gateway.refund(RefundOrder("refund:3", charge.reference, Money(820, "EUR")))
    assert isinstance(rest, Refunded)
    with pytest.raises(Refused):
        rig.gateway.refund(RefundOrder("refund:4", charge.reference, Money(1, "EUR")))
    assert rig.gateway.ask_refund("refund:1", charge.reference) == first


def test_a_refund_sent_twice_is_one(rig: Rig, payer: str) -> None:
    charge = paid(rig, payer)
    part = RefundOrder("refund:1", charge.reference, Money(600, "EUR"))
    assert rig.gateway.refund(part) == rig.gateway.refund(part)
    assert isinstance(rig.gateway.refund(RefundOrder("refund:2", charge.reference, Money(630, "EUR"))), Refunded)


def test_a_refund_that_timed_out_is_asked_for(rig: Rig, payer: str) -> None:
    charge = paid(rig, payer)
    whole = RefundOrder("refund:1", charge.reference, PRICE)
    rig.lose("refund", LOST)
    with pytest.raises(OutcomeUnknown):
        rig.gateway.refund(whole)
    assert rig.gateway.ask_refund("refund:1", charge.reference) == Unseen("refund:1")
    rig.lose("refund", ANSWER_LOST)
    with pytest.raises(OutcomeUnknown):
        rig.gateway.refund(whole)
    given_back = rig.gateway.ask_refund("refund:1", charge.reference)
    assert isinstance(given_back, Refunded) and given_back.amount == PRICE


def test_only_what_was_paid_is_given_back_and_in_its_own_currency(rig: Rig, payer: str) -> None:
    waiting = waiting_charge(rig, payer)
    with pytest.raises(Refused) as not_paid:
        rig.gateway.refund(RefundOrder("refund:1", waiting.reference, PRICE))
    assert not_paid.value.code == "not_paid"
    rig.authenticate(waiting.reference, True)
    with pytest.raises(Refused) as other_currency:
        rig.gateway.refund(RefundOrder("refund:1", waiting.reference, Money(1000, "JPY")))
    assert other_currency.value.code == "currency_unsupported"


# Events


def test_an_event_tells_what_became_of_a_charge(rig: Rig, payer: str) -> None:
    outcome = paid(rig, payer)
    body, headers = rig.event(payer)
    event = rig.gateway.read_event(body, headers, rig.now())
    assert event.told == ChargeTold("inv-1:1", payer, outcome)
    assert abs(event.at - rig.now()) < datetime.timedelta(minutes=2)


def test_an_event_tells_of_a_decline(rig: Rig, payer: str) -> None:
    rig.gateway.charge(order(payer, saved_card(rig, payer, DECLINED_LATER, "setup-1")))
    body, headers = rig.event(payer)
    told = rig.gateway.read_event(body, headers, rig.now()).told
    assert isinstance(told, ChargeTold) and isinstance(told.outcome, Declined)


def test_a_replayed_event_has_its_old_id_and_is_stale_after_five_minutes(rig: Rig, payer: str) -> None:
    paid(rig, payer)
    body, headers = rig.event(payer)
    now = rig.now()
    first, again = (rig.gateway.read_event(body, headers, now) for _ in range(2))
    assert first.id == again.id
    for apart in (datetime.timedelta(minutes=6), -datetime.timedelta(minutes=6)):
        with pytest.raises(EventStale):
            rig.gateway.read_event(body, headers, now + apart)


def test_a_forged_event_is_rejected_whatever_was_changed(rig: Rig, payer: str) -> None:
    paid(rig, payer)
    body, headers = rig.event(payer)
    name = next(one for one in headers if one.lower() in ("stripe-signature", "gateway-signature"))
    forgeries: list[tuple[bytes, dict[str, str]]] = [
        (body.replace(b"1230", b"0001"), headers),
        (body + b" ", headers),
        (b"", headers),
        (body, {}),
        (body, changed(headers, name, lambda value: value.replace("v1=", "v0="))),
        (body, changed(headers, name, lambda value: value[:-1] + ("0" if value[-1] != "0" else "1"))),
        # The same signature, moved to another time.
        (body, changed(headers, name, lambda value: f"t={int(value[2:12]) + 1}{value[12:]}")),
        (body, changed(headers, name, lambda value: value.partition(",")[2])),
        (body, changed(headers, name, lambda value: "t=x,v1=ü")),
    ]
    for forged, with_headers in forgeries:
        with pytest.raises(EventForged):
            rig.gateway.read_event(forged, with_headers, rig.now())
    assert rig.gateway.read_event(body, changed(headers, name, lambda value: f"{value},v1=00,v9=x"), rig.now())


def test_an_event_about_another_accounts_payment_is_foreign(rig: Rig, payer: str) -> None:
    paid(rig, payer)
    body, headers = rig.event(payer)
    told = rig.gateway.read_event(body, headers, rig.now()).told
    assert isinstance(told, ChargeTold)
    told.belongs("inv-1:1", payer)
    for key, who in (("inv-1:1", rig.gateway.open_payer("account-8")), ("inv-2:1", payer)):
        with pytest.raises(EventForeign):
            told.belongs(key, who)


def test_a_body_longer_than_any_event_is_not_even_hashed(rig: Rig) -> None:
    with pytest.raises(EventUnreadable):
        rig.gateway.read_event(b" " * (2 << 20), {}, rig.now())
