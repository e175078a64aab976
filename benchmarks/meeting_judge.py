"""What a meeting must have shown: the script of who speaks and looks when, and the judgement. Pure."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from benchmarks.client import LightClient
from benchmarks.receiving import Shown

SPEECH_S = 1.2
PAGE_S = 2.0
SHOWN_MS = 1000.0
LOST_FRAMES_MAX = 1  # 20 ms


def plan(number: int, page: int, people: int, slots: int) -> list[int]:
    """Whom person `number` looks at on this page: the next ones of all others, in a ring that begins behind him."""
    others = [(number + 1 + step) % people for step in range(people - 1)]
    return [others[(page * slots + slot) % len(others)] for slot in range(min(slots, len(others)))]


@dataclass(frozen=True)
class Step:
    """A slot was asked to show somebody, at a time of the client's clock."""

    mid: str
    participant: int
    asked_us: int


@dataclass(frozen=True)
class Result:
    """What one person saw and heard. Reports are sums over slots."""

    number: int
    spoken: list[int]
    heard: dict[int, list[int]]  # speaker -> frames
    steps: list[Step]
    shown: dict[str, list[Shown]]  # mid -> stretches
    faults: dict[str, int] = field(default_factory=dict)

    @classmethod
    def of(cls, client: LightClient, number: int, steps: list[Step]) -> Result:
        heard: dict[int, set[int]] = {}
        for slot in client.audio:
            for speaker, frames in slot.heard.items():
                heard.setdefault(speaker, set()).update(frames)
        reports = [slot.report() for slot in client.slots.values()]
        faults = {
            "wrong content": sum(report.wrong_content for report in reports),
            "backwards": sum(report.backwards for report in reports),
            "broken pictures": sum(report.broken_pictures for report in reports),
            "lost": sum(report.lost for report in reports),
            "unknown SSRC": client.unknown,
            "wrong tag": client.unsealed,
        }
        return cls(
            number,
            sorted(client.microphone.spoken) if client.microphone else [],
            {speaker: sorted(frames) for speaker, frames in heard.items()},
            steps,
            {slot.mid: slot.shown for slot in client.video},
            faults,
        )

    def told(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def heard_of(cls, told: dict[str, Any]) -> Result:
        """Back from JSON."""
        return cls(
            told["number"],
            told["spoken"],
            {int(speaker): frames for speaker, frames in told["heard"].items()},
            [Step(**step) for step in told["steps"]],
            {mid: [Shown(**one) for one in stretches] for mid, stretches in told["shown"].items()},
            told["faults"],
        )


@dataclass(frozen=True)
class Check:
    line: str
    holds: bool
    found: str


def judge(results: Sequence[Result]) -> list[Check]:
    """All that must have been."""
    return [_heard(results), _own_voice(results), *_pages(results), _faults(results)]


def _heard(results: Sequence[Result]) -> Check:
    worst, pairs, bad = 0, 0, []
    for speaker in results:
        spoken = set(speaker.spoken)
        for listener in results:
            if listener.number == speaker.number:
                continue
            pairs += 1
            missing = len(spoken - set(listener.heard.get(speaker.number, ())))
            worst = max(worst, missing)
            if missing > LOST_FRAMES_MAX or not spoken:
                bad.append(f"{listener.number} missed {missing} frames of {speaker.number}")
    found = f"{pairs} pairs, worst {worst * 20} ms lost" + (f"; {len(bad)} bad: {'; '.join(bad[:3])}" if bad else "")
    return Check("everybody was heard by everybody with at most 20 ms lost", not bad, found)


def _own_voice(results: Sequence[Result]) -> Check:
    bad = [result.number for result in results if result.number in result.heard]
    return Check("nobody was sent his own voice", not bad, f"{len(bad)} were")


def _pages(results: Sequence[Result]) -> list[Check]:
    shown = short = gaps = strangers = 0
    slowest_ms, shortest_ms = 0.0, float("inf")
    layers: set[int] = set()
    for result in results:
        for mid, stretches in result.shown.items():
            asked = [step for step in result.steps if step.mid == mid]
            # Asked for the same person again: he stays.
            wanted = [next(same) for _, same in itertools.groupby(asked, key=lambda step: step.participant)]
            kept = [stretch for stretch in stretches if stretch.frames > 1]
            strangers += [one.participant for one in kept] != [step.participant for step in wanted]
            for step, stretch in zip(wanted, kept, strict=False):
                shown += 1
                lasted_ms = (stretch.last_us - stretch.first_us) / 1000
                shortest_ms = min(shortest_ms, lasted_ms)
                slowest_ms = max(slowest_ms, (stretch.first_us - step.asked_us) / 1000)
                short += lasted_ms < SHOWN_MS
                gaps += stretch.last_frame - stretch.first_frame + 1 != stretch.frames
                layers.add(stretch.layer)
    order = f"{shown} stretches, {strangers} slots out of order"
    times = f"shortest {shortest_ms:.0f} ms, slowest to begin {slowest_ms:.0f} ms, {short} too short"
    return [
        Check("each slot showed exactly those asked for, in order", strangers == 0 and shown > 0, order),
        Check("each for at least a second", short == 0, times),
        Check("without a missing frame", gaps == 0, f"{gaps} of {shown} with a gap"),
        Check("in the smallest layer, as asked", layers == {0}, f"layers {sorted(layers)}"),
    ]


def _faults(results: Sequence[Result]) -> Check:
    sums: dict[str, int] = {}
    for result in results:
        for name, count in result.faults.items():
            sums[name] = sums.get(name, 0) + count
    return Check("no wrong content, order, picture or tag", not any(sums.values()), str(sums))
