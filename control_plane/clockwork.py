"""[I/O] Sets a test clock forward and does on the way all that falls due, at its own time, until nothing is left.

From due row to due row, never past one: whatever the step, each job runs and each mail leaves at the same instant and
in the same order. So one jump of 200 days comes to the same as 200 steps of a day, byte for byte.
"""

from __future__ import annotations

import datetime

from control_plane.clock import TestClock, aware
from control_plane.running.work import Work

# A job that puts itself again without going on in time would never end.
STEPS_MAX = 1_000_000


def advance_to(clock: TestClock, work: Work, instant: datetime.datetime) -> int:
    """Do everything that is due up to `instant`, jobs before what leaves the house, and leave the clock there. Returns
    how many steps were taken. No runner works meanwhile. Raises ValueError for an instant in the past."""
    instant = aware(instant)
    if instant < clock.now():
        raise ValueError(f"the clock stands at {clock.now().isoformat()} and does not go back")
    steps = settle(clock, work)
    while (at := _next_at(work)) is not None and at <= instant:
        clock.advance_to(max(at, clock.now()))
        steps += settle(clock, work, steps)
    clock.advance_to(instant)
    return steps


def settle(clock: TestClock, work: Work, steps: int = 0) -> int:
    """Do all that is due now. The outbox is settled at every instant and not at the end only: a mail of day 50 must not
    see what the jobs of day 100 did."""
    taken = 0
    lanes = work.lanes()
    # After each step from the first lane again: what leaves the house may bring a job.
    while any(lane.step(clock.now()) for lane in lanes):
        taken += 1
        if steps + taken > STEPS_MAX:
            raise RuntimeError(f"still something to do after {STEPS_MAX} steps: a job that puts itself for now?")
    return taken


def _next_at(work: Work) -> datetime.datetime | None:
    ats = [at for lane in work.lanes() if (at := work.store.read(lane.next_at)) is not None]
    return min(ats, default=None)
