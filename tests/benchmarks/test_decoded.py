"""What decoders gave is named rightly: who was seen, which frame it was, how long somebody was heard."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from benchmarks import people
from benchmarks.decoded import TONE_PEAK, Repairs, Seen, Winding, Window, heard_ms, stretches, windows

LAYERS = {180: 0, 360: 1}


def tone(number: int, ms: int, rate_hz: int = 48_000) -> NDArray[np.float64]:
    at = np.arange(rate_hz * ms // 1000) / rate_hz
    return np.asarray(TONE_PEAK * np.sin(2 * np.pi * people.tone_hz_of(number) * at))


def test_forty_people_differ_in_picture_and_tone() -> None:
    seen = {(people.source_of(number), people.hue_deg_of(number)) for number in range(40)}
    assert len(seen) == 40
    assert all(people.who(people.source_of(n), people.hue_deg_of(n) + 8) == n for n in range(40))
    assert (people.who(3, 60.0), people.who(3, None)) == (None, None)


@pytest.mark.parametrize("rate_hz", [16_000, 48_000])
def test_each_of_forty_tones_is_told_from_all_others(rate_hz: int) -> None:
    for number in range(40):
        found = windows(tone(number, 100, rate_hz), rate_hz, 0, 40)
        assert [window.person for window in found] == [number] * 10
        assert heard_ms([(found, ())]) == {number: pytest.approx(100.0)}


def test_silence_is_nobody_and_a_window_counts_by_how_much_of_it_the_tone_filled() -> None:
    assert windows(np.zeros(4_800), 48_000, 0, 40) == []
    for part, heard in ((450, 20.0), (360, 18.3), (120, 12.8)):
        sound = np.concatenate([tone(4, 10), tone(4, 10)[:part], np.zeros(480 - part)])
        assert heard_ms([(windows(sound, 48_000, 0, 40), ())]) == {4: pytest.approx(heard, abs=0.2)}


def test_the_end_of_anothers_speech_misread_as_somebody_bounds_no_speech() -> None:
    misread = [Window(1_000_000, 5, 0.15 * TONE_PEAK)]
    repairs = [Repairs(0, 0.0, 0.0, 0.0), Repairs(2_000_000, 300.0, 0.0, 90.0)]
    assert heard_ms([(misread, repairs)]) == {5: pytest.approx(10.0 * 0.15 / 0.9)}


def test_what_a_jitter_buffer_invented_counts_as_lost_and_what_it_cut_as_heard() -> None:
    heard = [Window(at * 10_000, 3, TONE_PEAK) for at in range(120)]
    quiet = [Repairs(0, 50.0, 9.0, 9.0), Repairs(2_000_000, 50.0, 9.0, 9.0)]
    assert heard_ms([(heard, quiet)]) == {3: 1200.0}
    busy = [Repairs(100_000, 50.0, 0.0, 0.0), Repairs(900_000, 90.0, 15.0, 5.0)]
    assert heard_ms([(heard, busy)]) == {3: 1200.0 - 40.0 - 15.0 + 5.0}


def test_a_speech_lasts_from_the_last_sums_before_it_to_the_first_after_it() -> None:
    heard = [Window(1_000_000 + at * 10_000, 3, TONE_PEAK) for at in range(120)]
    times_us = (100_000, 900_000, 2_210_000, 3_000_000)
    sums = ((0.0, 0.0), (7.0, 20.0), (27.0, 50.0), (99.0, 99.0))
    repairs = [Repairs(at_us, sums[at][0], 0.0, sums[at][1]) for at, at_us in enumerate(times_us)]
    assert heard_ms([(heard, repairs)]) == {3: 1200.0 - 20.0 + 30.0}


def test_inventions_outside_of_a_speech_are_nobodys_loss() -> None:
    heard = [Window(5_000_000 + at * 10_000, 3, TONE_PEAK) for at in range(120)]
    repairs = [Repairs(0, 0.0, 0.0, 0.0), Repairs(4_900_000, 300.0, 0.0, 0.0), Repairs(6_300_000, 300.0, 0.0, 0.0)]
    assert heard_ms([(heard, repairs)]) == {3: 1200.0}


def test_a_painted_number_is_the_newest_frame_that_had_been_sent() -> None:
    # Frames 0 to 9 are places 0 to 9; a key frame winds to 50; later the reel begins again.
    winding = Winding([(0, 0, 0), (10, 50, 1_000_000), (60, 0, 6_000_000)])
    assert winding.frame(3, 500_000) == 3
    assert winding.frame(52, 1_300_000) == 12
    assert winding.frame(3, 5_900_000) == 3
    assert winding.frame(3, 6_500_000) == 63
    assert winding.frame(120, 5_000_000) is None


def test_a_frame_that_was_never_seen_is_a_gap_across_a_key_frame_too() -> None:
    winding = Winding([(0, 0, 0), (10, 50, 1_000_000)])
    seen = [Seen(at_us, 7, number, 180) for at_us, number in ((800_000, 8), (1_010_000, 50), (1_110_000, 51))]
    (shown,), unreadable = stretches(seen, {7: winding}, LAYERS)
    assert (shown.first_frame, shown.last_frame, shown.frames, unreadable) == (8, 11, 3, 0)  # frame 9 is missing


def test_stretches_end_with_the_person_and_with_the_layer() -> None:
    seen = [Seen(0, 1, 5, 180), Seen(1, 1, 6, 180), Seen(2, 1, 7, 360), Seen(3, 2, 1, 180)]
    found, _ = stretches(seen, {1: Winding(), 2: Winding()}, LAYERS)
    assert [(one.participant, one.layer, one.frames) for one in found] == [(1, 0, 2), (1, 1, 1), (2, 0, 1)]


def test_numbers_that_wrap_go_on() -> None:
    found, _ = stretches([Seen(at, 1, (4094 + at) % 4096, 180) for at in range(5)], {1: Winding()}, LAYERS)
    assert (found[0].first_frame, found[0].last_frame, found[0].frames) == (4094, 4098, 5)


def test_pictures_that_say_nothing_or_come_in_a_strange_size_are_counted() -> None:
    seen = [Seen(0, None, 0, 180), Seen(1, 1, 5, 90), Seen(2, 9, 5, 180)]
    assert stretches(seen, {1: Winding()}, LAYERS) == ([], 3)
