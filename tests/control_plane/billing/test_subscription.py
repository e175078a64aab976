"""The subscription's machine: what is lived through at each edge."""

from __future__ import annotations

import datetime
from dataclasses import replace

import pytest

from control_plane.billing import subscription as machine
from control_plane.billing.freeze import CardMonth
from control_plane.billing.subscription import (
    EXPIRED_DAYS,
    AskFreeze,
    Boundary,
    ChangeCard,
    ChangeTerms,
    Charge,
    Charging,
    Close,
    Collect,
    ConfirmCancel,
    Due,
    Failed,
    Opened,
    Order,
    Refund,
    RefuseReturn,
    RequestCancel,
    Return,
    SetAutopay,
    Settled,
    StartTrial,
    Subscription,
    Tell,
    Terminate,
    Terms,
    TrialOver,
    UndoCancel,
    Unfreeze,
    WindowOver,
    WithdrawFreeze,
)
from control_plane.errors import Invalid
from control_plane.periods import Period, Span
from tests.control_plane.billing.life import DAY, MONTHLY, NOON, PROFESSIONAL, START, YEARLY, Life, declined, frozen
from tests.control_plane.entries import entry


def test_paid_it_runs_for_exactly_thirty_days_and_renews_without_a_gap() -> None:
    life = Life.paying()
    with entry("BIL-20.2"):
        periods = [life.one.period]
        for _ in range(3):
            (charge,) = life.on(life.end).does(Boundary())
            assert isinstance(charge, Charge) and charge.charging.why == "renewal"
            assert life.does(Settled()) == (Opened(charge.charging.period, MONTHLY),)
            periods.append(life.one.period)
        assert [str(period) for period in periods] == [
            "2026-11-07/2026-12-07",
            "2026-12-07/2027-01-06",
            "2027-01-06/2027-02-05",
            "2027-02-05/2027-03-07",
        ]


def test_nobody_there_at_the_renewal_charges_one_period_that_is_not_shifted() -> None:
    life = Life.paying()
    with entry("BIL-20.1"):
        # Two wholly past periods are not charged (BIL-20); the one that is due now keeps to the chain.
        (charge,) = life.on(life.end + 65 * DAY).does(Boundary())
        assert charge.charging.period == Period.month(START).next().next().next()
        assert life.today in charge.charging.period
        assert life.does(Boundary()) == (), "twice at the boundary is one charge"


def test_a_declined_renewal_expires_from_the_first_unpaid_day_and_is_kept_for_90_days() -> None:
    life = Life.paying()
    first_unpaid = life.end
    life.on(first_unpaid).does(Boundary())
    assert life.state == "active", "nobody stands before a locked door while the gateway is asked"
    with entry("BIL-18.2"):
        effects = life.on(first_unpaid + DAY).does(Failed())
        assert life.state == "expired" and life.one.expired_on == first_unpaid
        assert Due("window_over", first_unpaid + EXPIRED_DAYS * DAY) in effects
        assert life.on(first_unpaid + 89 * DAY).does(WindowOver()) == () and life.state == "expired", "day 90"
        assert life.on(first_unpaid + 90 * DAY).does(WindowOver())[0] == Close("lapsed", expired=True)
        assert life.state == "ended"


def test_the_window_that_ends_on_the_day_of_the_rules_vectors() -> None:
    life = Life(Subscription(state="active", terms=MONTHLY, period=Period.month(START)), START + 30 * DAY)
    life.does(Boundary())
    assert life.one.window_ends_on == datetime.date(2027, 3, 7), "last day to pay 2027-03-06"


def test_payment_on_the_last_day_and_in_flight_at_the_limit() -> None:
    def expired() -> Life:
        life = Life.paying()
        life.does(SetAutopay(on=False))
        life.on(life.end).does(Boundary())
        assert life.state == "expired", "no consent, no charge (BIL-03)"
        return life

    with entry("BIL-19.1"):
        life = expired().on(START + 119 * DAY)
        life.does(Order(MONTHLY))
        life.does(Settled())
        assert life.state == "active" and life.one.period == Period.month(START + 119 * DAY), "no back fees"
    with entry("BIL-19.2"):
        life = expired().on(START + 119 * DAY)
        life.does(Order(MONTHLY))
        assert life.on(START + 120 * DAY).does(WindowOver()) == (), "its end decides"
        saved = Life(life.one, life.today)
        saved.does(Settled())
        assert saved.one.period == Period.month(START + 120 * DAY)
        assert life.does(Failed())[0] == Close("lapsed", expired=True)


