"""The pictures and tones that other tests judge by must themselves be right."""

from __future__ import annotations

import wave
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.media import (
    Painted,
    bits_of,
    hue_colour,
    hue_distance,
    hue_of,
    loudest_tone_hz,
    paint,
    read_painted,
    to_i420,
    tone_samples,
    write_wav,
    write_y4m,
)


@settings(max_examples=50, deadline=None)
@given(
    source=st.integers(0, 15), number=st.integers(0, 4095), size=st.sampled_from([(160, 90), (240, 134), (960, 540)])
)
def test_what_is_painted_is_read_back_at_every_layer_size(source: int, number: int, size: tuple[int, int]) -> None:
    luma, _, _ = to_i420(paint(*size, 120, source, number))
    assert read_painted(luma) == Painted(source, number)


@given(source=st.integers(0, 15), number=st.integers(0, 4095), flipped=st.integers(0, 19))
def test_one_wrong_block_is_never_read_as_another_frame(source: int, number: int, flipped: int) -> None:
    picture = paint(320, 180, 0, source, number)
    row, column = divmod(flipped, 10)
    block = picture[row * 30 : row * 30 + 30, column * 32 : column * 32 + 32]
    block[:] = 255 - block
    assert read_painted(picture[..., 0]) is None


def test_a_blend_of_two_frames_is_not_read() -> None:
    a, b = (paint(320, 180, 0, 1, number)[..., 0].astype(int) for number in (0b0101, 0b1010))
    assert read_painted(((a + b) // 2).astype(np.uint8)) is None


def test_black_and_white_pictures_are_not_readings() -> None:
    for level in (0, 255):
        assert read_painted(np.full((180, 320), level, np.uint8)) is None


def test_a_source_id_that_does_not_fit_is_refused() -> None:
    with pytest.raises(ValueError, match="a source id is 0"):
        bits_of(16, 0)


@given(st.floats(0, 359.9))
def test_a_hue_survives_the_trip_through_a_colour(hue: float) -> None:
    back = hue_of(*hue_colour(hue))
    assert back is not None and hue_distance(back, hue) < 2


def test_grey_has_no_hue() -> None:
    assert hue_of(128, 128, 128) is None


def test_a_clip_has_the_length_that_its_header_promises(tmp_path: Path) -> None:
    clip = tmp_path / "clip.y4m"
    write_y4m(clip, width=320, height=180, fps=10, frames=3, hue_deg=200, source=2)
    header, _, rest = clip.read_bytes().partition(b"\n")
    assert header == b"YUV4MPEG2 W320 H180 F10:1 Ip A1:1 C420jpeg"
    assert len(rest) == 3 * (len(b"FRAME\n") + 320 * 180 * 3 // 2)


def test_a_tone_is_found_again_and_never_falls_silent(tmp_path: Path) -> None:
    write_wav(tmp_path / "tone.wav", 523.0, 2)
    with wave.open(str(tmp_path / "tone.wav")) as clip:
        samples = np.frombuffer(clip.readframes(clip.getnframes()), "<i2").astype(np.int16)
    heard = loudest_tone_hz(samples)
    assert heard is not None and abs(heard - 523) < 2
    assert min(np.abs(samples[at : at + 480]).max() for at in range(0, samples.size - 480, 480)) > 1000


def test_silence_has_no_tone() -> None:
    assert loudest_tone_hz(np.zeros(4800, np.int16)) is None
    assert loudest_tone_hz(tone_samples(440, 0.1, level=0.0)) is None
