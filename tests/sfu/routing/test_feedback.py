"""When a PLI leaves: one in flight for a track, repeated every 300 ms, few for one subscriber. Time is a number."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

import pytest

from sfu.routing.feedback import QUICK_REPEATS, REPEAT_S, REQUESTS_MOST, SLOW_REPEAT_S, WINDOW_S, KeyFrameRequests

TRACK = 9
SMALL, LARGE = 4, 5  # two layers of it
ANNA, BEN = 70, 71  # two subscribers
TICK_S = 0.05


@pytest.fixture
def shown() -> Counter[int]:
    """How many key frames each layer has shown."""
    return Counter()


@pytest.fixture
def requests(shown: Counter[int]) -> KeyFrameRequests:
    return KeyFrameRequests(lambda layer: shown[layer])


def times(requests: KeyFrameRequests, begin: float, end: float) -> list[float]:
    """When requests leave, looked at every 50 ms after `begin` as the worker does."""
    ticks = [round(begin + TICK_S * n, 3) for n in range(1, round((end - begin) / TICK_S) + 1)]
    return [at for at in ticks for _ in requests.due(at)]


def test_the_first_who_needs_a_key_frame_is_served_at_once(requests: KeyFrameRequests) -> None:
    assert requests.ask(TRACK, LARGE, ANNA, 10.0) == LARGE


def test_others_who_need_the_track_meanwhile_share_the_request_in_flight(requests: KeyFrameRequests) -> None:
    assert requests.ask(TRACK, LARGE, ANNA, 10.0) == LARGE
    assert requests.ask(TRACK, LARGE, BEN, 10.1) is None
    assert requests.ask(TRACK, SMALL, BEN, 10.2) is None  # browsers answer on all layers at once


def test_tracks_do_not_wait_for_each_other(requests: KeyFrameRequests) -> None:
    assert requests.ask(TRACK, LARGE, ANNA, 10.0) == LARGE
    assert requests.ask(TRACK + 1, SMALL, ANNA, 10.0) == SMALL


def test_a_request_is_repeated_every_300_ms_until_the_waited_layer_shows_a_key_frame(
    requests: KeyFrameRequests, shown: Counter[int]
) -> None:
    requests.ask(TRACK, LARGE, ANNA, 10.0)
    assert requests.due(10.0 + REPEAT_S - 0.01) == []
    assert requests.due(10.01 + REPEAT_S) == [LARGE]
    shown[SMALL] += 1  # not the one that is waited for
    assert requests.due(10.02 + 2 * REPEAT_S) == [LARGE]
    shown[LARGE] += 1
    assert times(requests, 10.7, 40) == []


def test_a_source_that_never_answers_is_asked_less_often_in_time(requests: KeyFrameRequests) -> None:
    requests.ask(TRACK, LARGE, ANNA, 0.0)
    left = [0.0, *times(requests, 0.0, 9.0)]
    gaps = [round(later - earlier, 3) for earlier, later in pairwise(left)]
    assert gaps[: QUICK_REPEATS - 1] == [REPEAT_S] * (QUICK_REPEATS - 1)
    assert len(gaps) > QUICK_REPEATS
    assert set(gaps[QUICK_REPEATS - 1 :]) == {SLOW_REPEAT_S}


def test_a_new_request_is_not_slowed_by_an_old_one_that_nobody_answered(requests: KeyFrameRequests) -> None:
    requests.ask(TRACK, LARGE, ANNA, 0.0)
    last = times(requests, 0.0, 6.0)[-1]
    assert requests.ask(TRACK, LARGE, BEN, last + REPEAT_S + 0.01) == LARGE


def test_one_subscriber_causes_three_requests_of_a_track_in_ten_seconds_and_the_fourth_is_late(
    requests: KeyFrameRequests, shown: Counter[int]
) -> None:
    for second in range(REQUESTS_MOST):
        assert requests.ask(TRACK, LARGE, ANNA, float(second)) == LARGE
        shown[LARGE] += 1
        assert times(requests, second, second + 0.9) == []
    assert requests.ask(TRACK, LARGE, ANNA, 4.0) is None
    assert times(requests, 4.0, WINDOW_S + 0.1) == [WINDOW_S]


def test_another_subscriber_is_not_punished_for_it(requests: KeyFrameRequests, shown: Counter[int]) -> None:
    for second in range(REQUESTS_MOST + 1):
        requests.ask(TRACK, LARGE, ANNA, float(second))
        shown[LARGE] += 1
        requests.due(second + 0.5)
    assert requests.ask(TRACK, LARGE, BEN, 5.0) == LARGE


def test_who_switches_often_between_sources_is_served_by_each(requests: KeyFrameRequests, shown: Counter[int]) -> None:
    for track in range(20):
        assert requests.ask(track, track, ANNA, track * 0.2) == track
        shown[track] += 1
        requests.due(track * 0.2 + 0.1)


def test_a_late_request_is_forgotten_when_another_one_brings_the_key_frame(
    requests: KeyFrameRequests, shown: Counter[int]
) -> None:
    for second in range(REQUESTS_MOST):
        requests.ask(TRACK, LARGE, ANNA, float(second))
        shown[LARGE] += 1
        requests.due(second + 0.5)
    requests.ask(TRACK, LARGE, ANNA, 4.0)
    shown[LARGE] += 1  # somebody else's request was answered
    assert times(requests, 4.0, 30.0) == []


def test_a_key_frame_that_did_not_help_is_asked_for_again(requests: KeyFrameRequests, shown: Counter[int]) -> None:
    requests.ask(TRACK, LARGE, ANNA, 10.0)
    shown[LARGE] += 1  # and it is damaged on Anna's way, so she asks before the next look at the clock
    assert requests.ask(TRACK, LARGE, ANNA, 10.04) is None
    assert times(requests, 10.04, 11.0)[:1] == pytest.approx([10.34], abs=TICK_S)


def test_no_request_leaves_within_300_ms_of_the_last_even_if_that_was_answered(
    requests: KeyFrameRequests, shown: Counter[int]
) -> None:
    """Chromium ignores it silently, and 300 ms are lost until the repeat."""
    requests.ask(TRACK, LARGE, ANNA, 10.0)
    shown[LARGE] += 1
    assert requests.due(10.05) == []
    assert requests.ask(TRACK, LARGE, BEN, 10.1) is None
    assert requests.due(10.2) == []
    assert requests.due(10.31) == [LARGE]


@pytest.mark.parametrize("end", ["cancel", "forget_subscriber"])
def test_a_subscriber_that_waits_no_longer_causes_no_repeat(requests: KeyFrameRequests, end: str) -> None:
    requests.ask(TRACK, LARGE, ANNA, 10.0)
    getattr(requests, end)(ANNA)
    assert times(requests, 10.0, 30.0) == []


def test_a_track_that_is_gone_is_asked_for_nothing(requests: KeyFrameRequests) -> None:
    requests.ask(TRACK, LARGE, ANNA, 10.0)
    requests.forget_track(TRACK)
    assert times(requests, 10.0, 30.0) == []
    assert requests.ask(TRACK, LARGE, ANNA, 30.0) == LARGE


def test_a_new_slot_in_an_old_row_has_its_own_three_requests(requests: KeyFrameRequests, shown: Counter[int]) -> None:
    for second in range(REQUESTS_MOST):
        requests.ask(TRACK, LARGE, ANNA, float(second))
        shown[LARGE] += 1
        requests.due(second + 0.5)
    requests.forget_subscriber(ANNA)
    assert requests.ask(TRACK, LARGE, ANNA, 4.0) == LARGE
