"""Stories of a room."""

from __future__ import annotations

from typing import Any

import pytest

from sfu.channel import SlotWish
from sfu.contract import SOURCES, Policy
from sfu.errors import Conflict, Forbidden, NotFound, RoomFull
from sfu.room import Room
from sfu.room_values import (
    AudienceCounted,
    Changes,
    CountAudience,
    End,
    Enter,
    Exit,
    Hear,
    Look,
    Moderate,
    Negotiated,
    ParticipantChanged,
    ParticipantJoined,
    ParticipantLeft,
    Permit,
    RoomEnded,
    SetMuted,
    SetPolicy,
    SlotView,
    SpeakersChanged,
    Tell,
    Told,
    TrackChanged,
    Unpublish,
)


def enter(who: str, **rights: Any) -> Enter:
    fields = {"name": who.upper(), "role": "participant", "may_publish": SOURCES, "identity": who} | rights
    return Enter(who, **fields)


def viewer(name: str, **rights: Any) -> Enter:
    return enter(name, may_publish=(), **rights)


def room_of(*names: str, seats: int = 40) -> Room:
    room = Room(1, "r", Policy(seats=seats))
    for number, name in enumerate(names):
        room.apply(enter(name))
        sources = {"camera": 10 * number + 1, "microphone": 10 * number + 2}
        room.apply(Negotiated(name, sources, {"v0": "", "v1": "a1"}, fresh=True))
    return room


def look(room: Room, viewer: str, mid: str, show: tuple[str, str] | str | None) -> Changes:
    return room.apply(Look(viewer, (SlotView(mid, show, max_height=180),)))


def test_the_seat_after_the_last_is_refused_and_nothing_changes() -> None:
    room = Room(1, "r", Policy())
    for number in range(40):
        room.apply(enter(f"p{number}"))
    before = room.sequence
    with pytest.raises(RoomFull):
        room.apply(enter("late"))
    assert (len(room), room.sequence, "late" in room) == (40, before, False)
    room.apply(Exit("p7"))
    room.apply(enter("late"))
    assert len(room) == 40


def test_a_target_is_shown_when_it_is_published_and_no_longer_after_its_end() -> None:
    room = room_of("a", "b")
    assert look(room, "b", "v0", ("a", "screen")).wishes == {}
    changes = room.apply(Negotiated("a", {"camera": 1, "microphone": 2, "screen": 7}, {"v0": ""}))
    assert changes.wishes == {"b": (SlotWish("v0", track=7, max_height=180),)}
    assert [event.what for event in changes.events if isinstance(event, TrackChanged)] == ["published"]
    assert room.apply(Unpublish("a", "screen")).wishes == {"b": (SlotWish("v0"),)}


def test_a_paired_slot_carries_the_sound_of_its_picture() -> None:
    room = room_of("a", "b")
    assert look(room, "b", "v1", ("a", "camera")).wishes["b"][0].audio_track == 2
    room.apply(Negotiated("a", {"screen": 7, "screen_audio": 8}, {}))
    assert look(room, "b", "v1", ("a", "screen")).wishes["b"][0].audio_track == 8


def test_a_wish_is_told_once_and_again_to_a_fresh_peer_connection() -> None:
    room = room_of("a", "b")
    assert look(room, "b", "v0", ("a", "camera")).wishes
    assert look(room, "b", "v0", ("a", "camera")).wishes == {}
    again = room.apply(Negotiated("b", {}, {"v0": ""}, fresh=True))
    assert again.wishes == {"b": (SlotWish("v0", track=1, max_height=180),)}


def test_a_slot_that_was_never_answered_cannot_be_viewed() -> None:
    with pytest.raises(NotFound):
        look(room_of("a"), "a", "v9", "speaker")


def test_who_leaves_disappears_from_every_slot() -> None:
    room = room_of("a", "b")
    look(room, "b", "v0", ("a", "camera"))
    changes = room.apply(Exit("a"))
    assert changes.wishes == {"b": (SlotWish("v0"),)}
    assert isinstance(changes.events[0], ParticipantLeft)
    assert room.owner_of(1) is None
    assert room.apply(Exit("a")) == Changes()


def test_only_granted_sources_are_published_and_a_refusal_changes_nothing() -> None:
    room = Room(1, "r", Policy(seats=2))
    room.apply(Enter("a", "A", "viewer", ("microphone",)))
    with pytest.raises(Forbidden):
        room.apply(Negotiated("a", {"camera": 1, "microphone": 2}, {}))
    assert room.owner_of(2) is None


