"""What a meeting must have shown: the script of who speaks and looks when, and the judgement. Pure.

Who stamps and reads stamps is judged by them, frame by frame. Where one of a pair is libwebrtc, whose encoder leaves no
room for a stamp, the decoded picture and the decoded tone say who it was (decoded.py).
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from benchmarks.client import LightClient
from benchmarks.receiving import Shown
from benchmarks.sending import Layer

LAYERS = (Layer("q", 320, 180, 60), Layer("h", 640, 360, 150))
SPEECH_S = 1.2
PAGE_S = 2.0
# People do not turn their pages at the same moment: each has his own within the two seconds. All at once, the key
# frames for everybody would make the sound of clients late that share two cores.
TURNING_S = PAGE_S
SHOWN_MS = 1000.0
FRAME_MS = 20.0
LOST_MS_MAX = 20.0
# A tone heard longer than it was spoken was heard twice, or invented. Codec and jitter buffer add a few milliseconds.
ADDED_MS_MAX = 40.0


def plan(number: int, page: int, people: int, slots: int) -> list[int]:
    """Whom person `number` looks at on this page: the next ones of all others, in a ring that begins behind him."""
    others = [(number + 1 + step) % people for step in range(people - 1)]
    return [others[(page * slots + slot) % len(others)] for slot in range(min(slots, len(others)))]


def layer_of() -> dict[int, int]:
    """Height of a decoded picture -> layer."""
    return {layer.height: at for at, layer in enumerate(LAYERS)}


@dataclass(frozen=True)
class Script:
    """`people` in all, of whom those in `wrtc` are libwebrtc; `pages` of `PAGE_S` each.

    `faults`: person -> "mute", "wrong tone" or "frozen", done on purpose, so that tests see the judgement fail. A light
    client's stamps stay right: only who decodes can tell.
    """

    people: int
    pages: int
    wrtc: Sequence[int] = ()
    fps: int = 10
    audio_slots: int = 3
    video_slots: int = 8
    faults: Mapping[int, str] = field(default_factory=dict)

    def pages_of(self, number: int) -> list[list[int]]:
        return [plan(number, page, self.people, self.video_slots) for page in range(self.pages)]

    def turns_s(self, number: int) -> list[float]:
        """When this person turns to each page, and at last when he closes the book."""
        return [page * PAGE_S + TURNING_S * number / self.people for page in range(self.pages + 1)]


@dataclass(frozen=True)
class Step:
    """A slot was asked to show somebody, at a time of the client's clock."""

    mid: str
    participant: int
    asked_us: int


