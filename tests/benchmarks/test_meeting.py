"""A small meeting with a libwebrtc client that decodes: a good one passes; faults that only a decoder sees fail."""

from __future__ import annotations

import pytest

from benchmarks.meeting import play
from benchmarks.meeting_judge import Result, lost_ms

LIGHT, WRTC = (0, 1, 2, 3, 4), 5
HEARD, WHOLE = "everybody was heard by everybody with at most 20 ms lost", "without a missing frame"
# Of 1,200: much less than a person or a word, and more than a jitter buffer on a busy machine invents.
SOME_MS = 150.0


@pytest.mark.browser
@pytest.mark.slow
async def test_six_people_of_whom_one_is_libwebrtc_hear_and_see_each_other() -> None:
    played = await play(people=6, wrtc=1, processes=1, seconds=8)
    bad = {check.line: check.found for check in played.checks() if not check.holds}
    # A decoder that gets no core in time drops a picture, a jitter buffer invents sound: neither is tested here.
    assert set(bad) <= {HEARD, WHOLE}, (bad, played.notes())
    people = played.results
    pairs = [(one, other) for one in people for other in people if one is not other]
    assert all(lost_ms(*pair) <= (20 if _light(*pair) else SOME_MS) for pair in pairs), bad
    assert sum(map(_gaps, people[:WRTC])) == 0 and _gaps(people[WRTC]) <= 2, bad
    assert played.cpu["worker"] > 0


def _light(one: Result, other: Result) -> bool:
    return WRTC not in (one.number, other.number)


def _gaps(viewer: Result) -> int:
    stretches = [one for shown in viewer.shown.values() for one in shown if one.frames > 1]
    return sum(one.last_frame - one.first_frame + 1 != one.frames for one in stretches)


@pytest.mark.browser
@pytest.mark.slow
async def test_a_mute_person_a_frozen_one_and_a_wrong_tone_are_found_by_who_decodes() -> None:
    """The stamps of the light clients are right all the time."""
    faults = {0: "mute", 1: "frozen", WRTC: "wrong tone"}
    played = await play(people=6, wrtc=1, processes=1, seconds=8, faults=faults)
    people = played.results
    assert lost_ms(people[0], people[WRTC]) > 1000, "libwebrtc hears that a light client is mute"
    assert lost_ms(people[2], people[WRTC]) <= SOME_MS, "and hears the others"
    assert all(lost_ms(people[WRTC], people[number]) > 1000 for number in LIGHT), "a wrong tone is not his"
    failed = {check.line for check in played.checks() if not check.holds}
    assert HEARD in failed
    assert WHOLE in failed, "a picture that stands still"


@pytest.mark.browser
@pytest.mark.long
async def test_a_libwebrtc_client_whose_picture_stands_still_is_found_by_light_ones() -> None:
    played = await play(people=3, wrtc=1, processes=1, seconds=4, faults={2: "frozen"})
    failed = {check.line: check.found for check in played.checks() if not check.holds}
    assert WHOLE in failed and set(failed) <= {HEARD, WHOLE}, failed
