"""The fake gateway's own ways to fail: each by itself, and all together under Hypothesis."""

from __future__ import annotations

import datetime
import multiprocessing
import os
import signal
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from control_plane.billing.freeze import CardMonth
from control_plane.clock import TestClock
from control_plane.gateway.fake.cards import CARDS, DECLINED_LATER, GOOD
from control_plane.gateway.fake.faults import AnswerLost, Authenticate, Busy, Decline, Late, Script, Seeded, Slow
from control_plane.gateway.fake.outside import collected
from control_plane.gateway.memory import MemoryGateway
from control_plane.gateway.port import (
    CardDeclined,
    CardSaved,
    CardTold,
    ChargeOrder,
    ChargeTold,
    Declined,
    DisputeTold,
    GatewayError,
    KeyReused,
    NeedsAction,
    OutcomeUnknown,
    Processing,
    Refunded,
    RefundFailed,
    RefundOrder,
    RefundProcessing,
    Refused,
    Succeeded,
    TryLater,
    Unseen,
)
from control_plane.money import Money
from tests.control_plane.gateway.rigs import FAR, NOW, PAGE, SECRET, FakeRig, saved_card

PRICE = Money(1230, "EUR")
DAY = datetime.timedelta(days=1)


@pytest.fixture
def payer(fake: FakeRig) -> str:
    return fake.gateway.open_payer("account-7")


def order(payer: str, token: str, key: str = "inv-1:1", amount: Money = PRICE) -> ChargeOrder:
    return ChargeOrder(key, payer, token, amount, present=False)


def paid(fake: FakeRig, payer: str, number: str = GOOD) -> Succeeded:
    outcome = fake.gateway.charge(order(payer, saved_card(fake, payer, number, "setup-paid")))
    assert isinstance(outcome, Succeeded)
    return outcome


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


# Refunds and disputes


def test_a_refund_may_come_back(fake: FakeRig, payer: str) -> None:
    charge = paid(fake, payer, "4000000000005126")
    refund = fake.gateway.refund(RefundOrder("refund:1", charge.reference, PRICE))
    assert isinstance(refund, RefundProcessing)
    assert fake.gateway.outside.held() == {"EUR": Money(0, "EUR")}
    fake.clock.advance_to(NOW + DAY)
    assert fake.gateway.ask_refund("refund:1", charge.reference) == RefundFailed(refund.reference)
    assert fake.gateway.outside.held() == {"EUR": PRICE}
    # What came back is there to be given again, in another way or under another key.
    assert isinstance(fake.gateway.refund(RefundOrder("refund:2", charge.reference, PRICE)), RefundProcessing)


def test_what_is_on_its_way_back_is_not_given_back_twice(fake: FakeRig, payer: str) -> None:
    charge = paid(fake, payer)
    fake.plan.then("refund", Slow(DAY))
    fake.gateway.refund(RefundOrder("refund:1", charge.reference, PRICE))
    with pytest.raises(Refused):
        fake.gateway.refund(RefundOrder("refund:2", charge.reference, Money(1, "EUR")))
    with pytest.raises(KeyReused):
        fake.gateway.refund(RefundOrder("refund:1", charge.reference, Money(1, "EUR")))
    fake.clock.advance_to(NOW + DAY)
    assert isinstance(fake.gateway.ask_refund("refund:1", charge.reference), Refunded)


def test_a_disputed_charge_is_not_given_back_too(fake: FakeRig, payer: str) -> None:
    charge = paid(fake, payer)
    dispute = fake.gateway.outside.open_dispute(charge.reference)
    assert fake.gateway.disputes(charge.reference) == (dispute,)
    with pytest.raises(Refused) as refused:
        fake.gateway.refund(RefundOrder("refund:1", charge.reference, PRICE))
    assert refused.value.code == "disputed"
    fake.gateway.outside.close_dispute(dispute.reference, won=False)
    with pytest.raises(Refused):
        fake.gateway.refund(RefundOrder("refund:1", charge.reference, PRICE))
    assert fake.gateway.outside.held() == {"EUR": Money(0, "EUR")}


