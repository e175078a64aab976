"""Redundant audio (RFC 2198) and DTX on the real kernel: rewritten or stripped, and ranked like any other sound."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sfu.routing.tables import Arrival, Departure
from tests.kernels import AUDIO_PT
from tests.rooms import FRAME_SAMPLES, LOUD, OPUS_OUT, RED_IN, RED_OUT, SILENT, AudioRoom
from tests.sfu.wire.test_red import red

pytestmark = pytest.mark.asan

Make = Callable[..., AudioRoom]


@pytest.fixture
def make() -> Iterator[Make]:
    rooms: list[AudioRoom] = []

    def made(people: int, slots: int = 3, **options: object) -> AudioRoom:
        rooms.append(AudioRoom(people, slots, **options))  # type: ignore[arg-type]
        return rooms[-1]

    yield made
    for room in rooms:
        room.close()


def redundant(payload_type: int = AUDIO_PT) -> bytes:
    return red(payload_type, [(2 * FRAME_SAMPLES, b"older"), (FRAME_SAMPLES, b"old")], b"new")


def arrived(room: AudioRoom, verdict: Arrival) -> int:
    return int(room.kernel.arrays["arrived"][verdict])


def test_red_goes_as_red_to_who_takes_it_and_as_its_primary_frame_to_who_does_not(make: Make) -> None:
    room = make(3, red=[1])
    got = room.speak({0: LOUD}, payload=(RED_IN, redundant()))
    assert [(packet.payload_type, packet.tag) for packet in got[1]] == [(RED_OUT, redundant(OPUS_OUT))]
    assert [(packet.payload_type, packet.tag) for packet in got[2]] == [(OPUS_OUT, b"new")]


def test_plain_opus_goes_as_opus_to_both_and_a_sender_may_change_from_packet_to_packet(make: Make) -> None:
    room = make(3, red=[1])
    room.speak({0: LOUD})
    got = room.speak({0: LOUD}, payload=(RED_IN, redundant()))
    after = room.speak({0: LOUD})
    assert [(packet.payload_type, packet.tag[:2]) for packet in after[1] + after[2]] == [(OPUS_OUT, b"0:")] * 2
    assert got[1][0].index + 1 == after[1][0].index and got[2][0].index + 1 == after[2][0].index
    assert after[1][0].timestamp - got[1][0].timestamp == FRAME_SAMPLES


@pytest.mark.parametrize(
    "payload", [b"\x6f", b"\xef\x00", redundant(110), red(AUDIO_PT, [(960, b"x" * 900)], b"n")[:300]]
)
def test_red_that_is_none_has_its_verdict_and_the_next_packet_is_heard(make: Make, payload: bytes) -> None:
    room = make(2, red=[1])
    room.speak({0: LOUD})
    assert room.speak({0: LOUD}, payload=(RED_IN, payload)) == {}
    assert arrived(room, Arrival.RED_BAD) == 1
    assert len(room.speak({0: LOUD}, payload=(RED_IN, redundant()))[1]) == 1


@given(
    payloads=st.lists(
        st.binary(min_size=1, max_size=60) | st.binary(max_size=20).map(lambda b: b"\xef" + b), max_size=30
    )
)
@settings(max_examples=20, deadline=None)
def test_whatever_a_stranger_calls_red_ends_in_a_verdict(payloads: list[bytes]) -> None:
    room = AudioRoom(3, red=[1])
    try:
        for payload in payloads:
            room.speak({0: LOUD}, payload=(RED_IN, payload))
        assert arrived(room, Arrival.RED_BAD) + arrived(room, Arrival.FORWARDED) + arrived(
            room, Arrival.NO_ROUTE
        ) == len(payloads)
        assert len(room.speak({0: LOUD})[2]) >= 1
    finally:
        room.close()


def test_levels_and_the_switch_by_whole_frames_hold_under_red(make: Make) -> None:
    """Rule A3: two speakers whose frames are out of phase; every step of the slot is a whole number of frames."""
    room = make(3, slots=1, red=[2])
    room.base[1] += 333
    heard = room.speak({0: LOUD}, payload=(RED_IN, redundant()))[2]
    for turn in range(40):
        speaker = turn // 20
        levels: dict[int, int | None] = {speaker: LOUD, 1 - speaker: SILENT}
        heard += room.speak(levels, payload=(RED_IN, redundant())).get(2, [])
    steps = [after.timestamp - before.timestamp for before, after in itertools.pairwise(heard)]
    assert all(step > 0 and step % FRAME_SAMPLES == 0 for step in steps), steps
    assert [after.index - before.index for before, after in itertools.pairwise(heard)] == [1] * len(steps)
    assert {packet.payload_type for packet in heard} == {RED_OUT}
    assert heard[0].marker


def comfort_noise(room: AudioRoom, duration_ms: int, level: int | None) -> list[int]:
    """DTX: one packet in 400 ms, the numbers without a gap; how many packets person 1 got of each."""
    got = []
    for _ in range(duration_ms // 400):
        room.step(380_000)
        room.heard()
        got.append(len(room.speak({0: level}, payload=(AUDIO_PT, b"\xf8")).get(1, [])))
    return got


@pytest.mark.parametrize("level", [SILENT, None])
def test_who_falls_silent_under_dtx_frees_his_seat_with_levels_and_without(make: Make, level: int | None) -> None:
    room = make(2, slots=1)
    loud = LOUD if level is not None else None
    room.for_ms(200, {0: loud})
    assert room.kernel.arrays["rooms"]["seats"][0][0] == 0
    got = comfort_noise(room, 2000, level)
    assert got[1:] == [0, 0, 0, 0]
    assert room.kernel.arrays["rooms"]["seats"][0].tolist() == [-1] * 4


def test_the_first_word_after_dtx_is_heard_at_once_without_the_comfort_noise_before_it(make: Make) -> None:
    room = make(2, slots=1)
    last = room.for_ms(200, {0: LOUD})[1][-1]
    comfort_noise(room, 2000, SILENT)
    word = room.speak({0: LOUD})[1]
    # The comfort noise of 20 ms before is part of the beginning; that of 400 ms before it is not.
    assert [packet.tag[:1] for packet in word] == [b"\xf8", b"0"]
    assert word[0].marker and not word[1].marker
    assert word[1].timestamp - word[0].timestamp == FRAME_SAMPLES
    assert (word[0].timestamp - last.timestamp) % FRAME_SAMPLES == 0
    assert 1900 <= (word[1].timestamp - last.timestamp) / 48 <= 2100
    assert [packet.index for packet in word] == [word[0].index, word[0].index + 1]


def test_a_pause_of_dtx_within_the_hold_time_keeps_the_slot_and_its_clock(make: Make) -> None:
    room = make(2, slots=1)
    before = room.for_ms(200, {0: LOUD})[1][-1]
    room.step(220_000)
    after = room.speak({0: LOUD})[1]
    assert len(after) == 1 and after[0].index == before.index + 1
    assert after[0].timestamp - before.timestamp == 12 * FRAME_SAMPLES
    assert int(room.kernel.arrays["departed"][Departure.AUDIO_EARLY]) == 0