def test_a_freeze_starts_on_the_first_day_that_is_not_paid_and_charges_nothing() -> None:
    life = Life.paying()
    with entry("BIL-21.1"):
        life.on(life.end - DAY).does(AskFreeze(90))
        effects = life.on(life.end).does(Boundary())
        assert life.state == "frozen" and life.one.frozen is not None
        assert life.one.frozen.first == START + 30 * DAY and life.one.frozen.days == 90
        assert not [effect for effect in effects if isinstance(effect, Charge)]
        assert Due("unfreeze", START + 120 * DAY) in effects


def test_a_freeze_asked_for_while_the_renewal_is_charged_goes_to_the_next_one() -> None:
    life = Life.paying()
    with entry("BIL-21.3"):
        life.on(life.end).does(Boundary())
        life.does(AskFreeze(30))
        life.does(Settled())
        assert life.state == "active" and life.one.freeze_days == 30
        life.on(life.end).does(Boundary())
        assert life.one.frozen is not None and life.one.frozen.first == START + 60 * DAY


def test_asked_twice_the_second_counts_and_withdrawn_it_renews() -> None:
    life = Life.paying()
    with entry("BIL-21.4"):
        life.does(AskFreeze(90))
        life.does(AskFreeze(10))
        assert life.one.freeze_days == 10
    with entry("BIL-21.5"):
        life.does(WithdrawFreeze())
        (charge,) = life.on(life.end).does(Boundary())
        assert isinstance(charge, Charge)


def test_who_cannot_freeze() -> None:
    trial, expired = Life(), Life(Subscription(state="expired", expired_on=START))
    trial.does(StartTrial())
    with entry("BIL-21.8"):
        assert trial.refused(AskFreeze(10)) == "freeze_state"
    with entry("BIL-21.9"):
        assert expired.refused(AskFreeze(10)) == "freeze_state"
    with entry("BIL-21.11"):
        cancelled = Life.paying()
        cancelled.does(RequestCancel(NOON))
        assert cancelled.refused(AskFreeze(10)) == "cancel_pending"
        frozen = Life.paying()
        frozen.does(AskFreeze(10))
        assert frozen.refused(RequestCancel(NOON)) == "freeze_pending"


def test_a_yearly_plan_with_300_days_left_freezes_after_them_and_without_a_card_only_the_days_bind() -> None:
    life = Life.paying(YEARLY)
    with entry("BIL-21.6"):
        life.on(START + 60 * DAY).does(AskFreeze(90))
        assert life.does(Boundary()) == () and life.state == "active", "300 paid days come first"
        life.on(START + 360 * DAY).does(Boundary())
        assert life.one.frozen is not None and life.one.frozen.first == START + 360 * DAY
    with entry("BIL-21.7"):
        assert life.one.frozen.days == 90


def test_the_card_that_ends_first_ends_the_freeze_and_a_new_one_counts_it_anew() -> None:
    life = Life.paying()
    card = CardMonth(2026, 12)
    life.does(AskFreeze(90, card))
    with entry("BIL-28.3"):
        effects = life.on(life.end).does(Boundary(card))
        assert Due("unfreeze", datetime.date(2026, 12, 31)) in effects
    assert life.does(ChangeCard(CardMonth(2027, 2))) == (Due("unfreeze", datetime.date(2027, 2, 28)),)
    with entry("BIL-28.1"):
        assert life.on(datetime.date(2026, 12, 31)).does(Unfreeze(by_hand=False)) == (), "the day of the old card"
        (charge,) = life.on(datetime.date(2027, 2, 28)).does(Unfreeze(by_hand=False))
        assert charge.charging.period.first == datetime.date(2027, 2, 28)
        assert life.does(Unfreeze(by_hand=False)) == ()