def test_a_refunded_charge_is_disputed_for_the_rest_only(fake: FakeRig, payer: str) -> None:
    charge = paid(fake, payer)
    fake.gateway.refund(RefundOrder("refund:1", charge.reference, Money(1000, "EUR")))
    with pytest.raises(Refused):
        fake.gateway.outside.open_dispute(charge.reference, PRICE)
    assert fake.gateway.outside.open_dispute(charge.reference).amount == Money(230, "EUR")
    assert fake.gateway.outside.held() == {"EUR": Money(0, "EUR")}


def test_a_won_dispute_brings_the_money_back_and_may_then_be_refunded(fake: FakeRig, payer: str) -> None:
    charge = paid(fake, payer)
    dispute = fake.gateway.outside.open_dispute(charge.reference)
    assert fake.gateway.outside.held() == {"EUR": Money(0, "EUR")}
    fake.gateway.outside.close_dispute(dispute.reference, won=True)
    assert fake.gateway.outside.held() == {"EUR": PRICE}
    with pytest.raises(Refused):
        fake.gateway.outside.close_dispute(dispute.reference, won=False)
    assert isinstance(fake.gateway.refund(RefundOrder("refund:1", charge.reference, PRICE)), Refunded)


def test_two_disputes_on_one_charge_never_take_more_than_it_was(fake: FakeRig, payer: str) -> None:
    charge = paid(fake, payer)
    fake.gateway.outside.open_dispute(charge.reference, Money(1000, "EUR"))
    with pytest.raises(Refused):
        fake.gateway.outside.open_dispute(charge.reference, Money(231, "EUR"))
    fake.gateway.outside.open_dispute(charge.reference, Money(230, "EUR"))
    assert [one.amount.minor for one in fake.gateway.disputes(charge.reference)] == [1000, 230]
    assert fake.gateway.outside.held() == {"EUR": Money(0, "EUR")}


def test_a_card_that_is_disputed_by_its_owner_tells_so_after_the_payment(fake: FakeRig, payer: str) -> None:
    charge = paid(fake, payer, "4000000000000259")
    told = [fake.gateway.read_event(*posted, fake.now()).told for posted in collected(fake.gateway.outside)]
    assert [type(one) for one in told[-2:]] == [ChargeTold, DisputeTold]
    assert [one.state for one in fake.gateway.disputes(charge.reference)] == ["open"]


# Events


def test_events_come_twice_and_in_the_wrong_order_where_the_plan_says_so(fake: FakeRig, payer: str) -> None:
    fake.plan.reverse = fake.plan.twice = True
    paid(fake, payer, "4000000000000259")
    events = [fake.gateway.read_event(*posted, fake.now()) for posted in collected(fake.gateway.outside)]
    assert isinstance(events[0].told, DisputeTold) and len(events) == 2 * len({event.id for event in events})
    assert collected(fake.gateway.outside) == []


def test_an_event_that_nobody_took_comes_again_unchanged_and_freshly_signed(fake: FakeRig, payer: str) -> None:
    paid(fake, payer)
    refused: list[bytes] = []

    def refuse(body: bytes, headers: dict[str, str]) -> bool:
        refused.append(body)
        return False

    assert fake.gateway.outside.deliver(refuse) == len(refused) > 0
    fake.clock.advance_to(NOW + DAY)
    again = collected(fake.gateway.outside)
    assert [body for body, _ in again] == refused
    assert all(fake.gateway.read_event(*posted, fake.now()) for posted in again)


# Its memory


def test_a_directory_outlives_the_gateway(tmp_path: Path) -> None:
    first = FakeRig()
    first.gateway = MemoryGateway(first.clock, SECRET, directory=tmp_path)
    payer = first.gateway.open_payer("account-7")
    token = saved_card(first, payer, GOOD, "setup-1")
    outcome = first.gateway.charge(order(payer, token))
    first.gateway.close()
    second = MemoryGateway(TestClock(NOW), SECRET, directory=tmp_path)
    assert second.ask("inv-1:1", payer) == outcome == second.charge(order(payer, token))
    assert second.outside.held() == {"EUR": PRICE}
    second.close()


