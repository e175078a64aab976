"""Pictures and tones that tests can recognise at the far end, made without a codec or a camera.

A picture has a solid hue that names its client, a square that moves, and a band of black and white
blocks that spells a source id and a frame number. The same picture is painted by `browser/painter.js`;
`PAINT` and its constants must stay alike in both.

  rows 0 and 1 of 6   20 blocks, 10 a row: 4 bits source, 12 bits frame number, 4 bits check, high bit first
  rows 2 and 3        the moving square on the hue
  rows 4 and 5        the hue alone: here the colour is read
"""

from __future__ import annotations

import colorsys
import hashlib
import os
import tempfile
import wave
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

Picture = NDArray[np.uint8]

COLUMNS = 10
BLOCK_ROWS = 6  # of the height; fewer and a 90-line layer would still be read, more and it would not
SOURCE_BITS, NUMBER_BITS, CHECK_BITS = 4, 12, 4
NUMBERS = 1 << NUMBER_BITS  # frame numbers wrap here: after 163 s at 25 fps
CHECK_SALT = 0b1010  # so that neither an all-black nor an all-white band is a valid reading
# A block between these is not read at all: a blend of two frames must not pass as a third.
DARK, LIGHT = 96, 160
SAMPLE_RATE_HZ = 48000


@dataclass(frozen=True)
class Painted:
    """What a frame says about itself."""

    source: int
    number: int


@dataclass(frozen=True)
class FakeMedia:
    """One client's camera and microphone as files for Chromium's fake devices."""

    hue_deg: float
    tone_hz: float
    video: Path
    audio: Path


def bits_of(source: int, number: int) -> list[bool]:
    """The 20 blocks, first row first. `source` is 0..15; `number` wraps."""
    if not 0 <= source < 1 << SOURCE_BITS:
        raise ValueError(f"a source id is 0..15, not {source}")
    word = source << NUMBER_BITS | number % NUMBERS
    word = word << CHECK_BITS | _check(word)
    return [bool(word >> bit & 1) for bit in reversed(range(SOURCE_BITS + NUMBER_BITS + CHECK_BITS))]


def _check(word: int) -> int:
    return (word ^ word >> 4 ^ word >> 8 ^ word >> 12) & 15 ^ CHECK_SALT


def paint(width: int, height: int, hue_deg: float, source: int, number: int) -> Picture:
    """One RGB picture, (height, width, 3)."""
    picture = np.empty((height, width, 3), np.uint8)
    picture[:] = hue_colour(hue_deg)
    block_w, block_h = width / COLUMNS, height / BLOCK_ROWS
    for index, lit in enumerate(bits_of(source, number)):
        row, column = divmod(index, COLUMNS)
        top, left = round(row * block_h), round(column * block_w)
        picture[top : round((row + 1) * block_h), left : round((column + 1) * block_w)] = 255 if lit else 0
    side = round(block_h)
    left = round(number * width / 40) % max(1, width - side)
    top = round(2.5 * block_h)
    picture[top : top + side, left : left + side] = 230
    return picture


