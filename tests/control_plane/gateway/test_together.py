"""The fake gateway's memory, and all of its faults together: one key is one charge, and the sums are right."""

from __future__ import annotations

import datetime
import subprocess
import sys
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from control_plane.clock import TestClock
from control_plane.gateway.errors import GatewayError, OutcomeUnknown, TryLater
from control_plane.gateway.fake.cards import DECLINED_LATER, GOOD
from control_plane.gateway.fake.faults import Script, Seeded
from control_plane.gateway.memory import MemoryGateway
from control_plane.gateway.port import (
    Processing,
    Refunded,
    RefundOrder,
    RefundProcessing,
    Succeeded,
    Unseen,
)
from control_plane.money import Money
from tests.control_plane.gateway.rigs import DAY, NOW, PRICE, SECRET, FakeRig, order, saved_card

ROOT = Path(__file__).resolve().parents[3]


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


def test_whoever_is_killed_while_charging_has_charged_once_or_not_at_all(tmp_path: Path) -> None:
    rig = FakeRig()
    rig.gateway = MemoryGateway(rig.clock, SECRET, directory=tmp_path)
    payer = rig.gateway.open_payer("account-7")
    token = saved_card(rig, payer, GOOD, "setup-1")
    rig.gateway.close()
    program = [sys.executable, "-m", "tests.control_plane.gateway.killed", str(tmp_path), payer, token]
    with subprocess.Popen(program, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        while int(process.stdout.readline()) < 20:
            pass
        process.kill()
        known = 20 + len(process.stdout.read().split())
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
