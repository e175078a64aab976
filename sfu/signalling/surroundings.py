"""What the pure sessions are given: the rooms, the limits, and where numbers and names are drawn."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from sfu import rooms
from sfu.config import Config
from sfu.contract import Grant, Policy
from sfu.signalling.effects import Counts
from sfu.signalling.limits import Visitors
from sfu.signalling.negotiation import Negotiation


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What all sessions of a node share, and their sources of chance."""

    config: Config
    rooms: rooms.Rooms
    verify: Callable[[str, bool], Grant]  # (token, resuming); raises Unauthorized
    admit: Callable[[], None]  # raises Overloaded while there is no strength for one more
    negotiate: Callable[[Policy], Negotiation]  # as the room's policy wants it
    unix_time: Callable[[], float]  # seconds
    draw_peer: Callable[[], int]
    draw_request: Callable[[], int]
    draw_name: Callable[[], str]  # of a participant; unique
    draw_key: Callable[[], str]  # to resume with; not to be guessed
    counts: Counts
    failed_joins: Visitors = field(init=False)

    def __post_init__(self) -> None:
        limits = self.config.limits
        # A frozen value is set once, here.
        failed = Visitors(limits.failed_joins_per_s, limits.failed_joins_burst, "joins with a bad token")
        object.__setattr__(self, "failed_joins", failed)
