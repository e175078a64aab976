"""The subscription's state machine: a state and an event in, the new state and its effects out. Pure (model 3.2).

    none --StartTrial--> trial --TrialOver--> expired
    none, trial, expired --Order, Settled--> active
    active --Boundary--> ended (cancelled) | frozen (asked for) | charging (then active or expired) | expired
    frozen --Unfreeze--> charging (then active or expired) | expired
    expired --WindowOver--> ended          trial, active, frozen, expired --Terminate--> ended
    ended --Return (unless refused), Settled--> active

Money moves outside: the machine says what to charge (`Charge`) and is told how it ended (`Settled`, `Failed`). While a
charge is on its way (`charging`), an active subscription stays active: a gateway that does not answer is asked again,
and its customer must not stand before a locked door for it.

Days are billing days in UTC (C1). The order at a boundary is C7: cancellation, freeze, renewal.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from control_plane.billing.agreement import (
    CYCLE_DAYS,
    EXPIRED_DAYS,
    TRIAL_DAYS,
    AskFreeze,
    Boundary,
    ChangeCard,
    ChangeTerms,
    Charge,
    Charging,
    Close,
    Collect,
    ConfirmCancel,
    Cycle,
    Due,
    Effect,
    Event,
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
    State,
    Subscription,
    Tell,
    Terminate,
    Terms,
    TrialOver,
    UndoCancel,
    Unfreeze,
    Why,
    WindowOver,
    WithdrawFreeze,
)
from control_plane.billing.freeze import check_days, frozen_span, with_card
from control_plane.errors import Conflict
from control_plane.periods import Period

__all__ = [
    "CYCLE_DAYS", "EXPIRED_DAYS", "TRIAL_DAYS", "AskFreeze", "Boundary", "ChangeCard", "ChangeTerms", "Charge",
    "Charging", "Close", "Collect", "ConfirmCancel", "Cycle", "Due", "Effect", "Event", "Failed", "Opened", "Order",
    "Refund", "RefuseReturn", "RequestCancel", "Return", "SetAutopay", "Settled", "StartTrial", "State", "Step",
    "Subscription", "Tell", "Terminate", "Terms", "TrialOver", "UndoCancel", "Unfreeze", "Why", "WindowOver",
    "WithdrawFreeze", "apply",
]  # fmt: skip

Step = tuple[Subscription, tuple[Effect, ...]]


def apply(one: Subscription, event: Event, today: datetime.date) -> Step:
    """The subscription after `event` and what follows. Raises Conflict (and Invalid), and then nothing has changed."""
    step = _STEPS.get(type(event))
    assert step is not None
    return step(one, event, today)


def _start_trial(one: Subscription, event: StartTrial, today: datetime.date) -> Step:
    _guard(one.state == "none" and not one.trial_used, "trial_used", "the one free trial was used before")
    ends_on = today + datetime.timedelta(days=event.days)
    return replace(one, state="trial", trial_used=True, trial_ends_on=ends_on), (Due("trial_over", ends_on),)


def _trial_over(one: Subscription, event: TrialOver, today: datetime.date) -> Step:
    if one.state != "trial" or one.trial_ends_on is None or today < one.trial_ends_on:
        return one, ()
    if one.cancel_requested_at is not None:
        return _end(one), (Close("cancelled", expired=False), Tell("ended"))
    return _expire(one, one.trial_ends_on)


def _order(one: Subscription, event: Order, today: datetime.date) -> Step:
    _guard(one.state in ("none", "trial", "expired"), "subscribed", f"a subscription that is {one.state} cannot order")
    _guard(one.charging is None, "payment_running", "a payment is on its way; wait until it has ended")
    why: Why = "return" if one.state == "expired" and one.period is not None else "first"
    return _charge(one, event.terms, event.terms.period(today), why)


def _settled(one: Subscription, event: Settled, today: datetime.date) -> Step:
    _guard(one.charging is not None, "nothing_charged", "no payment is on its way")
    assert one.charging is not None
    period, terms, why = one.charging.period, one.charging.terms, one.charging.why
    if why != "renewal":
        period = terms.period(today)
    if why == "return":
        one = replace(one, cancel_requested_at=None, cancel_confirmed_at=None)
    paid = replace(
        one,
        state="active",
        terms=terms,
        next_terms=None,
        period=period,
        charging=None,
        frozen=None,
        freeze_days=one.freeze_days if why == "renewal" else None,
        expired_on=None,
        trial_ends_on=None,
        barred=False,
    )
    return paid, (Opened(period, terms),)


def _failed(one: Subscription, event: Failed, today: datetime.date) -> Step:
    _guard(one.charging is not None, "nothing_charged", "no payment is on its way")
    assert one.charging is not None
    failed, without = one.charging, replace(one, charging=None)
    if one.state in ("active", "frozen"):
        return _expire(without, failed.period.first)
    return _window_over(without, WindowOver(), today)  # it may have been in flight at the limit (BIL-19)


def _boundary(one: Subscription, event: Boundary, today: datetime.date) -> Step:
    period, terms = one.period, one.next_terms or one.terms
    if one.state != "active" or one.charging is not None or period is None or terms is None or today < period.end:
        return one, ()
    if one.cancel_requested_at is not None:
        return _end(one), (Close("cancelled", expired=False), Tell("ended"))
    told: tuple[Effect, ...] = ()
    if one.freeze_days is not None and not event.suspended:
        try:
            frozen = frozen_span(period.end, one.freeze_days, event.card)
        except Conflict:
            # The card was changed for one that ends sooner; he is told, and goes on paying.
            told = (Tell("freeze_refused"),)
        else:
            return replace(one, state="frozen", frozen=frozen), (Due("unfreeze", frozen.end), Tell("frozen"))
    one = replace(one, freeze_days=None)
    if event.suspended or not (one.autopay or event.covered):
        after, effects = _expire(one, period.end)
        return after, (*told, *effects)
    following = period.next(CYCLE_DAYS[terms.cycle])
    # BIL-20: of periods that are wholly past, because nobody was there to charge them, none is charged.
    after, effects = _charge(one, terms, following.covering(today), "renewal")
    return after, (*told, *effects)


def _ask_freeze(one: Subscription, event: AskFreeze, today: datetime.date) -> Step:
    check_days(event.days)
    _guard(one.state == "active", "freeze_state", f"a subscription that is {one.state} cannot be frozen")
    _guard(one.cancel_requested_at is None, "cancel_pending", "undo the cancellation first: one excludes the other")
    assert one.period is not None
    start = (one.charging.period if one.charging else one.period).end
    frozen_span(start, event.days, event.card)
    return replace(one, freeze_days=event.days), ()


def _withdraw_freeze(one: Subscription, event: WithdrawFreeze, today: datetime.date) -> Step:
    _guard(one.state == "active", "freeze_state", f"a subscription that is {one.state} has no freeze to withdraw")
    return replace(one, freeze_days=None), ()


def _change_card(one: Subscription, event: ChangeCard, today: datetime.date) -> Step:
    if one.state != "frozen" or one.charging is not None or one.frozen is None or one.freeze_days is None:
        return one, ()
    frozen = with_card(one.frozen, one.freeze_days, event.card, today)
    return replace(one, frozen=frozen), (Due("unfreeze", frozen.end),) if frozen != one.frozen else ()


def _unfreeze(one: Subscription, event: Unfreeze, today: datetime.date) -> Step:
    if one.state != "frozen" or one.charging is not None:
        running = one.charging is not None
        _guard(not event.by_hand or running, "not_frozen", f"a subscription that is {one.state} is not frozen")
        return one, ()
    assert one.frozen is not None and one.terms is not None
    if not event.by_hand:
        if today < one.frozen.end:
            return one, ()  # it was made longer meanwhile; its own day is put down already
        if not one.autopay:
            return _expire(one, one.frozen.end)
    terms = one.next_terms or one.terms
    return _charge(one, terms, terms.period(today), "unfreeze")


def _request_cancel(one: Subscription, event: RequestCancel, today: datetime.date) -> Step:
    _guard(one.state not in ("none", "ended"), "not_subscribed", "there is no subscription to cancel")
    if one.cancel_requested_at is not None:
        return one, ()
    by_support = event.through_support or one.state == "frozen"
    _guard(event.staff or not by_support, "through_support", "this subscription is cancelled by our support")
    _guard(one.freeze_days is None or one.state == "frozen", "freeze_pending", "withdraw the freeze first")
    asked = replace(one, cancel_requested_at=event.at)
    if one.state == "frozen":
        return _end(asked), (Close("cancelled", expired=False), Tell("ended"))
    if one.state == "expired":
        return _end(asked), (Close("cancelled", expired=True), Tell("ended"))
    return asked, (Tell("cancel_requested"),)


def _undo_cancel(one: Subscription, event: UndoCancel, today: datetime.date) -> Step:
    _guard(one.state in ("trial", "active"), "not_subscribed", f"a subscription is {one.state}: it is too late")
    return replace(one, cancel_requested_at=None, cancel_confirmed_at=None), ()


def _confirm_cancel(one: Subscription, event: ConfirmCancel, today: datetime.date) -> Step:
    if one.cancel_requested_at is None or one.cancel_confirmed_at is not None:
        return one, ()
    return replace(one, cancel_confirmed_at=event.at), ()


def _change_terms(one: Subscription, event: ChangeTerms, today: datetime.date) -> Step:
    _guard(one.state == "active", "plan_state", f"a subscription that is {one.state} cannot change its plan")
    _guard(one.cancel_requested_at is None, "cancel_pending", "undo the cancellation first")
    _guard(one.charging is None, "payment_running", "a payment is on its way; wait until it has ended")
    assert one.terms is not None
    if event.upgrade and event.terms.cycle == one.terms.cycle:
        return replace(one, terms=event.terms, next_terms=None), ()
    return replace(one, next_terms=None if event.terms == one.terms else event.terms), ()


def _set_autopay(one: Subscription, event: SetAutopay, today: datetime.date) -> Step:
    return replace(one, autopay=event.on), ()


def _window_over(one: Subscription, event: WindowOver, today: datetime.date) -> Step:
    if one.state != "expired" or one.window_ends_on is None or today < one.window_ends_on:
        return one, ()
    if one.charging is not None:
        return one, ()  # a payment in flight at the limit: its end decides
    return _end(one), (Close("lapsed", expired=True), Tell("ended"))


def _collect(one: Subscription, event: Collect, today: datetime.date) -> Step:
    open_ = one.window_ends_on is not None and today < one.window_ends_on
    if one.state != "expired" or not (one.autopay and open_ and one.terms) or one.charging is not None:
        return one, ()
    terms = one.next_terms or one.terms
    return _charge(one, terms, terms.period(today), "return")


def _terminate(one: Subscription, event: Terminate, today: datetime.date) -> Step:
    _guard(one.state not in ("none", "ended"), "not_subscribed", "there is no subscription to end")
    refund: tuple[Effect, ...] = ()
    if not event.cause and one.state == "active" and one.period is not None:
        unused = one.period.unused(today)
        refund = (Refund(one.period, unused),) if unused else ()
    ended = replace(_end(one), barred=event.bars)
    return ended, (*refund, Close("terminated", expired=one.state == "expired"), Tell("ended"))


def _return(one: Subscription, event: Return, today: datetime.date) -> Step:
    _guard(one.state == "ended", "not_ended", f"a subscription is {one.state}, not ended")
    _guard(one.charging is None, "payment_running", "a payment is on its way; wait until it has ended")
    _guard(event.overrules or not one.barred, "return_refused", "it was refused that this customer comes back")
    return _charge(one, event.terms, event.terms.period(today), "return")


def _refuse_return(one: Subscription, event: RefuseReturn, today: datetime.date) -> Step:
    """Not while it is being paid: no charge is kept of who is refused."""
    _guard(one.state == "ended", "not_ended", f"a subscription is {one.state}, not ended")
    _guard(one.charging is None, "payment_running", "a payment is on its way; wait until it has ended")
    return replace(one, barred=True), ()


def _charge(one: Subscription, terms: Terms, period: Period, why: Why) -> Step:
    charging = Charging(period, terms, why)
    return replace(one, charging=charging), (Charge(charging),)


def _expire(one: Subscription, on: datetime.date) -> Step:
    """From the first day that is not paid for; C3: the window's last day belongs to it whole."""
    after = replace(one, state="expired", expired_on=on, freeze_days=None, frozen=None, trial_ends_on=None)
    window = after.window_ends_on
    assert window is not None
    return after, (Due("window_over", window), Tell("expired"))


def _end(one: Subscription) -> Subscription:
    return replace(one, state="ended", charging=None, freeze_days=None, frozen=None, next_terms=None, autopay=False)


def _guard(holds: bool, code: str, reason: str) -> None:
    if not holds:
        raise Conflict(code, reason)


_STEPS: dict[type, Callable[[Subscription, Any, datetime.date], Step]] = {
    StartTrial: _start_trial,
    TrialOver: _trial_over,
    Order: _order,
    Settled: _settled,
    Failed: _failed,
    Boundary: _boundary,
    AskFreeze: _ask_freeze,
    WithdrawFreeze: _withdraw_freeze,
    ChangeCard: _change_card,
    Unfreeze: _unfreeze,
    RequestCancel: _request_cancel,
    UndoCancel: _undo_cancel,
    ConfirmCancel: _confirm_cancel,
    ChangeTerms: _change_terms,
    SetAutopay: _set_autopay,
    WindowOver: _window_over,
    Collect: _collect,
    Terminate: _terminate,
    Return: _return,
    RefuseReturn: _refuse_return,
}
