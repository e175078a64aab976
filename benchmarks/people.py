"""How person number n looks and sounds, so that a decoder's output tells who it is. Pure.

The painted picture (tests/media.py) has room for 16 source ids; three hues far apart make 48 people of them. Tones
stand 100 Hz apart: in a window of 10 ms each is orthogonal to all others.
"""

from __future__ import annotations

from tests.media import SOURCE_BITS, hue_distance

SOURCES = 1 << SOURCE_BITS
HUES_DEG = (0.0, 120.0, 240.0)
PEOPLE_MAX = SOURCES * len(HUES_DEG)
# VP8 at its worst moves a hue by about 8 degrees; half of the way to the next one would be 60.
HUE_TOLERANCE_DEG = 30.0
TONE_FIRST_HZ, TONE_STEP_HZ = 300, 100


def source_of(number: int) -> int:
    return number % SOURCES


def hue_deg_of(number: int) -> float:
    return HUES_DEG[number // SOURCES]


def tone_hz_of(number: int) -> int:
    """A multiple of 50 Hz: 20 ms hold whole periods, so frames of one tone may follow each other in any order."""
    return TONE_FIRST_HZ + TONE_STEP_HZ * number


def who(source: int, hue_deg: float | None) -> int | None:
    """The person whose picture has this painted id and this hue; None when it is nobody's."""
    if hue_deg is None:
        return None
    for group, known_deg in enumerate(HUES_DEG):
        if hue_distance(known_deg, hue_deg) <= HUE_TOLERANCE_DEG:
            return group * SOURCES + source
    return None
