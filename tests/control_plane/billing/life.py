"""One subscription and the days on which things happen to it, for tests of the machine."""

from __future__ import annotations

import datetime
from typing import Any

import pytest

from control_plane.billing import subscription as machine
from control_plane.billing.subscription import (
    AskFreeze,
    Boundary,
    Event,
    Failed,
    Order,
    SetAutopay,
    Settled,
    Subscription,
    Terms,
)
from control_plane.errors import Conflict

DAY = datetime.timedelta(days=1)
START = datetime.date(2026, 11, 7)
MONTHLY, YEARLY = Terms("basic", "month"), Terms("basic", "year")
PROFESSIONAL = Terms("professional", "month")
NOON = datetime.datetime(2026, 11, 20, 12, tzinfo=datetime.UTC)


class Life:
    """One subscription and the days on which things happen to it."""

    def __init__(self, one: Subscription | None = None, today: datetime.date = START) -> None:
        self.one, self.today = one or Subscription(), today

    def does(self, event: Event) -> tuple[Any, ...]:
        self.one, effects = machine.apply(self.one, event, self.today)
        return effects

    def refused(self, event: Event) -> str:
        before = self.one
        with pytest.raises(Conflict) as caught:
            self.does(event)
        assert self.one == before
        return caught.value.code

    def on(self, day: datetime.date) -> Life:
        self.today = day
        return self

    @classmethod
    def paying(cls, terms: Terms = MONTHLY) -> Life:
        life = cls()
        life.does(SetAutopay(on=True))
        life.does(Order(terms))
        life.does(Settled())
        return life

    @property
    def state(self) -> str:
        return self.one.state

    @property
    def end(self) -> datetime.date:
        assert self.one.period is not None
        return self.one.period.end


def frozen() -> Life:
    life = Life.paying()
    life.does(AskFreeze(90))
    life.on(life.end).does(Boundary())
    return life


def declined() -> Life:
    """With consent, by a renewal that was declined."""
    life = Life.paying()
    life.on(life.end).does(Boundary())
    life.does(Failed())
    assert life.state == "expired"
    return life
