"""The fake gateway's own ways to fail: keys, time and cards."""

from __future__ import annotations

import datetime
from dataclasses import replace

import pytest

from control_plane.billing.freeze import CardMonth
from control_plane.gateway.errors import KeyReused, OutcomeUnknown, Refused, TryLater
from control_plane.gateway.fake.cards import CARDS, GOOD
from control_plane.gateway.fake.faults import AnswerLost, Authenticate, Busy, Decline, Late, Slow
from control_plane.gateway.fake.outside import collected
from control_plane.gateway.port import (
    CardDeclined,
    CardSaved,
    CardTold,
    Declined,
    NeedsAction,
    Processing,
    Succeeded,
    Unseen,
)
from control_plane.money import Money
from tests.control_plane.gateway.rigs import DAY, FAR, NOW, PAGE, PRICE, FakeRig, order, saved_card

# Keys


def test_a_key_charges_once_however_often_it_is_sent(fake: FakeRig, payer: str) -> None:
    one = order(payer, saved_card(fake, payer, GOOD, "setup-1"))
    assert len({fake.gateway.charge(one) for _ in range(5)}) == 1
    assert fake.gateway.outside.held() == {"EUR": PRICE}


def test_a_key_with_another_order_is_refused(fake: FakeRig, payer: str) -> None:
    one = order(payer, saved_card(fake, payer, GOOD, "setup-1"))
    fake.gateway.charge(one)
    for other in (replace(one, amount=Money(1, "EUR")), replace(one, present=True), replace(one, token="another")):
        with pytest.raises(KeyReused):
            fake.gateway.charge(other)
    assert fake.gateway.outside.held() == {"EUR": PRICE}


def test_a_set_up_and_a_payer_are_one_for_each_key(fake: FakeRig, payer: str) -> None:
    assert fake.gateway.open_payer("account-7") == payer != fake.gateway.open_payer("account-8")
    assert fake.gateway.begin_card(payer, "setup-1") == fake.gateway.begin_card(payer, "setup-1")
    with pytest.raises(KeyReused):
        fake.gateway.begin_card(fake.gateway.open_payer("account-8"), "setup-1")


def test_a_repeated_key_gives_its_first_answer_and_ask_gives_the_present_one(fake: FakeRig, payer: str) -> None:
    one = order(payer, saved_card(fake, payer, GOOD, "setup-1"))
    fake.plan.then("charge", Slow(DAY))
    first = fake.gateway.charge(one)
    assert isinstance(first, Processing)
    fake.clock.advance_to(NOW + DAY)
    assert fake.gateway.charge(one) == first
    assert fake.gateway.ask("inv-1:1", payer) == Succeeded(first.reference, PRICE)


# Time


@pytest.mark.parametrize("well", [True, False])
def test_a_slow_charge_settles_by_itself(fake: FakeRig, payer: str, well: bool) -> None:
    fake.plan.then("charge", Slow(DAY, well))
    fake.gateway.charge(order(payer, saved_card(fake, payer, GOOD, "setup-1")))
    fake.clock.advance_to(NOW + DAY - datetime.timedelta(seconds=1))
    assert isinstance(fake.gateway.ask("inv-1:1", payer), Processing)
    assert fake.gateway.outside.held() == {}
    fake.clock.advance_to(NOW + DAY)
    outcome = fake.gateway.ask("inv-1:1", payer)
    assert isinstance(outcome, Succeeded if well else Declined)
    assert fake.gateway.outside.held() == ({"EUR": PRICE} if well else {})


def test_an_order_that_arrives_late_was_unseen_before(fake: FakeRig, payer: str) -> None:
    fake.plan.then("charge", Late(DAY))
    with pytest.raises(OutcomeUnknown):
        fake.gateway.charge(order(payer, saved_card(fake, payer, GOOD, "setup-1")))
    assert isinstance(fake.gateway.ask("inv-1:1", payer), Unseen)
    fake.clock.advance_to(NOW + DAY)
    assert isinstance(fake.gateway.ask("inv-1:1", payer), Succeeded)


def test_a_late_order_by_a_card_that_settles_a_day_later_is_settled_with_the_first_look(
    fake: FakeRig, payer: str
) -> None:
    fake.plan.then("charge", Late(DAY))
    with pytest.raises(OutcomeUnknown):
        fake.gateway.charge(order(payer, saved_card(fake, payer, "4999000000000011", "setup-1")))
    fake.clock.advance_to(NOW + 3 * DAY)
    assert isinstance(fake.gateway.ask("inv-1:1", payer), Succeeded)


def test_an_order_that_arrives_after_its_repetition_changes_nothing(fake: FakeRig, payer: str) -> None:
    """This is why the same key is sent again, and never a new one."""
    one = order(payer, saved_card(fake, payer, GOOD, "setup-1"))
    fake.plan.then("charge", Late(DAY))
    with pytest.raises(OutcomeUnknown):
        fake.gateway.charge(one)
    assert isinstance(fake.gateway.charge(one), Succeeded)
    fake.clock.advance_to(NOW + 2 * DAY)
    assert fake.gateway.outside.held() == {"EUR": PRICE}


def test_a_late_order_for_a_card_that_was_forgotten_comes_to_nothing(fake: FakeRig, payer: str) -> None:
    token = saved_card(fake, payer, GOOD, "setup-1")
    fake.plan.then("charge", Late(DAY))
    with pytest.raises(OutcomeUnknown):
        fake.gateway.charge(order(payer, token))
    fake.gateway.forget_card(token)
    fake.clock.advance_to(NOW + DAY)
    assert isinstance(fake.gateway.ask("inv-1:1", payer), Unseen)


