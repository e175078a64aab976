"""Who is active, by levels every 100 ms (1 dB is 5 units)."""

from __future__ import annotations

import itertools

from hypothesis import given, settings
from hypothesis import strategies as st

from sfu.speakers import Speakers


def talk(speakers: Speakers, levels: dict[str, int], start: float, seconds: float) -> float:
    """Say the same levels ten times a second; the time at the end."""
    for step in range(round(seconds * 10)):
        speakers.hear(levels, start + step / 10)
    return start + seconds


def test_the_first_to_speak_is_active_at_once() -> None:
    speakers = Speakers()
    assert speakers.hear({"a": 300}, 0.0)
    assert (speakers.active, speakers.speaking) == ("a", ("a",))
    assert not speakers.hear({"a": 310}, 0.1)


def test_somebody_a_little_louder_does_not_take_over() -> None:
    speakers = Speakers()
    now = talk(speakers, {"a": 300}, 0.0, 1.0)
    talk(speakers, {"a": 300, "b": 320}, now, 5.0)
    assert speakers.active == "a"


def test_somebody_clearly_louder_takes_over_but_not_by_a_cough() -> None:
    speakers = Speakers()
    now = talk(speakers, {"a": 300}, 0.0, 1.0)
    now = talk(speakers, {"a": 300, "b": 500}, now, 0.2)
    now = talk(speakers, {"a": 300}, now, 1.0)
    assert speakers.active == "a"
    talk(speakers, {"a": 300, "b": 500}, now, 1.0)
    assert (speakers.active, speakers.recent) == ("b", ("b", "a"))


def test_after_the_active_one_falls_silent_a_soft_voice_is_enough() -> None:
    speakers = Speakers()
    now = talk(speakers, {"a": 500}, 0.0, 1.0)
    talk(speakers, {"b": 150}, now, 1.5)
    assert (speakers.active, speakers.speaking) == ("b", ("b",))


def test_silence_keeps_the_last_one_and_says_that_nobody_speaks() -> None:
    speakers = Speakers()
    talk(speakers, {"a": 300}, 0.0, 1.0)
    assert speakers.hear({}, 1.0)
    assert (speakers.active, speakers.speaking) == ("a", ())
    assert not speakers.hear({}, 1.1)


def test_who_leaves_is_forgotten() -> None:
    speakers = Speakers()
    talk(speakers, {"a": 300}, 0.0, 1.0)
    assert speakers.forget("a")
    assert (speakers.active, speakers.speaking, speakers.recent) == (None, (), ())
    assert not speakers.forget("a")


@settings(max_examples=100, deadline=None)
@given(st.lists(st.dictionaries(st.sampled_from("abcd"), st.integers(1, 635)), max_size=60))
def test_the_active_one_never_changes_twice_within_the_time_of_a_cough(heard: list[dict[str, int]]) -> None:
    speakers = Speakers()
    changed_at: list[float] = []
    for step, levels in enumerate(heard):
        before = speakers.active
        told = speakers.hear(levels, step / 10)
        assert told or speakers.active == before
        if speakers.active != before:
            changed_at.append(step / 10)
    assert all(later - earlier >= 0.29 for earlier, later in itertools.pairwise(changed_at))