@dataclass(frozen=True)
class Result:
    """What one person saw and heard. Reports are sums over slots.

    `spoken`, `heard` are numbers of stamped frames; `spoken_ms`, `heard_ms` time by decoded tones. `groups` tells where
    his film was wound to (decoded.Winding). `notes` are told and not judged.
    """

    number: int
    stamped: bool = True
    spoken: list[int] = field(default_factory=list)
    heard: dict[int, list[int]] = field(default_factory=dict)  # speaker -> frames
    spoken_ms: float = 0.0
    heard_ms: dict[int, float] = field(default_factory=dict)
    steps: list[Step] = field(default_factory=list)
    shown: dict[str, list[Shown]] = field(default_factory=dict)  # mid -> stretches
    faults: dict[str, int] = field(default_factory=dict)
    groups: list[tuple[int, int, int]] = field(default_factory=list)
    late_ms: float = 0.0
    notes: dict[str, int] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        client: LightClient,
        number: int,
        steps: list[Step],
        shown: dict[str, list[Shown]],
        heard_ms: dict[int, float],
        unreadable: int,
    ) -> Result:
        """`shown`, `heard_ms` and `unreadable` (pictures): with what decoders said of those without stamps."""
        heard: dict[int, set[int]] = {}
        for slot in client.audio:
            for speaker, frames in slot.heard.items():
                heard.setdefault(speaker, set()).update(frames)
        reports = [slot.report() for slot in client.slots.values()]
        faults = {
            "wrong content": sum(report.wrong_content for report in reports),
            "backwards": sum(report.backwards for report in reports),
            "broken pictures": sum(report.broken_pictures for report in reports),
            "unreadable pictures": unreadable,
            "lost": sum(report.lost for report in reports),
            "unknown SSRC": client.unknown,
            "wrong tag": client.unsealed,
        }
        spoken = sorted(client.microphone.spoken) if client.microphone else []
        return cls(
            number,
            spoken=spoken,
            heard={speaker: sorted(frames) for speaker, frames in heard.items()},
            spoken_ms=len(spoken) * FRAME_MS,
            heard_ms=heard_ms,
            steps=steps,
            shown=shown,
            faults=faults,
            groups=client.camera.groups if client.camera else [],
            late_ms=client.late_ms,
        )

    def told(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def heard_of(cls, told: dict[str, Any]) -> Result:
        """Back from JSON."""
        changed = {
            "heard": {int(speaker): frames for speaker, frames in told["heard"].items()},
            "heard_ms": {int(speaker): ms for speaker, ms in told["heard_ms"].items()},
            "steps": [Step(**step) for step in told["steps"]],
            "shown": {mid: [Shown(**one) for one in stretches] for mid, stretches in told["shown"].items()},
            "groups": [tuple(group) for group in told["groups"]],
        }
        return cls(**{**told, **changed})


@dataclass(frozen=True)
class Check:
    line: str
    holds: bool
    found: str


def judge(results: Sequence[Result]) -> list[Check]:
    """All that must have been."""
    return [_heard(results), _twice(results), _own_voice(results), *_pages(results), _faults(results)]


def lost_ms(speaker: Result, listener: Result) -> float:
    """How much of what one said the other did not hear."""
    if speaker.stamped and listener.stamped:
        return FRAME_MS * len(set(speaker.spoken) - set(listener.heard.get(speaker.number, ())))
    return max(0.0, speaker.spoken_ms - listener.heard_ms.get(speaker.number, 0.0))


def _heard(results: Sequence[Result]) -> Check:
    worst: dict[str, float] = {}
    pairs: dict[str, int] = {}
    bad = []
    for speaker, listener in itertools.permutations(results, 2):
        proof = "stamps" if speaker.stamped and listener.stamped else "decoded tones"
        missing_ms = lost_ms(speaker, listener)
        worst[proof] = max(worst.get(proof, 0.0), missing_ms)
        pairs[proof] = pairs.get(proof, 0) + 1
        if missing_ms > LOST_MS_MAX or not speaker.spoken_ms:
            bad.append(f"{listener.number} missed {missing_ms:.0f} ms of {speaker.number}")
    found = ", ".join(f"{pairs[proof]} pairs by {proof}: worst {worst[proof]:.0f} ms lost" for proof in pairs)
    found += f"; {len(bad)} bad: {'; '.join(bad[:3])}" if bad else ""
    return Check("everybody was heard by everybody with at most 20 ms lost", not bad, found)


def _twice(results: Sequence[Result]) -> Check:
    added = [
        listener.heard_ms[speaker.number] - speaker.spoken_ms
        for speaker, listener in itertools.permutations(results, 2)
        if speaker.number in listener.heard_ms
    ]
    bad = sum(ms > ADDED_MS_MAX for ms in added)
    found = f"{bad} were; at most {max(added, default=0.0):.0f} ms longer, by decoded tones"
    return Check("nobody was heard longer than he spoke", not bad, found)


def _own_voice(results: Sequence[Result]) -> Check:
    bad = [one.number for one in results if one.number in one.heard or one.heard_ms.get(one.number, 0.0) > LOST_MS_MAX]
    return Check("nobody was sent his own voice", not bad, f"{len(bad)} were")


def _pages(results: Sequence[Result]) -> list[Check]:
    shown = short = gaps = strangers = decoded = 0
    slowest_ms: dict[str, float] = {}
    shortest_ms = float("inf")
    layers: set[int] = set()
    stamped = {result.number for result in results if result.stamped}
    for result in results:
        for mid, stretches in result.shown.items():
            wanted = _wanted(result.steps, mid)
            kept = [stretch for stretch in stretches if stretch.frames > 1]
            strangers += [one.participant for one in kept] != [step.participant for step in wanted]
            for step, stretch in zip(wanted, kept, strict=False):
                shown += 1
                decoded += not (result.stamped and stretch.participant in stamped)
                lasted_ms = (stretch.last_us - stretch.first_us) / 1000
                shortest_ms = min(shortest_ms, lasted_ms)
                viewer = "light clients" if result.stamped else "libwebrtc"
                waited_ms = (stretch.first_us - step.asked_us) / 1000
                slowest_ms[viewer] = max(slowest_ms.get(viewer, 0.0), waited_ms)
                short += lasted_ms < SHOWN_MS
                gaps += stretch.last_frame - stretch.first_frame + 1 != stretch.frames
                layers.add(stretch.layer)
    order = f"{shown} stretches, {shown - decoded} proven by stamps and {decoded} by decoded pictures"
    order += f"; {strangers} slots out of order"
    slowest = " and ".join(f"{ms:.0f} ms at {viewer}" for viewer, ms in slowest_ms.items())
    times = f"shortest {shortest_ms:.0f} ms, slowest to begin {slowest}; {short} too short"
    return [
        Check("each slot showed exactly those asked for, in order", strangers == 0 and shown > 0, order),
        Check("each for at least a second", short == 0, times),
        Check("without a missing frame", gaps == 0, f"{gaps} of {shown} with a gap"),
        Check("in the smallest layer, as asked", layers == {0}, f"layers {sorted(layers)}"),
    ]


def _wanted(steps: Sequence[Step], mid: str) -> list[Step]:
    """What a slot was asked for. Asked for the same person again: he stays."""
    asked = [step for step in steps if step.mid == mid]
    return [next(same) for _, same in itertools.groupby(asked, key=lambda step: step.participant)]


def _faults(results: Sequence[Result]) -> Check:
    sums = totals([result.faults for result in results])
    return Check("no wrong content, order, picture or tag", not any(sums.values()), str(sums))


def totals(counts: Sequence[Mapping[str, int]]) -> dict[str, int]:
    found: dict[str, int] = {}
    for one in counts:
        for name, count in one.items():
            found[name] = found.get(name, 0) + count
    return found
