"""The account's state machine by itself: every step of model 3.1, and no other."""

from __future__ import annotations

import datetime
from typing import get_args

import pytest

from control_plane.accounts import account as machine
from control_plane.accounts.account import Account
from control_plane.errors import Conflict

NOW = datetime.datetime(2026, 11, 25, 12, tzinfo=datetime.UTC)
MOMENT = datetime.timedelta(microseconds=1)
WHOLE = machine.SignUp(business=True, adult=True, accepted=True)
EVENTS: dict[str, machine.Event] = {
    "sign_up": WHOLE,
    "verify": machine.Verify(),
    "suspend": machine.Suspend("abuse"),
    "lift": machine.Lift(),
    "close": machine.Close("cancelled"),
    "reactivate": machine.Reactivate(approved=True, paid=True),
    "purge": machine.Purge(),
}
# Model 3.1, line by line; what is not here is refused.
STEPS = {
    ("none", "sign_up"): "pending",
    ("pending", "verify"): "open",
    ("pending", "purge"): "deleted",
    ("open", "suspend"): "suspended",
    ("suspended", "lift"): "open",
    ("open", "close"): "closed",
    ("suspended", "close"): "closed",
    ("closed", "reactivate"): "open",
    ("closed", "purge"): "deleted",
}


@pytest.mark.parametrize("status", get_args(machine.Status))
@pytest.mark.parametrize("event", EVENTS)
def test_each_state_takes_the_steps_of_the_model_and_no_other(status: machine.Status, event: str) -> None:
    window = NOW - MOMENT if event == "purge" else NOW
    before = Account(status, window_ends_at=window if status == "closed" else None)
    if (status, event) in STEPS:
        after, effects = machine.apply(before, EVENTS[event], NOW)
        assert after.status == STEPS[status, event]
        assert effects
    else:
        with pytest.raises(Conflict, match="account_state"):
            machine.apply(before, EVENTS[event], NOW)


@pytest.mark.parametrize(
    ("missing", "code"),
    [
        (machine.SignUp(business=False, adult=True, accepted=True), "declaration_missing"),
        (machine.SignUp(business=True, adult=False, accepted=True), "declaration_missing"),
        (machine.SignUp(business=True, adult=True, accepted=False), "acceptance_missing"),
        (machine.SignUp(business=True, adult=True, accepted=True, refused=True), "refused"),
        (machine.SignUp(business=True, adult=True, accepted=True, free_used=True), "free_account_used"),
    ],
)
def test_a_sign_up_needs_declarations_acceptance_and_an_unused_free_account(missing: machine.SignUp, code: str) -> None:
    with pytest.raises(Conflict) as refused:
        machine.apply(Account(), missing, NOW)
    assert refused.value.code == code


def test_a_paid_account_does_not_ask_whether_the_free_one_was_used() -> None:
    paid = machine.SignUp(business=True, adult=True, accepted=True, free=False, free_used=True)
    after, _ = machine.apply(Account(), paid, NOW)
    assert machine.apply(after, machine.Verify(free_used=True), NOW)[0].status == "open"


def test_a_suspension_ends_rooms_and_keys_and_its_lift_takes_the_reason_away() -> None:
    suspended, effects = machine.apply(Account("open"), machine.Suspend("fraud"), NOW)
    assert suspended.reason == "fraud"
    assert {"end_rooms", "stop_keys", "hide_profile"} <= set(effects)
    assert machine.apply(suspended, machine.Lift(), NOW)[0] == Account("open")


def test_a_closed_account_comes_back_until_the_last_instant_of_its_window_and_is_purged_the_moment_after() -> None:
    closed, _ = machine.apply(Account("open"), machine.Close("cancelled"), NOW)
    end = NOW + datetime.timedelta(days=30)
    assert closed.window_ends_at == end
    back, effects = machine.apply(closed, EVENTS["reactivate"], end)
    assert (back.status, back.window_ends_at) == ("open", None)
    assert "cancel_window" in effects
    with pytest.raises(Conflict, match="window_over"):
        machine.apply(closed, EVENTS["reactivate"], end + MOMENT)
    with pytest.raises(Conflict, match="window_open"):
        machine.apply(closed, machine.Purge(), end)
    assert machine.apply(closed, machine.Purge(), end + MOMENT)[0].status == "deleted"


def test_an_expired_subscription_gives_the_long_window_and_abuse_a_review() -> None:
    closed, effects = machine.apply(Account("open"), machine.Close("lapsed", abuse=True, expired=True), NOW)
    assert closed.window_ends_at == NOW + datetime.timedelta(days=90)
    assert "review_commission" in effects


def test_a_hold_keeps_a_purge_off_and_coming_back_needs_approval_and_payment() -> None:
    closed, _ = machine.apply(Account("open"), machine.Close("cancelled"), NOW)
    later = NOW + datetime.timedelta(days=31)
    for event, code in (
        (machine.Purge(held=True), "held"),
        (machine.Reactivate(approved=False, paid=True), "approval_missing"),
        (machine.Reactivate(approved=True, paid=False), "payment_missing"),
    ):
        with pytest.raises(Conflict, match=code):
            machine.apply(closed, event, later)


@pytest.mark.parametrize(
    ("status", "subscription", "host", "sign_in", "profile"),
    [
        ("open", "active", True, "all", "shown"),
        ("open", "trial", True, "all", "shown"),
        ("open", "frozen", False, "all", "notice"),
        ("open", "expired", False, "all", "hidden"),
        ("open", "ended", False, "all", "hidden"),
        ("suspended", "active", False, "support", "hidden"),
        ("closed", "ended", False, "none", "hidden"),
        ("deleted", "ended", False, "none", "hidden"),
        ("pending", "none", False, "none", "hidden"),
    ],
)
def test_access_is_what_account_and_subscription_allow_together(
    status: machine.Status, subscription: machine.Subscription, host: bool, sign_in: str, profile: str
) -> None:
    may = machine.access(status, subscription)
    assert (may.host, may.join, may.sign_in, may.profile) == (host, host, sign_in, profile)
