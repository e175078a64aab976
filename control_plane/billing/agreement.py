"""An agreement to subscribe, in values: what the machine knows, what happens to it, and what follows. Pure (model 3.2).

The machine itself is control_plane.billing.subscription, which others import these from.
"""

from __future__ import annotations

import datetime
from dataclasses import dataclass
from typing import Literal

from control_plane.billing.freeze import CardMonth
from control_plane.periods import MONTH_DAYS, YEAR_DAYS, Period, Span

State = Literal["none", "trial", "active", "frozen", "expired", "ended"]
Cycle = Literal["month", "year"]
Why = Literal["first", "renewal", "unfreeze", "return"]
# BIL-04.
CYCLE_DAYS: dict[Cycle, int] = {"month": MONTH_DAYS, "year": YEAR_DAYS}
# ACC-05 gives no length. Longer: more free service; shorter: no time to hold a second event.
TRIAL_DAYS = 30
# BIL-18, BIL-19, BIL-36.
EXPIRED_DAYS = 90


@dataclass(frozen=True, slots=True)
class Terms:
    """What is subscribed to: a plan of the catalogue, by the month or by the year."""

    plan: str
    cycle: Cycle

    def period(self, first: datetime.date) -> Period:
        return Period(first, CYCLE_DAYS[self.cycle])


@dataclass(frozen=True, slots=True)
class Charging:
    """A period whose payment is on its way. Only a renewal's days are fixed; others begin on the day they are paid."""

    period: Period
    terms: Terms
    why: Why


@dataclass(frozen=True)
class Subscription:
    """What the machine knows. `period` is the last one paid; `frozen` the days of a freeze that has begun, and
    `freeze_days` how many were asked for; `expired_on` the first day that nobody paid for. `barred`: once it has ended,
    its customer may not come back unless staff overrules that (BIL-38, BIL-40)."""

    state: State = "none"
    terms: Terms | None = None
    next_terms: Terms | None = None
    period: Period | None = None
    charging: Charging | None = None
    autopay: bool = False
    trial_used: bool = False
    trial_ends_on: datetime.date | None = None
    cancel_requested_at: datetime.datetime | None = None
    cancel_confirmed_at: datetime.datetime | None = None
    freeze_days: int | None = None
    frozen: Span | None = None
    expired_on: datetime.date | None = None
    barred: bool = False

    @property
    def window_ends_on(self) -> datetime.date | None:
        """The day on which an expired one ends; it can be paid until the day before, the whole of it (BIL-18)."""
        return None if self.expired_on is None else self.expired_on + datetime.timedelta(days=EXPIRED_DAYS)


# What happens to it. Whether somebody may bring it about is decided by the caller's door.


@dataclass(frozen=True)
class StartTrial:
    days: int = TRIAL_DAYS


@dataclass(frozen=True)
class TrialOver:
    pass


@dataclass(frozen=True)
class Order:
    """A plan is chosen and shall be paid now."""

    terms: Terms


@dataclass(frozen=True)
class Settled:
    """What was on its way is paid."""


@dataclass(frozen=True)
class Failed:
    """What was on its way was declined for good."""


@dataclass(frozen=True)
class Boundary:
    """The paid days are over. `covered`: credit pays the next period. `suspended`: the account is."""

    card: CardMonth | None = None
    covered: bool = False
    suspended: bool = False


@dataclass(frozen=True)
class AskFreeze:
    days: int
    card: CardMonth | None = None


@dataclass(frozen=True)
class WithdrawFreeze:
    pass


@dataclass(frozen=True)
class ChangeCard:
    card: CardMonth | None


@dataclass(frozen=True)
class Unfreeze:
    """By hand, or by itself on the day that the freeze is over."""

    by_hand: bool


@dataclass(frozen=True)
class RequestCancel:
    """`staff`: support does it (BIL-33). `through_support`: this customer does not cancel by himself."""

    at: datetime.datetime
    staff: bool = False
    through_support: bool = False


@dataclass(frozen=True)
class UndoCancel:
    pass


@dataclass(frozen=True)
class ConfirmCancel:
    """The mail system took the confirmation (BIL-34)."""

    at: datetime.datetime


@dataclass(frozen=True)
class ChangeTerms:
    """Another plan or cycle. `upgrade`: it costs more within the same cycle, the difference is paid, it counts now."""

    terms: Terms
    upgrade: bool


@dataclass(frozen=True)
class SetAutopay:
    on: bool


@dataclass(frozen=True)
class WindowOver:
    pass


@dataclass(frozen=True)
class Collect:
    """Try the card of an expired one: a retry after a failed renewal, or a suspension over a boundary was lifted."""


@dataclass(frozen=True)
class Terminate:
    """By the operator; `cause`: for one (BIL-40), else without (BIL-43). `bars`: coming back is refused by default."""

    cause: bool
    bars: bool = False


@dataclass(frozen=True)
class Return:
    """Support lets a closed account come back with a plan (BIL-37). `overrules`: though that was refused."""

    terms: Terms
    overrules: bool = False


@dataclass(frozen=True)
class RefuseReturn:
    """It shall not come back (BIL-38)."""


Event = (
    StartTrial
    | TrialOver
    | Order
    | Settled
    | Failed
    | Boundary
    | AskFreeze
    | WithdrawFreeze
    | ChangeCard
    | Unfreeze
    | RequestCancel
    | UndoCancel
    | ConfirmCancel
    | ChangeTerms
    | SetAutopay
    | WindowOver
    | Collect
    | Terminate
    | Return
    | RefuseReturn
)

# What follows.


@dataclass(frozen=True)
class Charge:
    """Make an invoice for this and collect it; tell the machine how it ended."""

    charging: Charging


@dataclass(frozen=True)
class Opened:
    """A period is paid: its boundary is due on `period.end`."""

    period: Period
    terms: Terms


@dataclass(frozen=True)
class Due:
    """Come back with this event on that day."""

    event: Literal["trial_over", "unfreeze", "window_over"]
    on: datetime.date


@dataclass(frozen=True)
class Close:
    """The agreement ended: the account closes (BIL-35). `expired`: it keeps the long window, which began with the first
    day that nobody paid for (BIL-36); of one that has lapsed that is over (BIL-19)."""

    cause: Literal["cancelled", "terminated", "lapsed"]
    expired: bool


@dataclass(frozen=True)
class Refund:
    """Give the unused days of this period back, pro rata (BIL-43)."""

    period: Period
    unused_days: int


@dataclass(frozen=True)
class Tell:
    """Write to the customer what happened."""

    what: Literal["expired", "frozen", "freeze_refused", "cancel_requested", "ended"]


Effect = Charge | Opened | Due | Close | Refund | Tell