def test_a_card_changed_for_one_that_ends_before_the_freeze_lets_it_go_on_paying() -> None:
    life = Life.paying()
    life.does(AskFreeze(90, CardMonth(2027, 6)))
    told, charge = life.on(life.end).does(Boundary(CardMonth(2026, 11)))
    assert told == Tell("freeze_refused") and isinstance(charge, Charge)


def test_unfrozen_by_hand_it_pays_from_that_day_once_however_often_it_is_asked() -> None:
    with entry("BIL-27.4"):
        life = frozen()
        (charge,) = life.does(Unfreeze(by_hand=True))
        assert charge.charging.period == Period.month(START + 30 * DAY), "on the first frozen day"
    with entry("BIL-27.1"):
        assert life.does(Unfreeze(by_hand=True)) == ()
    with entry("BIL-27.2"):
        assert life.does(Unfreeze(by_hand=False)) == ()
    life.does(Settled())
    assert life.state == "active" and life.refused(Unfreeze(by_hand=True)) == "not_frozen"


def test_an_unfreezing_that_cannot_be_charged_expires_from_that_day() -> None:
    life = frozen()
    with entry("BIL-27.3"):
        life.on(START + 120 * DAY).does(Unfreeze(by_hand=False))
        effects = life.does(Failed())
        assert life.state == "expired"
    with entry("BIL-30.1"):
        assert Due("window_over", START + 210 * DAY) in effects, "90 and 90 days of storage"
    with entry("BIL-30.2"):
        assert life.refused(AskFreeze(10)) == "freeze_state"


def test_after_an_unfreezing_the_plan_is_the_earlier_one_from_the_day_it_was_paid() -> None:
    life = frozen()
    with entry("BIL-29.1"):
        life.on(START + 50 * DAY).does(Unfreeze(by_hand=True))
        life.on(START + 52 * DAY).does(Settled())  # a slow bank
        assert life.one.terms == MONTHLY and life.one.period == Period.month(START + 52 * DAY)


def test_cancelled_it_runs_to_the_end_of_what_is_paid_and_can_be_taken_back_until_then() -> None:
    life = Life.paying()
    with entry("BIL-31.1"):
        life.does(RequestCancel(NOON))
        life.does(UndoCancel())
        assert isinstance(life.on(life.end).does(Boundary())[0], Charge)
        life.does(Settled())
    with entry("BIL-31.2"):
        life.on(life.end - DAY).does(RequestCancel(NOON))
        assert life.state == "active"
    with entry("BIL-31.3"):
        once = life.one
        life.does(RequestCancel(NOON + DAY))
        assert life.one == once
    life.does(ConfirmCancel(NOON))
    effects = life.on(life.end).does(Boundary(covered=True))
    assert effects == (Close("cancelled", expired=False), Tell("ended")) and life.state == "ended"
    assert life.refused(UndoCancel()) == "not_subscribed"


def test_the_renewal_is_held_from_the_request_on_though_the_confirmation_has_not_left() -> None:
    life = Life.paying()
    with entry("BIL-34.3"):
        life.on(life.end - DAY).does(RequestCancel(NOON))
        effects = life.on(life.end).does(Boundary())
        assert not [effect for effect in effects if isinstance(effect, Charge)] and life.state == "ended"
    with entry("BIL-34.1"):
        life.does(ConfirmCancel(NOON + 20 * DAY))
        assert life.one.cancel_confirmed_at == NOON + 20 * DAY, "the stamp may come after the end"
    with entry("BIL-34.4"):
        life.does(ConfirmCancel(NOON + 25 * DAY))
        assert life.one.cancel_confirmed_at == NOON + 20 * DAY


def test_cancelled_in_the_trial_it_closes_with_it_and_not_cancelled_it_expires() -> None:
    trial = Life()
    (due,) = trial.does(StartTrial())
    assert trial.refused(StartTrial()) == "trial_used"
    with entry("BIL-31.5"):
        cancelled = Life(trial.one, trial.today)
        cancelled.does(RequestCancel(NOON))
        assert cancelled.on(due.on).does(TrialOver())[0] == Close("cancelled", expired=False)
    assert trial.on(due.on - DAY).does(TrialOver()) == ()
    trial.on(due.on).does(TrialOver())
    assert trial.state == "expired" and trial.one.expired_on == due.on
    with entry("BIL-47.2"):
        assert trial.refused(StartTrial()) == "trial_used"
        trial.does(Order(MONTHLY))
        trial.does(Settled())
        assert trial.state == "active"


