"""The meeting of 40 as a line of `make accept-meeting`: three rounds in a row, each of which must hold wholly."""

from __future__ import annotations

from benchmarks.meeting import MINUTE_S, play, usual_fps

ROUNDS, PEOPLE, WRTC, PROCESSES = 3, 40, 4, 2


async def holds_three_times() -> str:
    """What the server cost in each round. Raises AssertionError with the lines that do not hold."""
    costs = []
    for number in range(1, ROUNDS + 1):
        played = await play(PEOPLE, WRTC, PROCESSES, MINUTE_S, usual_fps())
        bad = [f"{check.line} ({check.found})" for check in played.checks() if not check.holds]
        assert not bad, f"round {number}: {'; '.join(bad)}; {played.notes()}"
        costs.append(f"node {played.cpu['node']:.0f} and worker {played.cpu['worker']:.0f} % of a core")
    return "; ".join(costs)