def read_painted(grey: Picture) -> Painted | None:
    """The id and number painted in a grey picture (height, width); None when it cannot be read with certainty."""
    height, width = grey.shape
    word = 0
    for index in range(SOURCE_BITS + NUMBER_BITS + CHECK_BITS):
        row, column = divmod(index, COLUMNS)
        y, x = int((row + 0.5) * height / BLOCK_ROWS), int((column + 0.5) * width / COLUMNS)
        reach = max(1, width // COLUMNS // 6)
        level = float(grey[max(0, y - reach) : y + reach, max(0, x - reach) : x + reach].mean())
        if DARK < level < LIGHT:
            return None
        word = word << 1 | (level >= LIGHT)
    word, check = word >> CHECK_BITS, word & 15
    return Painted(word >> NUMBER_BITS, word % NUMBERS) if check == _check(word) else None


def hue_colour(hue_deg: float) -> tuple[int, int, int]:
    """A clear but not burning colour, so that the trip through 4:2:0 and limited range keeps its hue."""
    red, green, blue = colorsys.hsv_to_rgb(hue_deg % 360 / 360, 0.75, 0.8)
    return round(red * 255), round(green * 255), round(blue * 255)


def hue_of(red: float, green: float, blue: float) -> float | None:
    """The hue in degrees; None for grey, black and white, which have none."""
    hue, saturation, value = colorsys.rgb_to_hsv(red / 255, green / 255, blue / 255)
    return hue * 360 if saturation > 0.25 and value > 0.2 else None


def hue_distance(a: float, b: float) -> float:
    """Degrees between two hues, 0..180."""
    return abs((a - b + 180) % 360 - 180)


def to_i420(picture: Picture) -> tuple[Picture, Picture, Picture]:
    """Y, U, V planes of an RGB picture: BT.601, limited range, 4:2:0. Width and height must be even."""
    red, green, blue = (picture[..., channel].astype(np.float32) for channel in range(3))
    luma = 16 + (65.738 * red + 129.057 * green + 25.064 * blue) / 256
    cb = 128 + (-37.945 * red - 74.494 * green + 112.439 * blue) / 256
    cr = 128 + (112.439 * red - 94.154 * green - 18.285 * blue) / 256

    def halved(plane: NDArray[np.float32]) -> NDArray[np.float32]:
        height, width = plane.shape
        halves: NDArray[np.float32] = plane.reshape(height // 2, 2, width // 2, 2).mean(axis=(1, 3), dtype=np.float32)
        return halves

    return tuple(np.rint(plane).astype(np.uint8) for plane in (luma, halved(cb), halved(cr)))  # type: ignore[return-value]


def write_y4m(path: Path, *, width: int, height: int, fps: int, frames: int, hue_deg: float, source: int) -> None:
    """A clip that Chromium plays in a loop as its camera."""
    with path.open("wb") as clip:
        clip.write(f"YUV4MPEG2 W{width} H{height} F{fps}:1 Ip A1:1 C420jpeg\n".encode())
        for number in range(frames):
            clip.write(b"FRAME\n")
            for plane in to_i420(paint(width, height, hue_deg, source, number)):
                clip.write(plane.tobytes())


def tone_samples(tone_hz: float, seconds: float, *, level: float = 0.3) -> NDArray[np.int16]:
    """A tone that never stops; it swells four times a second, or a noise suppressor would take it for a fan."""
    at = np.arange(round(seconds * SAMPLE_RATE_HZ)) / SAMPLE_RATE_HZ
    swell = 0.7 + 0.3 * np.sin(2 * np.pi * 4 * at)
    return np.rint(32767 * level * swell * np.sin(2 * np.pi * tone_hz * at)).astype(np.int16)


def write_wav(path: Path, tone_hz: float, seconds: float = 5) -> None:
    """A mono 48 kHz clip; a whole number of tone periods fits when `tone_hz * seconds` is whole: no click in a loop."""
    with wave.open(str(path), "wb") as clip:
        clip.setnchannels(1)
        clip.setsampwidth(2)
        clip.setframerate(SAMPLE_RATE_HZ)
        clip.writeframes(tone_samples(tone_hz, seconds).astype("<i2").tobytes())


def fake_media(
    hue_deg: float,
    tone_hz: float,
    *,
    source: int = 0,
    width: int = 960,
    height: int = 540,
    fps: int = 10,
    frames: int = 40,
) -> FakeMedia:
    """The files for one client, made once for each set of arguments and then kept in the temporary folder."""
    key = repr((hue_deg, tone_hz, source, width, height, fps, frames, Path(__file__).read_bytes()))
    folder = Path(tempfile.gettempdir()) / f"stentor-media-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    stem = hashlib.sha256(key.encode()).hexdigest()[:16]
    video, audio = folder / f"{stem}.y4m", folder / f"{stem}.wav"
    if not video.exists():
        # Under another name first: two test runs at once must not play a half-written clip.
        fresh = folder / f"{stem}.{os.getpid()}.tmp"
        write_y4m(fresh, width=width, height=height, fps=fps, frames=frames, hue_deg=hue_deg, source=source)
        fresh.rename(video)
    if not audio.exists():
        fresh = folder / f"{stem}.{os.getpid()}.tmp"
        write_wav(fresh, tone_hz)
        fresh.rename(audio)
    return FakeMedia(hue_deg, tone_hz, video, audio)


def loudest_tone_hz(samples: NDArray[np.int16], *, rate_hz: int = SAMPLE_RATE_HZ) -> float | None:
    """The strongest frequency; None in near silence."""
    if samples.size == 0 or float(np.sqrt(np.mean(samples.astype(np.float64) ** 2))) < 100:
        return None
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(samples.size)))
    return float(np.argmax(spectrum) * rate_hz / samples.size)
