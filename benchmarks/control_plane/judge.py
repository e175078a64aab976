"""What the control plane's figures say against gate and aim. Pure.

A p95 of few answers is chance: an endpoint with fewer than ANSWERS_MIN on either side is refused, not printed. What
was answered with an error does not count as an answer, and one such error misses the gate.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import msgspec

from benchmarks.control_plane.asking import Answered
from benchmarks.figures import Figure, number

ANSWERS_MIN = 20
# The issue: every other endpoint keeps p95 <= 5 x idle (aim 50 ms) while 20 sign in at once ...
BUSY_GATE, BUSY_AIM_MS = 5.0, 50.0
# ... and the last is in within 20 x one hash / cores x 1.3.
LAST_GATE, LAST_AIM = 1.3, 1.0
# The issue: a night of 10,000 renewals in 60 s, and as much longer as there are more.
NIGHT_AIM_S, NIGHT_AIM_OF = 60.0, 10_000
LINEAR_AIM = 1.1
# Of a grant, on SQLite. It is an aim: there is no gate.
GRANT_AIM_MS = 20.0


@dataclass(frozen=True)
class SigningIn:
    """Rounds of an idle walk and one beside people who sign in at once. Seconds."""

    people: int
    cores: int
    idle: Sequence[Answered]
    busy: Sequence[Answered]
    signed_in: Sequence[Answered]
    lasts_s: Sequence[float]  # by round: when the last was in, beside the busy walk
    quiet_lasts_s: Sequence[float]  # and while nobody else asked
    hashes_s: Sequence[float]  # one hash, alone


@dataclass(frozen=True)
class Minute:
    """People who came, one after the other. `spent` in CPU seconds by process, over `for_s`."""

    joins: int
    for_s: float
    grants: Sequence[Answered]
    entered_ms: Sequence[float]  # of those who were in, from the grant on
    failed: Sequence[str]  # why the others were not
    spent_s: dict[str, float]


class Night(msgspec.Struct, frozen=True, kw_only=True, tag="night"):
    """What it came to. `took_s`: from the first commit to the last; `statements` and `commits` by lane, in that time,
    BEGIN and SAVEPOINT among the statements; `faults`: what is not as it should be, in words."""

    subscribers: int
    took_s: float
    cpu_s: float
    statements: dict[str, int]
    commits: dict[str, int]
    faults: list[str]


def p95_ms(answers: Iterable[Answered]) -> float:
    """The nearest rank. Raises ValueError for none."""
    took = sorted(one.took_ms for one in answers)
    if not took:
        raise ValueError("no answers")
    return took[math.ceil(0.95 * len(took)) - 1]


def signing_in(found: SigningIn) -> list[Figure]:
    """Row a: each endpoint beside itself idle, the last one in, and what was answered with an error."""
    names = list(dict.fromkeys(one.name for one in (*found.idle, *found.busy)))
    figures = [_endpoint(name, found) for name in names]
    fair_s = found.people * statistics.median(found.hashes_s) / found.cores
    for beside, lasts_s in (("beside the visitor who walks", found.lasts_s), ("nobody else asks", found.quiet_lasts_s)):
        worst, middle = max(lasts_s), statistics.median(lasts_s)
        note = (
            f"{middle:.2f} s, worst of {len(lasts_s)} rounds {worst:.2f} s; "
            f"one hash {1000 * statistics.median(found.hashes_s):.0f} ms alone"
        )
        what = f"the last of {found.people} is in, against {found.people} hashes on {found.cores} cores; {beside}"
        figures.append(Figure("a", what, middle / fair_s, "x", LAST_GATE, LAST_AIM, note))
    return [*figures, _errors("a", (*found.idle, *found.busy, *found.signed_in))]


def grants(empty: Sequence[Answered], full: Sequence[Answered], inside: int, *, aim_ms: float | None) -> list[Figure]:
    """Row b: asking for a grant to a room where nobody is, and to one with `inside` in it."""
    found = []
    for who, answers in (("nobody", empty), (f"{inside}", full)):
        good = [one for one in answers if one.good]
        what = f"p95 of a join grant, {who} in the room"
        if len(good) < ANSWERS_MIN:
            found.append(Figure("b", what, None, "ms", None, aim_ms, _too_few(len(good))))
            continue
        note = f"median {number(statistics.median(one.took_ms for one in good))} ms of {len(good)}"
        found.append(Figure("b", what, p95_ms(good), "ms", None, aim_ms, note))
    return [*found, _errors("b", (*empty, *full))]


def minute(found: Minute, *, aim_ms: float | None) -> list[Figure]:
    """Row c: everybody is in, or the gate is missed."""
    good = [one for one in found.grants if one.good]
    out = found.joins - len(found.entered_ms)
    faults = sorted({*found.failed, *(f"{one.status} {one.text[:80]}" for one in found.grants if not one.good)})
    pace = f"{found.joins} joins in {found.for_s:.0f} s"
    figures = [Figure("c", f"{pace}: not in", float(out), "", 0.0, 0.0, "; ".join(faults)[:300])]
    if len(good) >= ANSWERS_MIN:
        figures.append(Figure("c", f"{pace}: p95 of the grant", p95_ms(good), "ms", None, aim_ms))
    else:
        figures.append(Figure("c", f"{pace}: p95 of the grant", None, "ms", None, aim_ms, _too_few(len(good))))
    if found.entered_ms:
        rank = sorted(found.entered_ms)[math.ceil(0.95 * len(found.entered_ms)) - 1]
        figures.append(Figure("c", "p95 of the way from the grant into the room (WebSocket, offer, DTLS)", rank, "ms"))
    for name, spent_s in found.spent_s.items():
        each_ms = 1000 * spent_s / found.joins
        note = f"{number(each_ms)} ms a join"
        figures.append(
            Figure("c", f"CPU of the {name} meanwhile", 100 * spent_s / found.for_s, "% of a core", note=note)
        )
    return figures


def renewals(nights: Sequence[Night], gateway: str = "") -> list[Figure]:
    """Row d: nights that nobody disturbed, the smallest first. There is no aim for a `gateway`, in words, that is a
    way off."""
    figures = []
    for night in nights:
        count = night.subscribers
        per = {name: sum(found.values()) / count for name, found in (("s", night.statements), ("c", night.commits))}
        note = (
            f"{number(count / night.took_s)} a second; {number(1000 * night.took_s / count)} ms each, of them "
            f"{number(1000 * night.cpu_s / count)} ms CPU; {number(per['s'])} statements, {number(per['c'])} commits"
        )
        aim_s = None if gateway else NIGHT_AIM_S * count / NIGHT_AIM_OF
        figures.append(Figure("d", f"{count} renewals are done{gateway}", night.took_s, "s", None, aim_s, note))
        figures.append(_exact(night))
    if len(nights) > 1:
        few, many = nights[0], nights[-1]
        slower = (many.took_s / many.subscribers) / (few.took_s / few.subscribers)
        what = f"time of a renewal, {few.subscribers} -> {many.subscribers} in one night"
        figures.append(Figure("d", what, slower, "x", None, LINEAR_AIM))
    return figures


def beside_a_night(night: Night, idle: Sequence[Answered], busy: Sequence[Answered]) -> list[Figure]:
    """Row d: what a night does to who asks for a grant meanwhile."""
    good_idle, good_busy = ([one for one in answers if one.good] for answers in (idle, busy))
    count, fewer = night.subscribers, min(len(good_idle), len(good_busy))
    what = f"p95 of a join grant while {count} are renewed, against idle"
    errors = _errors("d", (*idle, *busy))
    if fewer < ANSWERS_MIN:
        return [Figure("d", what, None, "x", BUSY_GATE, None, _too_few(fewer)), _exact(night), errors]
    idle_ms, busy_ms = p95_ms(good_idle), p95_ms(good_busy)
    aim = min(BUSY_GATE, BUSY_AIM_MS / idle_ms)
    note = f"{number(busy_ms)} ms, idle {number(idle_ms)} ms; {len(good_busy)} and {len(good_idle)} answers; "
    note += f"the night took {number(night.took_s)} s"
    return [Figure("d", what, busy_ms / idle_ms, "x", BUSY_GATE, aim, note), _exact(night), errors]


def _exact(night: Night) -> Figure:
    what = f"{night.subscribers} renewals: what is not exactly one invoice, payment and period each, and sums of zero"
    return Figure("d", what, float(len(night.faults)), "", 0.0, 0.0, "; ".join(night.faults)[:300])


def _endpoint(name: str, found: SigningIn) -> Figure:
    idle = [one for one in found.idle if one.name == name and one.good]
    busy = [one for one in found.busy if one.name == name and one.good]
    what = f"p95 of {name} while {found.people} sign in, against idle"
    if min(len(idle), len(busy)) < ANSWERS_MIN:
        return Figure("a", what, None, "x", BUSY_GATE, None, _too_few(min(len(idle), len(busy))))
    idle_ms, busy_ms = p95_ms(idle), p95_ms(busy)
    # The aim is in milliseconds, and nobody reaches it who misses the gate.
    aim = min(BUSY_GATE, BUSY_AIM_MS / idle_ms)
    note = f"{number(busy_ms)} ms, idle {number(idle_ms)} ms; {len(busy)} and {len(idle)} answers"
    return Figure("a", what, busy_ms / idle_ms, "x", BUSY_GATE, aim, note)


def _errors(row: str, answers: Sequence[Answered]) -> Figure:
    wrong = [one for one in answers if not one.good]
    note = "; ".join(sorted({f"{one.name}: {one.status} {one.text[:80]}" for one in wrong}))[:300]
    return Figure(row, f"errors among {len(answers)} answers", float(len(wrong)), "", 0.0, 0.0, note)


def _too_few(count: int) -> str:
    return f"refused: {count} good answers, and a p95 needs {ANSWERS_MIN}"
