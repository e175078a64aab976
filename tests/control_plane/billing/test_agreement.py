"""What a subscription knows, is told and asks for: values that never change, and are kept as text."""

from __future__ import annotations

import msgspec

from control_plane.billing import subscription as machine
from control_plane.billing.subscription import (
    Boundary,
    ChangeTerms,
    Charging,
    Event,
    Order,
    RequestCancel,
    Return,
    SetAutopay,
    StartTrial,
    Subscription,
    Terminate,
    Terms,
    Unfreeze,
)
from tests.control_plane.billing.life import MONTHLY, NOON, YEARLY, Life, frozen


def test_what_is_known_told_and_asked_for_never_changes() -> None:
    for value in (Terms, Charging, Subscription, *Event.__args__, *machine.Effect.__args__):
        assert value.__dataclass_params__.frozen, value
    assert machine.TRIAL_DAYS == StartTrial().days == 30
    assert Terminate(cause=True) == Terminate(cause=True, bars=False)


def test_each_state_is_kept_as_text_and_read_again() -> None:
    def life(*events: Event, of: Life | None = None) -> Life:
        made = of or Life.paying()
        for event in events:
            made.does(event)
        return made

    yearly, renewing = Life.paying(YEARLY), Life.paying()
    renewing.on(renewing.end).does(Boundary())
    expired = Life.paying()
    expired.does(SetAutopay(on=False))
    expired.on(expired.end).does(Boundary())
    lives = {
        "none": Life(),
        "trial": life(StartTrial(), of=Life()),
        "first": life(Order(YEARLY), of=Life()),
        "active": life(ChangeTerms(YEARLY, upgrade=False), RequestCancel(NOON), of=yearly),
        "renewal": renewing,
        "frozen": frozen(),
        "unfreeze": life(Unfreeze(by_hand=True), of=frozen()),
        "expired": expired,
        "return": life(Terminate(cause=True, bars=True), Return(MONTHLY, overrules=True)),
        "ended": life(Terminate(cause=True)),
    }
    for name, one in lives.items():
        text = msgspec.json.encode(one.one)
        assert msgspec.json.decode(text, type=Subscription) == one.one, name
        assert name in (one.state, one.one.charging.why if one.one.charging else "")
