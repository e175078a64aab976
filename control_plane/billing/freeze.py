"""How long a freeze lasts: at most 90 days, never past the card (BIL-21 to BIL-23). Pure."""

from __future__ import annotations

import calendar
import datetime
from dataclasses import dataclass

from control_plane.errors import Conflict, Invalid
from control_plane.periods import Span

# BIL-21. Longer: more storage that nobody pays for.
FREEZE_DAYS_MAX = 90


@dataclass(frozen=True, slots=True, order=True)
class CardMonth:
    """The month that is printed on a card; it is good to its last day (reading of BIL-23). Raises ValueError."""

    year: int
    month: int

    def __post_init__(self) -> None:
        datetime.date(self.year, self.month, 1)

    @property
    def last(self) -> datetime.date:
        return datetime.date(self.year, self.month, calendar.monthrange(self.year, self.month)[1])

    def __str__(self) -> str:
        return f"{self.month:02}/{self.year}"


def check_days(days: int) -> int:
    """Raises Invalid for what nobody can ask for."""
    if type(days) is not int or not 1 <= days <= FREEZE_DAYS_MAX:
        raise Invalid("freeze_days", f"a freeze has 1 to {FREEZE_DAYS_MAX} days", field="days")
    return days


def frozen_span(start: datetime.date, days: int, card: CardMonth | None) -> Span:
    """The frozen days of a freeze that begins on `start`. Raises Conflict where the card has ended by then.

    The freeze ends on the card's last good day at the latest, so that the charge of that day finds a valid card; with
    no card only the days bind.
    """
    end = start + datetime.timedelta(days=check_days(days))
    if card is not None:
        end = min(end, card.last)
    if end <= start:
        raise Conflict(
            "card_ends", f"the card {card} ends before a freeze could begin on {start}; give another card first"
        )
    return Span(start, (end - start).days)


def with_card(frozen: Span, days: int, card: CardMonth | None, today: datetime.date) -> Span:
    """The same freeze after the card was changed or removed: counted anew from its start, never beyond what was asked
    for. Where the new card would have ended it already, it ends today (but has one day at least)."""
    end = frozen.first + datetime.timedelta(days=days)
    if card is not None:
        end = min(end, card.last)
    end = max(end, today, frozen.first + datetime.timedelta(days=1))
    return Span(frozen.first, (end - frozen.first).days)