def test_frozen_and_consultants_accounts_are_cancelled_by_support() -> None:
    life = frozen()
    with entry("BIL-33.1"):
        assert life.refused(RequestCancel(NOON)) == "through_support"
    with entry("BIL-33.2"):
        effects = life.does(RequestCancel(NOON, staff=True))
        assert Tell("ended") in effects and life.state == "ended"
    ordered = Life.paying()
    assert ordered.refused(RequestCancel(NOON, through_support=True)) == "through_support"


def test_cancelled_on_day_89_of_expired_it_keeps_the_long_window() -> None:
    life = Life(Subscription(state="expired", terms=MONTHLY, expired_on=START), START + 88 * DAY)
    with entry("BIL-36.4"):
        assert life.does(RequestCancel(NOON))[0] == Close("cancelled", expired=True)


def test_ended_without_cause_the_unused_days_are_paid_back_and_for_cause_none() -> None:
    with entry("BIL-43.1"):
        first, last = Life.paying(), Life.paying()
        assert first.does(Terminate(cause=False))[0] == Refund(Period.month(START), 29), "a begun day is used"
        assert not any(isinstance(one, Refund) for one in last.on(last.end - DAY).does(Terminate(cause=False)))
    with entry("BIL-40.2"):
        assert not any(isinstance(one, Refund) for one in Life.paying().does(Terminate(cause=True)))


def test_ended_without_cause_nothing_is_paid_back_where_nothing_is_prepaid() -> None:
    with entry("BIL-43.6"):
        assert frozen().does(Terminate(cause=False)) == (Close("terminated", expired=False), Tell("ended"))
    with entry("BIL-43.8"):
        life = Life(Subscription(state="expired", expired_on=START))
        assert life.does(Terminate(cause=False)) == (Close("terminated", expired=True), Tell("ended"))


def test_an_upgrade_counts_now_and_everything_else_from_the_next_period() -> None:
    with entry("BIL-48.1"):
        life = Life.paying()
        life.does(ChangeTerms(PROFESSIONAL, upgrade=True))
        assert life.one.terms == PROFESSIONAL and life.one.period == Period.month(START)
    with entry("BIL-48.3"):
        life = Life.paying()
        life.does(ChangeTerms(YEARLY, upgrade=True))
        (charge,) = life.on(life.end).does(Boundary())
        assert (life.one.terms, charge.charging.terms, charge.charging.period.days) == (MONTHLY, YEARLY, 360)
    with entry("BIL-48.5"):
        life = Life.paying()
        life.does(RequestCancel(NOON))
        assert life.refused(ChangeTerms(PROFESSIONAL, upgrade=True)) == "cancel_pending"
        life = Life.paying()
        life.does(AskFreeze(10))
        life.does(ChangeTerms(Terms("free", "month"), upgrade=False))
        life.on(life.end).does(Boundary())
        (charge,) = life.does(Unfreeze(by_hand=True))
        assert charge.charging.terms.plan == "free", "chosen before, and in force when charging resumes"


def test_suspended_over_a_boundary_nothing_is_charged_and_the_lift_collects() -> None:
    life = Life.paying()
    with entry("ACC-21.4"):
        life.does(AskFreeze(10))
        effects = life.on(life.end).does(Boundary(suspended=True))
        assert life.state == "expired" and not any(isinstance(one, Charge) for one in effects)
        (charge,) = life.on(life.today + 5 * DAY).does(Collect())
        assert charge.charging.period.first == life.today


def test_a_closed_one_comes_back_by_support_and_a_payment_from_that_day_on() -> None:
    life = Life.paying()
    life.does(Terminate(cause=True))
    with entry("BIL-37.2"):
        assert life.refused(Order(MONTHLY)) == "subscribed"
        life.on(START + 10 * DAY).does(Return(MONTHLY))
    with entry("BIL-37.3"):
        declined = Life(life.one, life.today)
        declined.does(Failed())
        assert declined.one.state == "ended"
    with entry("BIL-37.4"):
        life.on(START + 11 * DAY).does(Settled())
        assert life.state == "active" and life.one.period == Period.month(START + 11 * DAY)


