"""What the control plane's figures say against gate and aim. Pure.

A p95 of few answers is chance: an endpoint with fewer than ANSWERS_MIN on either side is refused, not printed. What
was answered with an error does not count as an answer, and one such error misses the gate.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from benchmarks.control_plane.asking import Answered
from benchmarks.figures import Figure, number

ANSWERS_MIN = 20
# The issue: every other endpoint keeps p95 <= 5 x idle (aim 50 ms) while 20 sign in at once ...
BUSY_GATE, BUSY_AIM_MS = 5.0, 50.0
# ... and the last is in within 20 x one hash / cores x 1.3.
LAST_GATE, LAST_AIM = 1.3, 1.0
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
