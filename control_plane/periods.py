"""Days, as billing counts them: UTC dates, half-open spans, months of 30 days and years of 360 (C1, C2, C3, BIL-04).

A span says its first day and how many days it has; `end` is the first day that is no longer in it, and the first of the
next one. A plan's period is a span of exactly 30 or 360 days. Calendar months stand only in `months_after`, for what is
not a plan (holds, inactivity).
"""

from __future__ import annotations

import calendar
import datetime
from collections.abc import Iterable
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Self

from control_plane.clock import aware

# BIL-04: "a month has 30 days and a year 360", as length of a period and as divisor of a price alike.
MONTH_DAYS = 30
YEAR_DAYS = 360


def day_of(instant: datetime.datetime) -> datetime.date:
    """The billing day that an instant falls on, whatever zone it is told in (C1). Raises ValueError without a zone."""
    return aware(instant).date()


def days_after(instant: datetime.datetime, days: int) -> datetime.datetime:
    """When the effect of N days comes: N x 24 hours after the event (C2). "Up to N days" is before it (C3)."""
    return aware(instant) + datetime.timedelta(days=days)


def months_after(day: datetime.date, months: int) -> datetime.date:
    """The same day of the month so many calendar months later, or the last one of that month (C2).

    Raises ValueError for a number below zero.
    """
    if months < 0:
        raise ValueError("months go forward only")
    years, month = divmod(_day(day).month - 1 + months, 12)
    year, month = day.year + years, month + 1
    return day.replace(year=year, month=month, day=min(day.day, calendar.monthrange(year, month)[1]))


@dataclass(frozen=True, slots=True, order=True)
class Span:
    """Whole days, one after the other. Raises ValueError for fewer than one, TypeError for an instant as first day."""

    first: datetime.date
    days: int

    def __post_init__(self) -> None:
        _day(self.first)
        if type(self.days) is not int:
            raise TypeError(f"days are a whole number, not {type(self.days).__name__}")
        if self.days < 1:
            raise ValueError("a span has a day at least")

    @property
    def end(self) -> datetime.date:
        """The first day after it, on which effects come (C3)."""
        return self.first + datetime.timedelta(days=self.days)

    @property
    def last(self) -> datetime.date:
        """The last day that belongs to it, the whole of it (C3)."""
        return self.end - datetime.timedelta(days=1)

    def __contains__(self, day: datetime.date) -> bool:
        return self.first <= _day(day) < self.end

    def overlaps(self, other: Span) -> bool:
        """A day belongs to both. One that ends where the other begins does not overlap it."""
        return self.first < other.end and other.first < self.end

    def used(self, day: datetime.date) -> int:
        """How many of its days are used on this day; the day itself is begun and therefore used (C1). 0 before it."""
        return min(max((_day(day) - self.first).days + 1, 0), self.days)

    def unused(self, day: datetime.date) -> int:
        """How many days a refund of this day counts (BIL-43)."""
        return self.days - self.used(day)

    def left(self, day: datetime.date) -> int:
        """How many days a purchase of this day pays for, the day itself among them (C1, BIL-12).

        Raises ValueError for a day outside: before it there is nothing to share, and at its end the next one begins.
        """
        if day not in self:
            raise ValueError(f"{day} is not in {self}")
        return self.unused(day) + 1

    def __str__(self) -> str:
        return f"{self.first}/{self.end}"


@dataclass(frozen=True, slots=True, order=True)
class Period(Span):
    """What a plan is paid for: exactly 30 or 360 days, never a calendar month (BIL-04). Raises ValueError otherwise."""

    def __post_init__(self) -> None:
        Span.__post_init__(self)  # super() does not work here: with slots, the class is made anew
        if self.days not in (MONTH_DAYS, YEAR_DAYS):
            raise ValueError(f"a period has {MONTH_DAYS} or {YEAR_DAYS} days")

    @classmethod
    def month(cls, first: datetime.date) -> Self:
        return cls(first, MONTH_DAYS)

    @classmethod
    def year(cls, first: datetime.date) -> Self:
        return cls(first, YEAR_DAYS)

    def next(self, days: int | None = None) -> Self:
        """The one after it, without a gap; of the same length unless another is told."""
        return replace(self, first=self.end, days=self.days if days is None else days)

    def covering(self, day: datetime.date) -> Self:
        """The one of this chain that a later day belongs to (BIL-20: those wholly past are passed over).

        Raises ValueError for a day before this period.
        """
        if _day(day) < self.first:
            raise ValueError(f"{day} is before {self}")
        chain = (day - self.first).days // self.days
        return replace(self, first=self.first + datetime.timedelta(days=chain * self.days))


def overlap(spans: Iterable[Span]) -> tuple[Span, Span] | None:
    """Two spans that share a day, the earliest such, or None where at most one covers any day."""
    for earlier, later in pairwise(sorted(spans, key=lambda span: span.first)):
        if earlier.overlaps(later):
            return earlier, later
    return None


def _day(day: datetime.date) -> datetime.date:
    """Refuses an instant, which is a date for Python but says nothing of its zone here."""
    if type(day) is not datetime.date:
        raise TypeError(f"a day is needed, not {type(day).__name__}")
    return day
