"""A small meeting with a libwebrtc client that decodes: a good one passes; faults that only a decoder sees fail."""

from __future__ import annotations

import pytest

from benchmarks.meeting import play
from benchmarks.meeting_judge import lost_ms

LIGHT, WRTC = (0, 1, 2, 3, 4), 5


@pytest.mark.browser
@pytest.mark.slow
async def test_six_people_of_whom_one_is_libwebrtc_hear_and_see_each_other() -> None:
    played = await play(people=6, wrtc=1, processes=1, seconds=8)
    bad = [f"{check.line}: {check.found}" for check in played.checks() if not check.holds]
    assert not bad, (bad, played.notes())
    assert played.cpu["worker"] > 0


@pytest.mark.browser
@pytest.mark.slow
async def test_a_mute_person_a_frozen_one_and_a_wrong_tone_are_found_by_who_decodes() -> None:
    """The stamps of the light clients are right all the time."""
    faults = {0: "mute", 1: "frozen", WRTC: "wrong tone"}
    played = await play(people=6, wrtc=1, processes=1, seconds=8, faults=faults)
    people = played.results
    assert lost_ms(people[0], people[WRTC]) > 1000, "libwebrtc hears that a light client is mute"
    assert lost_ms(people[2], people[WRTC]) <= 20, "and hears the others"
    assert all(lost_ms(people[WRTC], people[number]) > 1000 for number in LIGHT), "a wrong tone is not his"
    failed = {check.line for check in played.checks() if not check.holds}
    assert "everybody was heard by everybody with at most 20 ms lost" in failed
    assert "without a missing frame" in failed, "a picture that stands still"


@pytest.mark.browser
@pytest.mark.slow
async def test_a_libwebrtc_client_whose_picture_stands_still_is_found_by_light_ones() -> None:
    played = await play(people=3, wrtc=1, processes=1, seconds=4, faults={2: "frozen"})
    failed = {check.line: check.found for check in played.checks() if not check.holds}
    assert set(failed) == {"without a missing frame"}, failed
