"""What decoders gave, and who that was: painted pictures become stretches, tones become time heard. Pure.

The same for packets that a light client kept (foreign.py) and for what libwebrtc decoded in Node (wrtc/).
"""

from __future__ import annotations

import functools
from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from benchmarks import people
from benchmarks.receiving import Shown
from benchmarks.sending import SPEAKING_LEVEL

WINDOW_MS = 10.0
# The swing of a tone at the level that its packets declare, -20 dBov.
TONE_PEAK = round(32767 * 10 ** (-SPEAKING_LEVEL / 20) * 2**0.5)
# From this share of the swing on a window is whole: the codec leaves some tones 3 % of it, 30 ms of a speech.
WHOLE = 0.9
# A window bounds a speech from here on; fainter ones are its edges, or the end of another's misread.
LOUD = 0.5
# Fainter than this is the tail of a codec's window, not sound.
FAINT = 0.05
# As painted numbers wrap (tests/media.py).
NUMBERS = 4096


class Seen(NamedTuple):
    """One decoded picture; `person` None = what it says cannot be read."""

    at_us: int
    person: int | None
    number: int
    height: int


class Window(NamedTuple):
    """10 ms of decoded sound in which this person's tone is the strongest, at this swing."""

    at_us: int
    person: int
    swing: float


class Repairs(NamedTuple):
    """Sums of a jitter buffer so far, in ms: audible sound that it invented, and put in or took out to change pace."""

    at_us: int
    invented_ms: float
    stretched_ms: float
    squeezed_ms: float


@dataclass(frozen=True)
class Winding:
    """Which frame a painted number is. Without groups the frames are numbered through.

    `groups`: frame, place in the reel, sent at (us of the machine's clock) of the first frame of each.
    """

    groups: Sequence[tuple[int, int, int]] = ()

    @functools.cached_property
    def _sent_us(self) -> list[int]:
        return [sent_us for _, _, sent_us in self.groups]

    def frame(self, number: int, at_us: int) -> int | None:
        """The newest frame with this number that had been sent at that time; None when there was none."""
        if not self.groups:
            return number
        newest = bisect_right(self._sent_us, at_us)
        for at in range(newest - 1, -1, -1):
            frame, place, _ = self.groups[at]
            end = self.groups[at + 1][0] if at + 1 < len(self.groups) else frame + NUMBERS
            if 0 <= number - place < end - frame:
                return frame + number - place
        return None


def stretches(
    seen: Iterable[Seen], windings: Mapping[int, Winding], layer_of: Mapping[int, int]
) -> tuple[list[Shown], int]:
    """The stretches in which a slot showed one layer of one person, and how many pictures could not be read.

    `layer_of`: height -> layer. A picture of an unknown height counts as unreadable.
    """
    found: list[Shown] = []
    unreadable = 0
    for at_us, person, number, height in seen:
        winding, layer = windings.get(person) if person is not None else None, layer_of.get(height)
        frame = winding.frame(number, at_us) if winding is not None else None
        if person is None or frame is None or layer is None:
            unreadable += 1
            continue
        last = found[-1] if found else None
        if last is None or (last.participant, last.layer) != (person, layer):
            found.append(Shown(person, "camera", layer, at_us, at_us, frame, frame))
            continue
        if winding is not None and not winding.groups and last.last_frame - frame > NUMBERS // 2:
            frame += NUMBERS * -(-(last.last_frame - frame - NUMBERS // 2) // NUMBERS)
        last.last_us = at_us
        last.frames += 1
        last.last_frame = frame
    return found, unreadable


@functools.cache
def _waves(rate_hz: int, count: int) -> NDArray[np.complex128]:
    """10 ms of every person's tone, (samples, people)."""
    places = np.arange(rate_hz // 100) / rate_hz
    tones = np.array([people.tone_hz_of(number) for number in range(count)])
    return np.asarray(np.exp(-2j * np.pi * np.outer(places, tones)))


def windows(samples: NDArray[np.float64], rate_hz: int, at_us: int, count: int) -> list[Window]:
    """The windows of 10 ms that are not silent, of samples as of 16 bits. What remains at the end is left out."""
    size = rate_hz // 100
    whole = samples[: samples.size // size * size].reshape(-1, size)
    swings = 2 / size * np.abs(whole @ _waves(rate_hz, count))
    return [
        Window(at_us + at * 10_000, int(row.argmax()), float(row.max()))
        for at, row in enumerate(swings)
        if row.max() >= FAINT * TONE_PEAK
    ]


def heard_ms(slots: Iterable[tuple[Sequence[Window], Sequence[Repairs]]]) -> dict[int, float]:
    """Speaker -> how long his tone was heard, over all slots.

    A window counts by its share of the full swing: at the ends of a speech that is how much of it the tone filled.
    What a jitter buffer invented or put in while he was heard is taken off, and what it took out is added: it had come.
    Its sums are asked for before a tone begins and when it ends, and those moments bound the speech.
    """
    found: dict[int, float] = {}
    for heard, repairs in slots:
        spans: dict[int, tuple[int, int]] = {}
        for at_us, person, swing in heard:
            found[person] = found.get(person, 0.0) + WINDOW_MS * min(1.0, swing / (WHOLE * TONE_PEAK))
            if swing >= LOUD * TONE_PEAK:
                first, _ = spans.get(person, (at_us, at_us))
                spans[person] = (first, at_us)
        for person, (first_us, last_us) in spans.items():
            if not repairs:
                continue
            began = next((one for one in reversed(repairs) if one.at_us <= first_us), repairs[0])
            ended = next((one for one in repairs if one.at_us >= last_us), repairs[-1])
            found[person] -= ended.invented_ms - began.invented_ms
            found[person] -= ended.stretched_ms - began.stretched_ms
            found[person] += ended.squeezed_ms - began.squeezed_ms
    return found