def _charge_until_killed(directory: Path, payer: str, token: str, pipe: int) -> None:
    gateway = MemoryGateway(TestClock(NOW), SECRET, directory=directory)
    for attempt in range(1, 100_000):
        gateway.charge(order(payer, token, f"inv-1:{attempt}", Money(1, "EUR")))
        os.write(pipe, b"%d\n" % attempt)


def test_whoever_is_killed_while_charging_has_charged_once_or_not_at_all(tmp_path: Path) -> None:
    rig = FakeRig()
    rig.gateway = MemoryGateway(rig.clock, SECRET, directory=tmp_path)
    payer = rig.gateway.open_payer("account-7")
    token = saved_card(rig, payer, GOOD, "setup-1")
    rig.gateway.close()
    reading, writing = os.pipe()
    context = multiprocessing.get_context("fork")
    process = context.Process(target=_charge_until_killed, args=(tmp_path, payer, token, writing))
    process.start()
    os.close(writing)
    answered = os.fdopen(reading, "rb")
    while int(answered.readline()) < 20:
        pass
    assert process.pid is not None
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    known = 20 + len([line for line in answered.read().splitlines() if line])
    gateway = MemoryGateway(TestClock(NOW), SECRET, directory=tmp_path)
    # Every answered one is there; of the one that was cut off, it can be asked.
    assert all(isinstance(gateway.ask(f"inv-1:{attempt}", payer), Succeeded) for attempt in range(1, known + 1))
    cut_off = gateway.ask(f"inv-1:{known + 1}", payer)
    held = known + isinstance(cut_off, Succeeded)
    assert gateway.outside.held() == {"EUR": Money(held, "EUR")}
    gateway.charge(order(payer, token, f"inv-1:{known + 1}", Money(1, "EUR")))
    assert gateway.outside.held() == {"EUR": Money(known + 1, "EUR")}
    gateway.close()


# All together

STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("charge"), st.integers(0, 5), st.sampled_from([1, 1230, 99_999])),
        st.tuples(st.just("ask"), st.integers(0, 5), st.just(0)),
        st.tuples(st.just("refund"), st.integers(0, 5), st.sampled_from([1, 600, 1230])),
        st.tuples(st.just("call_off"), st.integers(0, 5), st.just(0)),
        st.tuples(st.just("authenticate"), st.integers(0, 5), st.integers(0, 1)),
        st.tuples(st.just("dispute"), st.integers(0, 5), st.sampled_from([1, 1230])),
        st.tuples(st.just("close"), st.integers(0, 5), st.integers(0, 1)),
        st.tuples(st.just("wait"), st.integers(1, 3000), st.just(0)),
    ),
    max_size=40,
)
NUMBERS = [GOOD, DECLINED_LATER, "4000000000000259", "4000000000005126", "4999000000000011", "4000000000007726"]


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(steps=STEPS, seed=st.integers(0, 10_000), of_256=st.sampled_from([0, 60, 200]), number=st.sampled_from(NUMBERS))
def test_whatever_fails_a_key_charges_once_and_the_sum_is_right(
    steps: list[tuple[str, int, int]], seed: int, of_256: int, number: str
) -> None:
    rig = FakeRig()
    payer = rig.gateway.open_payer("account-7")
    token = saved_card(rig, payer, number, "setup-1")
    rig.gateway._plan = Seeded(seed, of_256)
    amounts: dict[int, int] = {}
    for verb, which, number_ in steps:
        key = f"inv-{which}:1"
        try:
            if verb == "wait":
                rig.clock.advance_to(rig.now() + datetime.timedelta(minutes=which))
            elif verb == "charge":
                # A key stands for one order, as billing has it.
                amount = Money(amounts.setdefault(which, number_), "EUR")
                rig.gateway.charge(order(payer, token, key, amount))
            elif isinstance(outcome := rig.gateway.ask(key, payer), Unseen) or verb == "ask":
                continue
            elif verb == "refund":
                refund = RefundOrder(f"refund-{which}:{number_}", outcome.reference, Money(number_, "EUR"))
                rig.gateway.refund(refund)
            elif verb == "call_off":
                rig.gateway.call_off(outcome.reference)
            elif verb == "authenticate":
                rig.gateway.outside.authenticate(outcome.reference, bool(number_))
            elif verb == "dispute":
                rig.gateway.outside.open_dispute(outcome.reference, Money(number_, "EUR"))
            elif disputes := rig.gateway.disputes(outcome.reference):
                rig.gateway.outside.close_dispute(disputes[0].reference, bool(number_))
        except GatewayError:
            pass
        _check_sums(rig, payer, amounts)
    rig.clock.advance_to(rig.now() + 10 * DAY)
    _check_sums(rig, payer, amounts)
    # Whoever keeps asking, and sends with the old key what is unseen, comes to an end with every order.
    for which, minor in amounts.items():
        for _ in range(4):
            try:
                rig.gateway.charge(order(payer, token, f"inv-{which}:1", Money(minor, "EUR")))
            except (OutcomeUnknown, TryLater):
                continue
    rig.clock.advance_to(rig.now() + 10 * DAY)
    rig.gateway._plan = Script()
    assert not any(isinstance(rig.gateway.ask(f"inv-{which}:1", payer), Unseen | Processing) for which in amounts)
    rig.gateway.close()