def test_muting_twice_is_one_event_and_unpublishing_ends_the_mute() -> None:
    room = room_of("a")
    assert room.apply(SetMuted("a", "microphone", True)).mutes == {2: True}
    assert room.apply(SetMuted("a", "microphone", True)).events == []
    room.apply(Unpublish("a", "microphone"))
    changes = room.apply(Negotiated("a", {"camera": 1, "microphone": 2}, {}))
    assert changes.mutes == {2: False}
    assert ("microphone", False) in room.seats.snapshot()[0].tracks


def test_a_moderator_mutes_stops_and_removes_and_nobody_else_does() -> None:
    room = room_of("a", "b")
    room.apply(enter("host", may_moderate=True))
    with pytest.raises(Forbidden):
        room.apply(Moderate("a", "b", "remove", 100.0))
    assert room.apply(Moderate("host", "b", "mute", 100.0)).mutes == {12: True}
    assert room.apply(Moderate("host", "b", "stop_video", 100.0)).mutes == {11: True}
    assert room.apply(Moderate("host", "b", "remove", 100.0)).removed == {"b": "removed"}
    with pytest.raises(NotFound):
        room.apply(Moderate("host", "b", "mute", 100.0))


def test_a_hidden_participant_makes_no_events_and_stands_in_no_snapshot() -> None:
    room = room_of("a")
    assert room.apply(enter("ghost", visible=False)).events == []
    assert [seat.participant for seat in room.seats.snapshot()] == ["a"]
    assert room.apply(Exit("ghost")).events == []


def test_a_message_to_one_does_not_raise_the_sequence() -> None:
    room = room_of("a", "b")
    before = room.sequence
    assert room.apply(Tell("a", "b", "t", "x")).events == [Told(before, "a", "b", "t", "x")]
    assert room.apply(Tell("a", None, "t", "x")).events == [Told(before + 1, "a", None, "t", "x")]
    with pytest.raises(NotFound):
        room.apply(Tell("a", "nobody", "t", "x"))


def test_a_speaker_slot_follows_the_speaker_and_shows_the_speaker_the_one_before_him() -> None:
    room = room_of("a", "b", "c")
    look(room, "c", "v0", "speaker")
    room.apply(Hear(((2, 400),), 0.0))
    assert room.active_speaker == "a"
    assert look(room, "a", "v0", "speaker").wishes["a"][0].track == 11  # nobody before him: the first other one
    wishes: dict[str, tuple[SlotWish, ...]] = {}
    for step in range(1, 8):
        wishes |= room.apply(Hear(((12, 400),), step / 10)).wishes
    assert room.active_speaker == "b"
    assert wishes["c"][0].track == 11
    assert look(room, "b", "v0", "speaker").wishes["b"][0].track == 1


def test_a_muted_microphone_and_a_shared_film_do_not_speak() -> None:
    room = room_of("a")
    room.apply(SetMuted("a", "microphone", True))
    assert room.apply(Hear(((2, 500), (99, 500)), 0.0)).events == []
    room.apply(Negotiated("a", {"screen_audio": 5}, {}))
    assert room.apply(Hear(((5, 500),), 0.0)).events == []


def test_silence_ends_speaking_and_keeps_the_active_speaker() -> None:
    room = room_of("a")
    room.apply(Hear(((2, 400),), 0.0))
    (event,) = room.apply(Hear((), 0.1)).events
    assert isinstance(event, SpeakersChanged)
    assert (event.active, event.speaking) == ("a", ())


def test_who_was_removed_comes_back_with_a_grant_issued_later_only() -> None:
    room = room_of("host")
    room.apply(Permit(enter("host", may_moderate=True)))
    room.apply(enter("b", issued_at=50.0))
    room.apply(Moderate("host", "b", "remove", 100.0))
    for issued_at in (50.0, 100.0):
        with pytest.raises(Forbidden, match="new grant"):
            room.apply(enter("b", issued_at=issued_at))
    room.apply(enter("b", issued_at=101.0))
    assert "b" in room


def test_the_stage_has_its_own_limit_and_the_audience_the_rest() -> None:
    room = Room(1, "r", Policy(seats=4, senders=2))
    room.apply(enter("a"))
    room.apply(enter("b"))
    with pytest.raises(RoomFull, match="places for those who publish"):
        room.apply(enter("c"))
    room.apply(viewer("v1"))
    room.apply(viewer("v2"))
    with pytest.raises(RoomFull, match="seats"):
        room.apply(viewer("v3"))


def test_audience_makes_no_events_is_counted_once_and_not_in_the_snapshot() -> None:
    room = room_of("a")
    room.apply(CountAudience())
    assert [event for name in ("v1", "v2", "v3") for event in room.apply(viewer(name)).events] == []
    assert [seat.participant for seat in room.seats.snapshot()] == ["a"]
    (counted,) = room.apply(CountAudience()).events
    assert isinstance(counted, AudienceCounted) and counted.count == 3
    assert room.apply(CountAudience()).events == []
    assert room.apply(Exit("v2")).events == []
    assert [event.count for event in room.apply(CountAudience()).events if isinstance(event, AudienceCounted)] == [2]