def test_who_was_ended_for_a_cause_or_refused_comes_back_only_where_that_is_overruled() -> None:
    barred, plain = Life.paying(), Life.paying()
    barred.does(Terminate(cause=True, bars=True))
    plain.does(Terminate(cause=True))
    assert barred.refused(Return(MONTHLY)) == "return_refused"
    (charge,) = barred.does(Return(MONTHLY, overrules=True))
    assert charge.charging.why == "return" and barred.one.barred
    assert barred.refused(RefuseReturn()) == "payment_running"
    barred.does(Settled())
    assert (barred.state, barred.one.barred) == ("active", False), "it came back, so that is over"
    assert barred.refused(RefuseReturn()) == "not_ended"
    assert plain.does(RefuseReturn()) == () and plain.one.barred and plain.state == "ended"
    assert plain.refused(Return(MONTHLY)) == "return_refused"


def test_who_cancelled_and_came_back_has_not_cancelled() -> None:
    life = Life.paying()
    life.does(RequestCancel(NOON))
    life.does(ConfirmCancel(NOON))
    life.on(life.end).does(Boundary())
    life.does(Return(MONTHLY))
    assert life.one.cancel_requested_at == life.one.cancel_confirmed_at == NOON, "as long as nothing is paid"
    life.does(Settled())
    assert life.one.cancel_requested_at is life.one.cancel_confirmed_at is None
    life.does(SetAutopay(on=True))
    (charge,) = life.on(life.end).does(Boundary())
    assert isinstance(charge, Charge)


def test_what_cannot_be_is_refused_by_its_code() -> None:
    ended, renewing, ordering, trial = Life.paying(), Life.paying(), Life(), Life()
    ended.does(Terminate(cause=True))
    renewing.on(renewing.end).does(Boundary())
    ordering.does(Order(MONTHLY))
    trial.does(StartTrial())
    for life, event, code in (
        (Life(), RequestCancel(NOON), "not_subscribed"),
        (ended, RequestCancel(NOON), "not_subscribed"),
        (Life(), Terminate(cause=False), "not_subscribed"),
        (ended, Terminate(cause=False), "not_subscribed"),
        (frozen(), UndoCancel(), "not_subscribed"),
        (Life(), WithdrawFreeze(), "freeze_state"),
        (frozen(), WithdrawFreeze(), "freeze_state"),
        (frozen(), AskFreeze(10), "freeze_state"),
        (trial, ChangeTerms(YEARLY, upgrade=False), "plan_state"),
        (frozen(), ChangeTerms(YEARLY, upgrade=False), "plan_state"),
        (renewing, ChangeTerms(YEARLY, upgrade=False), "payment_running"),
        (Life(), Settled(), "nothing_charged"),
        (Life.paying(), Settled(), "nothing_charged"),
        (Life.paying(), Failed(), "nothing_charged"),
        (Life.paying(), Order(MONTHLY), "subscribed"),
        (frozen(), Order(MONTHLY), "subscribed"),
        (ordering, Order(MONTHLY), "payment_running"),
        (Life.paying(), Return(MONTHLY), "not_ended"),
        (declined(), Return(MONTHLY), "not_ended"),
        (Life.paying(), Unfreeze(by_hand=True), "not_frozen"),
        (Life.paying(), StartTrial(), "trial_used"),
    ):
        assert life.refused(event) == code, event
    ended.does(Return(MONTHLY))
    assert ended.refused(Return(MONTHLY)) == "payment_running"
    with_card = Life.paying()
    assert with_card.refused(AskFreeze(10, CardMonth(2026, 11))) == "card_ends"
    # While the renewal is charged, it would be frozen from 2027-01-06 on.
    assert renewing.refused(AskFreeze(10, CardMonth(2026, 12))) == "card_ends"
    renewing.does(AskFreeze(10, CardMonth(2027, 1)))


