"""Stories of a room, and a naive model that must agree with it."""

from __future__ import annotations

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from sfu.channel import SlotWish
from sfu.contract import SOURCES
from sfu.errors import ClientError, Forbidden, NotFound, Overloaded, RoomFull
from sfu.room import Room, Rooms
from sfu.room_values import (
    Changes,
    Disconnected,
    Enter,
    Exit,
    Hear,
    Look,
    Moderate,
    Negotiated,
    ParticipantLeft,
    SetMuted,
    SlotView,
    SpeakersChanged,
    Tell,
    Told,
    TrackChanged,
    Unpublish,
)


def enter(name: str, **rights: bool) -> Enter:
    return Enter(name, name.upper(), "participant", SOURCES, **rights)


def room_of(*names: str, seats: int = 40) -> Room:
    room = Room(1, "r", seats)
    for number, name in enumerate(names):
        room.apply(enter(name))
        sources = {"camera": 10 * number + 1, "microphone": 10 * number + 2}
        room.apply(Negotiated(name, sources, {"v0": "", "v1": "a1"}, fresh=True))
    return room


def look(room: Room, viewer: str, mid: str, show: tuple[str, str] | str | None) -> Changes:
    return room.apply(Look(viewer, (SlotView(mid, show, max_height=180),)))


def test_the_seat_after_the_last_is_refused_and_nothing_changes() -> None:
    room = Room(1, "r", 40)
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
    room = Room(1, "r", 2)
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
    assert ("microphone", False) in room.snapshot()[0].tracks


def test_a_moderator_mutes_stops_and_removes_and_nobody_else_does() -> None:
    room = room_of("a", "b")
    room.apply(enter("host", may_moderate=True))
    with pytest.raises(Forbidden):
        room.apply(Moderate("a", "b", "remove"))
    assert room.apply(Moderate("host", "b", "mute")).mutes == {12: True}
    assert room.apply(Moderate("host", "b", "stop_video")).mutes == {11: True}
    assert room.apply(Moderate("host", "b", "remove")).removed == ("b",)
    with pytest.raises(NotFound):
        room.apply(Moderate("host", "b", "mute"))


def test_a_hidden_participant_makes_no_events_and_stands_in_no_snapshot() -> None:
    room = room_of("a")
    assert room.apply(enter("ghost", visible=False)).events == []
    assert [seat.participant for seat in room.snapshot()] == ["a"]
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


def test_rooms_end_with_the_last_and_numbers_are_never_used_again() -> None:
    rooms = Rooms(seats=1, rooms_max=1, participants_max=9)
    first, _ = rooms.enter("x", enter("a"))
    with pytest.raises(Overloaded):
        rooms.enter("y", enter("b"))
    with pytest.raises(RoomFull):
        rooms.enter("x", enter("b"))
    rooms.sweep(first)
    assert len(rooms) == 1
    first.apply(Exit("a"))
    rooms.sweep(first)
    second, _ = rooms.enter("y", enter("b"))
    assert second.number > first.number
    assert rooms.by_number(first.number) is None


def test_a_full_server_opens_no_seat() -> None:
    rooms = Rooms(seats=5, rooms_max=5, participants_max=1)
    rooms.enter("x", enter("a"))
    with pytest.raises(Overloaded):
        rooms.enter("y", enter("b"))


NAMES = st.sampled_from(["a", "b", "c", "d"])
SOURCE = st.sampled_from(SOURCES)


class RoomAgainstModel(RuleBasedStateMachine):
    """The model: who is in, which sources he has, and what a viewer asked for. Nothing is remembered cleverly."""

    def __init__(self) -> None:
        super().__init__()
        self.room = Room(1, "r", 3)
        self.sources: dict[str, dict[str, int]] = {}
        self.muted: set[int] = set()
        self.views: dict[str, dict[str, tuple[str, str] | None]] = {}
        self.told: dict[str, dict[str, int]] = {}
        self.tracks = 0
        self.sequence = 0

    def do(self, command: object) -> bool:
        before = (self.room.sequence, self.room.snapshot())
        try:
            changes = self.room.apply(command)  # type: ignore[arg-type]
        except ClientError:
            assert (self.room.sequence, self.room.snapshot()) == before
            return False
        for event in changes.events:
            self.sequence += 1
            assert event.sequence == self.sequence
        for viewer, wishes in changes.wishes.items():
            for wish in wishes:
                assert self.told[viewer].get(wish.mid) != wish.track, "told without need"
                self.told[viewer][wish.mid] = wish.track
        for track, muted in changes.mutes.items():
            (self.muted.add if muted else self.muted.discard)(track)
        return True

    @rule(name=NAMES)
    def enter(self, name: str) -> None:
        expected = name not in self.sources and len(self.sources) < 3
        self.told.setdefault(name, {})
        assert self.do(enter(name)) == expected
        if expected:
            self.sources[name], self.views[name], self.told[name] = {}, {}, {}

    @rule(name=NAMES)
    def exit(self, name: str) -> None:
        assert self.do(Exit(name))
        self.sources.pop(name, None)
        self.views.pop(name, None)

    @rule(name=NAMES, wanted=st.sets(SOURCE))
    def offer(self, name: str, wanted: set[str]) -> None:
        kept = {source: track for source, track in self.sources.get(name, {}).items() if source in wanted}
        for source in sorted(wanted - kept.keys()):
            self.tracks += 1
            kept[source] = self.tracks
        assert self.do(Negotiated(name, kept, {"0": "", "1": ""})) == (name in self.sources)
        if name in self.sources:
            self.sources[name] = kept

    @rule(name=NAMES)
    def disconnect(self, name: str) -> None:
        assert self.do(Disconnected(name)) == (name in self.sources)
        if name in self.sources:
            self.sources[name], self.views[name], self.told[name] = {}, {}, {}

    @rule(name=NAMES, source=SOURCE)
    def unpublish(self, name: str, source: str) -> None:
        assert self.do(Unpublish(name, source)) == (source in self.sources.get(name, {}))
        self.sources.get(name, {}).pop(source, None)

    @rule(name=NAMES, source=SOURCE, muted=st.booleans())
    def mute(self, name: str, source: str, muted: bool) -> None:
        done = self.do(SetMuted(name, source, muted))
        track = self.sources.get(name, {}).get(source)
        assert done == (track is not None)
        assert track is None or (track in self.muted) == muted

    @rule(name=NAMES, mid=st.sampled_from(["0", "1"]), shown=st.none() | st.tuples(NAMES, SOURCE))
    def look(self, name: str, mid: str, shown: tuple[str, str] | None) -> None:
        if self.do(Look(name, (SlotView(mid, shown),))):
            self.views[name][mid] = shown

    @invariant()
    def the_snapshot_is_the_model(self) -> None:
        seen = {seat.participant: {source for source, _ in seat.tracks} for seat in self.room.snapshot()}
        assert seen == {name: set(sources) for name, sources in self.sources.items()}

    @invariant()
    def every_slot_was_told_what_its_view_means_now(self) -> None:
        for viewer, views in self.views.items():
            for mid, target in views.items():
                track = self.sources.get(target[0], {}).get(target[1], 0) if target else 0
                assert self.told[viewer].get(mid, 0) == track

    @invariant()
    def a_track_has_the_owner_that_publishes_it(self) -> None:
        for name, sources in self.sources.items():
            for source, track in sources.items():
                assert self.room.owner_of(track) == (name, source)


TestRoomAgainstModel = RoomAgainstModel.TestCase
TestRoomAgainstModel.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