def test_a_busy_gateway_has_done_nothing_and_says_when_again(fake: FakeRig, payer: str) -> None:
    one = order(payer, saved_card(fake, payer, GOOD, "setup-1"))
    fake.plan.then("charge", Busy(7))
    with pytest.raises(TryLater) as later:
        fake.gateway.charge(one)
    assert later.value.retry_after_s == 7
    assert isinstance(fake.gateway.ask("inv-1:1", payer), Unseen)


def test_a_planned_decline_and_a_planned_question_come_with_a_good_card(fake: FakeRig, payer: str) -> None:
    token = saved_card(fake, payer, GOOD, "setup-1")
    fake.plan.then("charge", Decline("insufficient_funds"), Authenticate())
    declined = fake.gateway.charge(order(payer, token))
    assert isinstance(declined, Declined) and (declined.code, declined.retryable) == ("insufficient_funds", True)
    waiting = fake.gateway.charge(order(payer, token, "inv-1:2"))
    assert isinstance(waiting, NeedsAction)
    assert waiting.link == PAGE.replace("{}", waiting.reference)


# Cards


def test_a_card_is_good_to_the_last_day_of_its_month(fake: FakeRig, payer: str) -> None:
    token = saved_card(fake, payer, GOOD, "setup-1", CardMonth(2026, 12))
    fake.clock.advance_to(datetime.datetime(2026, 12, 31, 23, 59, tzinfo=datetime.UTC))
    assert isinstance(fake.gateway.charge(order(payer, token)), Succeeded)
    fake.clock.advance_to(datetime.datetime(2027, 1, 1, tzinfo=datetime.UTC))
    outcome = fake.gateway.charge(order(payer, token, "inv-2:1"))
    assert isinstance(outcome, Declined) and (outcome.code, outcome.retryable) == ("expired_card", False)
    # The issuer sends a new one: the token stays, and we are told.
    fake.gateway.outside.renew_card(token, FAR)
    told = [fake.gateway.read_event(*posted, fake.now()).told for posted in collected(fake.gateway.outside)]
    assert [one.card.expires for one in told if isinstance(one, CardTold)] == [FAR]
    assert isinstance(fake.gateway.charge(order(payer, token, "inv-2:2")), Succeeded)


def test_an_expired_card_is_not_saved_and_another_may_be_tried(fake: FakeRig, payer: str) -> None:
    setup = fake.gateway.begin_card(payer, "setup-1")
    fake.gateway.outside.enter_card(setup, GOOD, CardMonth(2026, 11))
    assert fake.gateway.card_of(setup) == CardDeclined(setup, "expired_card")
    fake.gateway.outside.enter_card(setup, "4111111111111111", FAR)
    assert fake.gateway.card_of(setup) == CardDeclined(setup, "card_unusable")
    fake.gateway.outside.enter_card(setup, GOOD, FAR)
    with pytest.raises(Refused):
        fake.gateway.outside.enter_card(setup, GOOD, FAR)


def test_a_refused_authentication_does_not_save_a_card(fake: FakeRig, payer: str) -> None:
    setup = fake.gateway.begin_card(payer, "setup-1")
    fake.gateway.outside.enter_card(setup, "4000002500003155", FAR)
    fake.gateway.outside.authenticate(setup, False)
    assert fake.gateway.card_of(setup) == CardDeclined(setup, "authentication_failed")
    with pytest.raises(Refused):
        fake.gateway.outside.authenticate(setup, True)


def test_a_forgotten_card_and_another_payers_card_are_not_charged(fake: FakeRig, payer: str) -> None:
    token = saved_card(fake, payer, GOOD, "setup-1")
    with pytest.raises(Refused):
        fake.gateway.charge(order(fake.gateway.open_payer("account-8"), token))
    fake.gateway.forget_card(token)
    fake.gateway.forget_card(token)
    with pytest.raises(Refused):
        fake.gateway.charge(order(payer, token))
    assert fake.gateway.outside.held() == {}


@pytest.mark.parametrize("number", CARDS)
def test_every_listed_card_does_something_that_the_port_can_say(fake: FakeRig, payer: str, number: str) -> None:
    setup = fake.gateway.begin_card(payer, "setup-1")
    fake.gateway.outside.enter_card(setup, number, FAR)
    if CARDS[number].authenticates != "never":
        fake.gateway.outside.authenticate(setup, True)
    saved = fake.gateway.card_of(setup)
    assert isinstance(saved, CardDeclined) is (CARDS[number].saving is not None)
    if isinstance(saved, CardSaved):
        outcome = fake.gateway.charge(order(payer, saved.card.token))
        assert isinstance(outcome, NeedsAction) is (CARDS[number].authenticates == "always")
        if isinstance(outcome, NeedsAction):
            fake.gateway.outside.authenticate(outcome.reference, True)
        fake.clock.advance_to(NOW + DAY)
        good = CARDS[number].charging is None and CARDS[number].settles != "fails later"
        assert isinstance(fake.gateway.ask("inv-1:1", payer), Succeeded if good else Declined)


def test_no_event_carries_a_cards_number(fake: FakeRig, payer: str) -> None:
    token = saved_card(fake, payer, GOOD, "setup-1")
    fake.gateway.charge(order(payer, token))
    fake.gateway.outside.renew_card(token, CardMonth(2031, 1))
    posted = collected(fake.gateway.outside)
    assert len(posted) == 3
    assert not any(GOOD.encode() in body for body, _ in posted)


def test_a_lost_answer_hides_a_refusal_too(fake: FakeRig, payer: str) -> None:
    fake.plan.then("charge", AnswerLost())
    with pytest.raises(OutcomeUnknown):
        fake.gateway.charge(order(payer, "no card"))
    assert isinstance(fake.gateway.ask("inv-1:1", payer), Unseen)
