"""A naive model of a room that must agree with it, whatever is asked."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from sfu.contract import SOURCES, Policy
from sfu.errors import ClientError
from sfu.room import Room
from sfu.room_values import Disconnected, Enter, Exit, Look, Negotiated, SetMuted, SlotView, Unpublish


def enter(name: str) -> Enter:
    return Enter(name, name.upper(), "participant", SOURCES)


NAMES = st.sampled_from(["a", "b", "c", "d"])
SOURCE = st.sampled_from(SOURCES)


class RoomAgainstModel(RuleBasedStateMachine):
    """The model: who is in, which sources he has, and what a viewer asked for. Nothing is remembered cleverly."""

    def __init__(self) -> None:
        super().__init__()
        self.room = Room(1, "r", Policy(seats=3))
        self.sources: dict[str, dict[str, int]] = {}
        self.muted: set[int] = set()
        self.views: dict[str, dict[str, tuple[str, str] | None]] = {}
        self.told: dict[str, dict[str, int]] = {}
        self.tracks = 0
        self.sequence = 0

    def do(self, command: object) -> bool:
        before = (self.room.sequence, self.room.seats.snapshot())
        try:
            changes = self.room.apply(command)  # type: ignore[arg-type]
        except ClientError:
            assert (self.room.sequence, self.room.seats.snapshot()) == before
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
        seen = {seat.participant: {source for source, _ in seat.tracks} for seat in self.room.seats.snapshot()}
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
