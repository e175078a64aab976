"""Who is heard (the rules at the head of rank.py), as stories on the real kernel and as a law under Hypothesis."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sfu.routing.commands import Row
from sfu.routing.tables import Departure
from tests.rooms import FRAME_SAMPLES, LOUD, SILENT, AudioRoom, voices

pytestmark = pytest.mark.asan

Make = Callable[..., AudioRoom]


@pytest.fixture
def make() -> Iterator[Make]:
    rooms: list[AudioRoom] = []

    def made(people: int, slots: int = 3) -> AudioRoom:
        rooms.append(AudioRoom(people, slots))
        return rooms[-1]

    yield made
    for room in rooms:
        room.close()


def test_nobody_hears_himself_and_everybody_else_does(make: Make) -> None:
    room = make(4)
    got = room.for_ms(200, {0: LOUD})
    assert 0 not in got
    assert [voices(got[number]) for number in (1, 2, 3)] == [{0: {0}}] * 3
    assert all(len(got[number]) == 10 for number in (1, 2, 3))


def test_three_packets_before_the_first_loud_one_leave_with_it(make: Make) -> None:
    room = make(2)
    assert room.for_ms(200, {0: SILENT}) == {}
    first = room.speak({0: LOUD})
    assert [packet.tag for packet in first[1]] == [b"0:%d" % index for index in range(107, 111)]
    assert [packet.timestamp for packet in first[1]] == [777 + FRAME_SAMPLES * n for n in range(4)]


def test_silence_of_300_ms_frees_the_slot_and_nothing_is_sent(make: Make) -> None:
    room = make(2)
    room.for_ms(200, {0: LOUD})
    tail = room.for_ms(1000, {0: SILENT})
    assert 14 <= len(tail[1]) <= 17  # 300 ms, and what one tick takes to see it
    assert room.for_ms(500, {0: SILENT}) == {}


def test_a_word_after_a_pause_keeps_its_beginning_and_its_slots_clock(make: Make) -> None:
    room = make(2, slots=1)
    before = room.for_ms(400, {0: LOUD})[1]
    pause = room.for_ms(2000, {0: SILENT}).get(1, [])
    after = room.for_ms(400, {0: LOUD})[1]
    sent = before + pause + after
    assert [packet.index for packet in sent] == list(range(sent[0].index, sent[0].index + len(sent)))
    first_loud = 100 + 20 + 100
    assert [packet.tag for packet in after[:4]] == [b"0:%d" % index for index in range(first_loud - 3, first_loud + 1)]
    # 2,400 ms of the server's clock have passed, and the slot's clock says so.
    assert after[-1].timestamp - before[0].timestamp == (2800 // 20 - 1) * FRAME_SAMPLES
    assert room.kernel.arrays["departed"][Departure.AUDIO_EARLY] == 0


def test_a_new_speaker_takes_the_slot_that_was_silent_longest_so_his_first_word_is_whole(make: Make) -> None:
    room = make(3)
    room.for_ms(200, {0: LOUD})
    room.for_ms(340, {0: SILENT, 1: SILENT})  # just freed
    first = room.speak({1: LOUD})[2]
    assert len(first) == 4 and room.kernel.arrays["departed"][Departure.AUDIO_EARLY] == 0


def test_three_of_four_speakers_are_heard_by_a_listener_and_the_fourth_by_the_first_three(make: Make) -> None:
    room = make(5)
    for speaker in range(4):
        room.for_ms(100, dict.fromkeys(range(speaker + 1), LOUD))
    got = room.for_ms(400, dict.fromkeys(range(4), LOUD))
    heard = {number: set().union(*voices(packets).values()) for number, packets in got.items()}
    assert heard == {0: {1, 2, 3}, 1: {0, 2, 3}, 2: {0, 1, 3}, 3: {0, 1, 2}, 4: {0, 1, 2}}
    assert all(len(who) == 1 for packets in got.values() for who in voices(packets).values())


def test_a_speaker_keeps_his_slot_while_he_keeps_his_seat(make: Make) -> None:
    room = make(4)
    room.for_ms(200, {0: LOUD, 1: LOUD})
    before = voices(room.speak({0: LOUD, 1: LOUD})[3])
    room.for_ms(1000, {1: LOUD})  # 0 falls silent, his slot is free
    after = voices(room.for_ms(200, {1: LOUD, 2: LOUD})[3])
    (slot_of_1,) = [slot for slot, who in before.items() if who == {1}]
    assert after[slot_of_1] == {1}
    assert set().union(*after.values()) == {1, 2}


@pytest.mark.parametrize(("level", "duration_ms", "taken"), [(35, 180, False), (36, 2000, False), (29, 1000, True)])
def test_a_full_set_changes_only_for_6_db_over_200_ms(make: Make, level: int, duration_ms: int, taken: bool) -> None:
    room = make(6)
    seated: dict[int, int | None] = dict.fromkeys(range(4), 40)
    room.for_ms(600, seated)
    got = room.for_ms(duration_ms, {**seated, 4: level})
    assert (4 in set().union(*voices(got[5]).values())) is taken


def test_a_stream_without_levels_counts_as_speaking_while_it_sends(make: Make) -> None:
    room = make(2)
    assert len(room.for_ms(400, {0: None})[1]) == 20
    room.for_ms(600, {})
    assert room.for_ms(200, {}) == {}


def test_a_muted_speaker_leaves_his_seat_at_once(make: Make) -> None:
    room = make(2)
    room.for_ms(200, {0: LOUD})
    room.commands.mute(Row(0, 1), muted=True)
    room.step()
    assert room.for_ms(200, {0: LOUD}) == {}
    room.commands.mute(Row(0, 1), muted=False)
    room.step()
    assert len(room.for_ms(200, {0: LOUD})[1]) >= 10


def test_a_dropped_microphone_frees_its_seat_for_the_next(make: Make) -> None:
    room = make(6)
    room.for_ms(200, dict.fromkeys(range(4), LOUD))
    room.commands.drop_track(Row(0, 1))
    room.step()
    got = room.for_ms(200, {4: LOUD, 1: LOUD, 2: LOUD, 3: LOUD})
    assert 0 not in set().union(*voices(got[5]).values())
    assert set().union(*voices(got[5]).values()) == {1, 2, 3}
    assert 4 in set().union(*voices(got[1]).values())


def test_who_comes_late_hears_those_who_speak(make: Make) -> None:
    room = make(3, slots=0)
    room.for_ms(200, {0: LOUD})
    room.commands.add_slot(
        Row(400, 1), Row(1, 1), kind=0, codec=1, payload_type=109, rtx_payload_type=0, clock_rate=48000,
        ssrc=1000 + 8 + 5, rtx_ssrc=0, ranked=True, first_numbers=9, first_timestamp=5, mid=b"5",
    )  # fmt: skip
    room.step()
    got = room.for_ms(100, {0: LOUD})
    assert list(got) == [1] and voices(got[1]) == {5: {0}}


def test_the_voice_that_follows_a_picture_is_left_out_of_the_ranked_slots(make: Make) -> None:
    room = make(3)
    room.commands.add_slot(
        Row(401, 1), Row(2, 1), kind=0, codec=1, payload_type=109, rtx_payload_type=0, clock_rate=48000,
        ssrc=1000 + 16 + 6, rtx_ssrc=0, ranked=False, first_numbers=9, first_timestamp=5, mid=b"6",
    )  # fmt: skip
    room.for_ms(100, {0: LOUD, 1: LOUD})
    room.commands.want(Row(401, 1), Row(0, 1))
    room.step()
    got = voices(room.for_ms(200, {0: LOUD, 1: LOUD})[2])
    assert got[6] == {0}
    assert set().union(*(who for slot, who in got.items() if slot != 6)) == {1}
    # It is not ranked: it goes on in silence, as the picture does.
    assert voices(room.for_ms(1000, {0: SILENT, 1: LOUD})[2])[6] == {0}


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_whatever_people_do_the_rules_of_the_seats_hold(seed: int) -> None:
    draw = random.Random(seed)
    people = draw.randint(2, 6)
    room = AudioRoom(people, slots=draw.randint(1, 4))
    clocks: dict[tuple[int, int], tuple[int, int]] = {}  # (person, slot) -> index and timestamp of the last packet
    try:
        for _ in range(40):
            levels: dict[int, int | None] = {
                number: draw.choice([SILENT, LOUD, 10, 40, None]) for number in range(people) if draw.random() < 0.6
            }
            for _ in range(draw.randint(1, 20)):
                for number, packets in room.speak(levels).items():
                    frame = voices(packets)
                    everyone = [who for slot in frame.values() for who in slot]
                    assert number not in everyone, "heard himself"
                    assert len(everyone) == len(set(everyone)), "the same voice twice"
                    rows = room.kernel.arrays["slots"][number * 8 : number * 8 + room.slots]
                    assert (rows["current_layer"] >= 0).sum() <= 3, "more than three voices"
                    for packet in packets:
                        before = clocks.get((number, packet.slot))
                        if before is not None:
                            assert packet.index == before[0] + 1, "a gap or a repeat"
                            ahead = (packet.timestamp - before[1]) & 0xFFFFFFFF
                            assert 0 < ahead < 1 << 31 and ahead % FRAME_SAMPLES == 0, "a step that clicks"
                        clocks[number, packet.slot] = (packet.index, packet.timestamp)
        # The slot's clock is the server's: none ran ahead or fell behind by more than a frame and the rounding.
        for number, slot in clocks:
            row = room.kernel.arrays["slots"][number * 8 + slot]
            elapsed = (int(row["last_arrival_us"]) - int(row["clock_base_us"])) * 48 // 1000
            said = (int(row["last_timestamp"]) - int(row["timestamp_base"])) & 0xFFFFFFFF
            assert abs(said - elapsed) <= 2 * FRAME_SAMPLES
    finally:
        room.close()