def test_a_command_of_one_viewer_looks_at_no_other_viewers_wishes() -> None:
    room = room_of("a")
    for name in ("v1", "v2"):
        room.apply(viewer(name))
        room.apply(Negotiated(name, {}, {"v0": ""}, fresh=True))
        assert look(room, name, "v0", "speaker").wishes.keys() == {name}
    assert room.apply(Unpublish("a", "camera")).wishes.keys() == {"v1", "v2"}


def test_the_roster_comes_in_pages_to_those_who_may_read_it() -> None:
    room = room_of("a")
    for number in range(5):
        room.apply(viewer(f"v{number}"))
    room.apply(viewer("ghost", visible=False))
    with pytest.raises(Forbidden):
        room.seats.roster("v0", None, 3)
    room.apply(Permit(viewer("v0", may_moderate=True)))
    first, after = room.seats.roster("v0", None, 4)
    second, end = room.seats.roster(None, after, 4)
    assert [seat.participant for seat in (*first, *second)] == ["a", "v0", "v1", "v2", "v3", "v4"]
    assert (after, end) == ("v2", None)
    room.apply(Exit("v2"))
    with pytest.raises(NotFound, match="begin again"):
        room.seats.roster(None, after, 4)


def test_who_is_allowed_to_speak_steps_on_the_stage_and_off_again() -> None:
    room = room_of("a")
    room.apply(enter("host", may_moderate=True))
    room.apply(viewer("v"))
    changes = room.apply(Moderate("host", "v", "allow_to_speak", 1.0))
    assert [type(event) for event in changes.events] == [ParticipantJoined]
    assert changes.permitted["v"].may_publish == ("microphone",)
    assert room.seats.audience == 0
    room.apply(Negotiated("v", {"microphone": 77}, {}))
    changes = room.apply(Moderate("host", "v", "forbid_to_speak", 2.0))
    assert [type(event) for event in changes.events] == [TrackChanged, ParticipantLeft]
    assert (changes.mutes, room.owner_of(77), room.seats.audience) == ({77: True}, None, 1)


def test_nobody_is_allowed_to_speak_when_the_stage_is_full() -> None:
    room = Room(1, "r", Policy(senders=1))
    room.apply(enter("host", may_moderate=True))
    room.apply(viewer("v"))
    with pytest.raises(RoomFull):
        room.apply(Moderate("host", "v", "allow_to_speak", 1.0))
    assert room.entry("v").may_publish == ()


def test_a_replaced_grant_ends_what_it_no_longer_allows_and_tells_a_new_name() -> None:
    room = room_of("a", "b")
    look(room, "b", "v0", ("a", "camera"))
    changes = room.apply(Permit(enter("a", name="Anna", may_publish=("microphone",), identity="somebody else")))
    assert [type(event) for event in changes.events] == [TrackChanged, ParticipantChanged]
    assert changes.mutes == {1: True} and changes.wishes == {"b": (SlotWish("v0"),)}
    assert room.entry("a").identity == "a"
    with pytest.raises(Forbidden):
        room.apply(Negotiated("a", {"camera": 9, "microphone": 2}, {}))


def test_who_becomes_visible_is_announced_with_what_he_publishes() -> None:
    room = Room(1, "r", Policy())
    room.apply(enter("a", visible=False))
    room.apply(Negotiated("a", {"camera": 1}, {}))
    changes = room.apply(Permit(enter("a")))
    assert [type(event) for event in changes.events] == [ParticipantJoined, TrackChanged]
    assert [type(event) for event in room.apply(Permit(enter("a", visible=False))).events] == [ParticipantLeft]


def test_a_policy_of_a_lower_version_is_refused_and_a_smaller_one_puts_nobody_out() -> None:
    room = room_of("a", "b")
    room.apply(SetPolicy(Policy(seats=1, version=2)))
    assert len(room) == 2
    with pytest.raises(RoomFull):
        room.apply(enter("c"))
    with pytest.raises(Conflict):
        room.apply(SetPolicy(Policy(version=1)))


def test_the_end_of_a_room_puts_everybody_out() -> None:
    room = room_of("a", "b")
    changes = room.apply(End())
    assert changes.removed == {"a": "room_ended", "b": "room_ended"}
    assert [type(event) for event in changes.events] == [RoomEnded]
    assert (len(room), room.owner_of(1)) == (0, None)
    assert room.apply(Exit("a")) == Changes()