def test_what_comes_too_early_or_to_another_state_changes_nothing() -> None:
    trial, renewing, unwilling, late = Life(), Life.paying(), declined(), declined()
    trial.does(StartTrial(10))
    renewing.on(renewing.end).does(Boundary())
    unwilling.does(SetAutopay(on=False))
    late.on(START + 120 * DAY)
    paying = Life.paying()
    for life, event in (
        (trial.on(START + 9 * DAY), TrialOver()),
        (paying, TrialOver()),
        (paying.on(paying.end - DAY), Boundary()),
        (renewing, Boundary()),
        (trial, Boundary()),
        (paying, ChangeCard(None)),
        (paying, Unfreeze(by_hand=False)),
        (paying, WindowOver()),
        (paying, Collect()),
        (paying, ConfirmCancel(NOON)),
        (frozen(), ChangeCard(CardMonth(2027, 4))),
        (unwilling, Collect()),
        (late, Collect()),
        (declined(), WindowOver()),
    ):
        before = life.one
        assert life.does(event) == () and life.one == before, event
    assert trial.on(START + 10 * DAY).does(TrialOver())[-1] == Tell("expired")
    (charge,) = late.on(START + 119 * DAY).does(Collect())
    assert charge.charging == Charging(Period.month(START + 119 * DAY), MONTHLY, "return")
    assert late.does(Collect()) == ()


def test_a_period_that_credit_covers_needs_no_consent_but_a_suspended_one_has_none() -> None:
    covered, suspended = Life.paying(), Life.paying()
    for life in (covered, suspended):
        life.does(SetAutopay(on=False))
        life.on(life.end)
    (charge,) = covered.does(Boundary(covered=True))
    assert charge == Charge(Charging(Period.month(START + 30 * DAY), MONTHLY, "renewal"))
    assert suspended.does(Boundary(covered=True, suspended=True)) == (
        Due("window_over", START + 120 * DAY),
        Tell("expired"),
    )


def test_a_payment_leaves_nothing_of_what_was_before_it() -> None:
    paid = Subscription(state="active", terms=MONTHLY, autopay=True)
    ordered = Life()
    ordered.does(StartTrial())
    ordered.does(SetAutopay(on=True))
    (charge,) = ordered.does(Order(MONTHLY))
    assert charge.charging == Charging(Period.month(START), MONTHLY, "first")
    ordered.does(Settled())
    assert ordered.one == replace(paid, period=Period.month(START), trial_used=True)
    again = declined()
    (charge,) = again.on(START + 40 * DAY).does(Order(MONTHLY))
    assert charge.charging.why == "return"
    again.does(Settled())
    assert again.one == replace(paid, period=Period.month(START + 40 * DAY))
    thawed = frozen()
    (charge,) = thawed.does(Unfreeze(by_hand=True))
    assert charge.charging == Charging(Period.month(START + 30 * DAY), MONTHLY, "unfreeze")
    thawed.does(Settled())
    assert thawed.one == replace(paid, period=Period.month(START + 30 * DAY))
    changed = Life.paying()
    changed.does(ChangeTerms(YEARLY, upgrade=False))
    changed.does(ChangeTerms(MONTHLY, upgrade=False))
    assert changed.one.next_terms is None, "back to what it was"
    changed.does(ChangeTerms(YEARLY, upgrade=False))
    changed.does(AskFreeze(10))
    changed.does(WithdrawFreeze())
    changed.on(changed.end).does(Boundary())
    changed.does(AskFreeze(20))
    assert changed.does(Settled()) == (Opened(Period(START + 30 * DAY, 360), YEARLY),)
    assert changed.one == replace(paid, terms=YEARLY, period=Period(START + 30 * DAY, 360), freeze_days=20)


def test_an_end_leaves_nothing_that_could_go_on() -> None:
    life = Life.paying()
    life.does(ChangeTerms(YEARLY, upgrade=False))
    life.on(life.end).does(Boundary())
    life.does(AskFreeze(10))
    effects = life.does(Terminate(cause=False))
    assert life.one == Subscription(state="ended", terms=MONTHLY, period=Period.month(START))
    assert effects == (Close("terminated", expired=False), Tell("ended")), "the paid days are over"
    cold = frozen()
    assert cold.does(RequestCancel(NOON, staff=True)) == (Close("cancelled", expired=False), Tell("ended"))
    assert cold.one == Subscription(state="ended", terms=MONTHLY, period=Period.month(START), cancel_requested_at=NOON)
    assert Life.paying().does(RequestCancel(NOON)) == (Tell("cancel_requested"),)
    lapsed = declined()
    assert lapsed.does(RequestCancel(NOON)) == (Close("cancelled", expired=True), Tell("ended"))
    over = declined()
    assert over.on(START + 120 * DAY).does(WindowOver()) == (Close("lapsed", expired=True), Tell("ended"))


