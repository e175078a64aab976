"""The fake gateway: refunds, disputes, and how its events arrive."""

from __future__ import annotations

import pytest

from control_plane.gateway.errors import KeyReused, Refused
from control_plane.gateway.fake.faults import Slow
from control_plane.gateway.fake.outside import collected
from control_plane.gateway.port import (
    ChargeTold,
    DisputeTold,
    Refunded,
    RefundFailed,
    RefundOrder,
    RefundProcessing,
)
from control_plane.money import Money
from tests.control_plane.gateway.rigs import DAY, NOW, PRICE, FakeRig, paid

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


def test_what_was_given_back_whole_is_not_disputed_too(fake: FakeRig, payer: str) -> None:
    charge = paid(fake, payer)
    fake.gateway.refund(RefundOrder("refund:1", charge.reference, PRICE))
    with pytest.raises(Refused) as refused:
        fake.gateway.outside.open_dispute(charge.reference, PRICE)
    assert refused.value.code == "over_refunded"


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