def _check_sums(rig: FakeRig, payer: str, amounts: dict[int, int]) -> None:
    """What is held is all charges, less what was given back or is disputed; counted from what the port answers."""
    calm, rig.gateway._plan = rig.gateway._plan, Script()
    held = succeeded = 0
    for which, minor in amounts.items():
        outcome = rig.gateway.ask(f"inv-{which}:1", payer)
        if not isinstance(outcome, Succeeded):
            continue
        assert outcome.amount.minor == minor
        succeeded += 1
        refunds = [
            part
            for part in (1, 600, 1230)
            if isinstance(
                rig.gateway.ask_refund(f"refund-{which}:{part}", outcome.reference), Refunded | RefundProcessing
            )
        ]
        taken = [one.amount.minor for one in rig.gateway.disputes(outcome.reference) if one.state in ("open", "lost")]
        kept = minor - sum(refunds) - sum(taken)
        assert kept >= 0
        held += kept
    # One key, one charge: the gateway has no other beside those that the keys name.
    assert len(rig.paid(payer)) == succeeded
    assert rig.gateway.outside.held().get("EUR", Money(0, "EUR")).minor == held
    rig.gateway._plan = calm


@given(seed=st.integers(), events=st.lists(st.text(min_size=1), unique=True), number=st.integers(0, 9))
def test_a_seed_repeats_itself_and_leaves_no_event_out(seed: int, events: list[str], number: int) -> None:
    plan = Seeded(seed, 100)
    delivered = plan.delivery(events, number)
    assert delivered == Seeded(seed, 100).delivery(events, number)
    assert set(delivered) == set(events)
    assert [plan.fault("charge", "inv-1:1", 1 + n) for n in range(4)][2:] == [None, None]


def test_a_lost_answer_hides_a_refusal_too(fake: FakeRig, payer: str) -> None:
    fake.plan.then("charge", AnswerLost())
    with pytest.raises(OutcomeUnknown):
        fake.gateway.charge(order(payer, "no card"))
    assert isinstance(fake.gateway.ask("inv-1:1", payer), Unseen)


def test_what_was_given_back_whole_is_not_disputed_too(fake: FakeRig, payer: str) -> None:
    charge = paid(fake, payer)
    fake.gateway.refund(RefundOrder("refund:1", charge.reference, PRICE))
    with pytest.raises(Refused) as refused:
        fake.gateway.outside.open_dispute(charge.reference, PRICE)
    assert refused.value.code == "over_refunded"