def test_a_trial_and_a_cancelled_one_end_with_what_is_told_of_them() -> None:
    trial = Life()
    assert trial.does(StartTrial()) == (Due("trial_over", START + 30 * DAY),)
    cancelled = Life(trial.one, trial.today)
    cancelled.does(RequestCancel(NOON))
    undone = Life(cancelled.one, cancelled.today)
    undone.does(UndoCancel())
    assert undone.one == trial.one
    assert cancelled.on(START + 30 * DAY).does(TrialOver()) == (Close("cancelled", expired=False), Tell("ended"))
    over = Life(trial.one, START + 30 * DAY)
    assert over.does(TrialOver()) == (Due("window_over", START + 120 * DAY), Tell("expired"))
    (charge,) = over.does(Order(MONTHLY))
    assert charge.charging.why == "first", "it never had a period"
    over.does(Settled())
    assert over.one.period == Period.month(START + 30 * DAY) and not over.one.autopay


def test_a_renewal_that_is_paid_late_keeps_its_days_and_another_plan_waits_for_them() -> None:
    life = Life.paying()
    life.does(ChangeTerms(PROFESSIONAL, upgrade=False))
    assert (life.one.terms, life.one.next_terms) == (MONTHLY, PROFESSIONAL)
    life.on(life.end).does(Boundary())
    assert life.on(life.today + 4 * DAY).does(Settled()) == (Opened(Period.month(START + 30 * DAY), PROFESSIONAL),)


def test_a_freeze_that_its_card_refuses_is_told_and_nobody_asks_for_less_than_a_day() -> None:
    life = Life.paying()
    life.does(AskFreeze(90))
    life.does(SetAutopay(on=False))
    assert life.on(life.end).does(Boundary(CardMonth(2026, 11))) == (
        Tell("freeze_refused"),
        Due("window_over", START + 120 * DAY),
        Tell("expired"),
    )
    for state in (Life(), Life.paying()):
        with pytest.raises(Invalid):
            state.does(AskFreeze(0))


def test_a_card_that_comes_while_the_end_of_a_freeze_is_charged_changes_it_no_more() -> None:
    life = frozen()
    life.does(Unfreeze(by_hand=True))
    before = life.one
    assert life.does(ChangeCard(CardMonth(2026, 12))) == () and life.one == before
    assert Life.paying().does(RequestCancel(NOON, staff=True, through_support=True)) == (Tell("cancel_requested"),)


def test_what_follows_a_freeze_is_told_with_its_days() -> None:
    asked = Life.paying()
    assert asked.does(AskFreeze(90)) == () and asked.one.freeze_days == 90
    assert asked.on(asked.end).does(Boundary()) == (Due("unfreeze", START + 120 * DAY), Tell("frozen"))
    assert asked.one.frozen == Span(START + 30 * DAY, 90) and asked.one.freeze_days == 90
    assert asked.does(Unfreeze(by_hand=False)) == (), "its day has not come"
    unwilling = Life(asked.one, asked.today)
    unwilling.does(SetAutopay(on=False))
    assert unwilling.on(START + 120 * DAY).does(Unfreeze(by_hand=False)) == (
        Due("window_over", START + 210 * DAY),
        Tell("expired"),
    )
    assert unwilling.one == Subscription(
        state="expired", terms=MONTHLY, period=Period.month(START), expired_on=START + 120 * DAY
    )


def test_no_event_is_forgotten_and_none_changes_an_ended_one_but_its_return() -> None:
    ended = Life.paying()
    ended.does(Terminate(cause=True))
    over = replace(ended.one)
    for event in (Boundary(), TrialOver(), Unfreeze(by_hand=False), WindowOver(), Collect(), ChangeCard(None)):
        assert machine.apply(over, event, START) == (over, ())
    assert set(machine._STEPS) == set(machine.Event.__args__)
