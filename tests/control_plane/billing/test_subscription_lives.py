"""Random lives of subscriptions, which keep the model's invariants."""

from __future__ import annotations

import datetime
from itertools import pairwise
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from control_plane.billing import subscription as machine
from control_plane.billing.freeze import FREEZE_DAYS_MAX, CardMonth
from control_plane.billing.subscription import (
    EXPIRED_DAYS,
    AskFreeze,
    Boundary,
    ChangeCard,
    ChangeTerms,
    Charge,
    Collect,
    ConfirmCancel,
    Due,
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
    Terminate,
    TrialOver,
    UndoCancel,
    Unfreeze,
    WindowOver,
    WithdrawFreeze,
)
from control_plane.errors import Conflict
from control_plane.periods import Period, overlap
from tests.control_plane.billing.life import DAY, MONTHLY, NOON, PROFESSIONAL, YEARLY, Life


class Lives(RuleBasedStateMachine):
    """One subscription through random days; charges end well or badly, late or at once."""

    @initialize(start=st.dates(datetime.date(2024, 1, 1), datetime.date(2028, 12, 31)))
    def begin(self, start: datetime.date) -> None:
        self.life = Life(today=start)
        self.paid: list[Period] = []
        self.frozen: list[datetime.date] = []
        self.due: dict[str, datetime.date] = {}
        self.card: CardMonth | None = None

    def does(self, event: Event) -> tuple[Any, ...]:
        before, was_charging = self.life.state, self.life.one.charging
        try:
            effects = self.life.does(event)
        except Conflict:
            return ()
        for effect in effects:
            if isinstance(effect, Opened):
                self.paid.append(effect.period)
            if isinstance(effect, Due):
                assert effect.on > self.life.today or effect.event == "unfreeze"
                self.due[effect.event] = effect.on
            if isinstance(effect, Charge):
                assert was_charging is None, "one payment at a time"
                assert before in ("none", "trial", "expired", "active", "frozen", "ended")
            if isinstance(effect, Refund):
                assert before == "active" and 0 < effect.unused_days < effect.period.days
        return effects

    @rule(days=st.integers(0, 100), well=st.booleans())
    def days_pass(self, days: int, well: bool) -> None:
        """Day by day, with what falls due on each; a charge that was begun ends on the day after."""
        for _ in range(days):
            self.life.today += DAY
            if self.life.one.charging is not None:
                self.does(Settled() if well else Failed())
            self.does(Boundary(self.card))
            for name, event in (
                ("trial_over", TrialOver()),
                ("unfreeze", Unfreeze(by_hand=False)),
                ("window_over", WindowOver()),
            ):
                if self.due.get(name) == self.life.today:
                    self.does(event)
            if self.life.state == "frozen" and self.life.one.charging is None:
                self.frozen.append(self.life.today)

    @rule(
        event=st.one_of(
            st.builds(Order, st.sampled_from([MONTHLY, YEARLY, PROFESSIONAL])),
            st.sampled_from([StartTrial(), WithdrawFreeze(), UndoCancel(), Collect(), Settled(), Failed()]),
            st.just(RefuseReturn()),
            st.builds(Unfreeze, st.booleans()),
            st.builds(SetAutopay, st.booleans()),
            st.builds(ChangeTerms, st.sampled_from([MONTHLY, YEARLY, PROFESSIONAL]), st.booleans()),
            st.builds(RequestCancel, st.just(NOON), st.booleans(), st.booleans()),
            st.builds(ConfirmCancel, st.just(NOON)),
        )
    )
    def something_happens(self, event: Event) -> None:
        self.does(event)

    @rule(days=st.integers(1, FREEZE_DAYS_MAX))
    def asks_for_a_freeze(self, days: int) -> None:
        self.does(AskFreeze(days, self.card))

    @rule(months=st.none() | st.integers(0, 30))
    def gives_another_card(self, months: int | None) -> None:
        if months is None:
            self.card = None
        else:
            after = self.life.today + datetime.timedelta(days=30 * months)
            self.card = CardMonth(after.year, after.month)
        self.does(ChangeCard(self.card))

    @precondition(lambda self: self.life.state != "ended")
    @rule(cause=st.booleans(), chance=st.integers(0, 9))
    def is_terminated(self, cause: bool, chance: int) -> None:
        if chance == 0:
            self.does(Terminate(cause, bars=cause))

    @precondition(lambda self: self.life.state == "ended")
    @rule(overrules=st.booleans())
    def comes_back(self, overrules: bool) -> None:
        barred = self.life.one.barred
        effects = self.does(Return(MONTHLY, overrules))
        assert not effects or overrules or not barred

    @invariant()
    def at_most_one_period_covers_a_day_and_no_frozen_day_is_paid(self) -> None:
        open_ = [period for period in self.paid if period.end > self.life.today]
        # Back after a termination, or with the card that pays an expired one: the older period had its days already.
        if len(open_) > 1:
            assert all(earlier.first < later.first for earlier, later in pairwise(open_))
        for day in self.frozen:
            assert not any(day in period for period in self.paid if period.first <= day)

    @invariant()
    def what_it_knows_belongs_to_its_state(self) -> None:
        one = self.life.one
        assert (one.frozen is not None) == (one.state == "frozen")
        assert (one.expired_on is not None) >= (one.state == "expired")
        assert one.state != "active" or (one.period is not None and one.terms is not None)
        assert one.frozen is None or (one.freeze_days is not None and one.frozen.days <= one.freeze_days)
        assert one.state != "trial" or one.trial_used
        if one.state == "expired" and one.charging is None and one.expired_on is not None:
            assert self.life.today < one.expired_on + EXPIRED_DAYS * DAY or self.due.get("window_over") is not None

    @invariant()
    def the_same_event_twice_in_a_row_asks_for_no_second_charge(self) -> None:
        for event in (Boundary(self.card), Unfreeze(by_hand=False), Collect()):
            once, first = machine.apply(self.life.one, event, self.life.today)
            again, second = machine.apply(once, event, self.life.today)
            assert not (
                any(isinstance(one, Charge) for one in first) and any(isinstance(one, Charge) for one in second)
            )
            assert again == once or isinstance(event, Boundary)


Lives.TestCase.settings = settings(max_examples=60, stateful_step_count=40)
TestLives = Lives.TestCase


def test_paid_periods_of_an_undisturbed_life_never_overlap() -> None:
    life, periods = Life.paying(), []
    for _ in range(24):
        assert life.one.period is not None
        periods.append(life.one.period)
        life.on(life.end).does(Boundary())
        life.does(Settled())
    assert overlap(periods) is None
