"""Who is in, who publishes what, who wants to see what: commands in, `Changes` out. Pure.

A command is one frozen class; `Room.apply` carries it out wholly or raises a ClientError and changes nothing.
`Changes` holds the events, each with the room's next sequence number, and the wishes of video slots that are
different now. The room knows participants and track numbers; it knows no connection and no peer number.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from sfu import speakers
from sfu.channel import SlotWish
from sfu.errors import Forbidden, NotFound, Overloaded, RoomFull
from sfu.room_values import (
    Changes,
    Command,
    Disconnected,
    Enter,
    Exit,
    Hear,
    Look,
    Moderate,
    Negotiated,
    ParticipantJoined,
    ParticipantLeft,
    Seat,
    SetMuted,
    SlotView,
    SpeakersChanged,
    Tell,
    Told,
    TrackChanged,
    Unpublish,
)

# Whose sound goes with which picture (lip sync of paired slots).
SOUND_OF = {"camera": "microphone", "screen": "screen_audio"}
# More than a screen can show; each costs a wish to compute at every change of the room.
VIEWS_MAX = 64
SPEAKER = "speaker"


@dataclass(slots=True)
class _Participant:
    entry: Enter
    sources: dict[str, int] = field(default_factory=dict)
    muted: set[str] = field(default_factory=set)
    slots: dict[str, str] = field(default_factory=dict)
    views: dict[str, SlotView] = field(default_factory=dict)
    wished: dict[str, SlotWish] = field(default_factory=dict)


class Room:
    """One room. `number` is its number on the channel."""

    def __init__(self, number: int, name: str, seats: int) -> None:
        self.number = number
        self.name = name
        self.seats = seats
        self.sequence = 0
        self._in: dict[str, _Participant] = {}
        self._owner: dict[int, tuple[str, str]] = {}
        self._voices = speakers.Speakers()

    # -- questions --
    def __len__(self) -> int:
        return len(self._in)

    def __contains__(self, participant: str) -> bool:
        return participant in self._in

    @property
    def active_speaker(self) -> str | None:
        return self._voices.active

    def participants(self) -> tuple[str, ...]:
        """Everybody who is in, in the order of joining."""
        return tuple(self._in)

    def snapshot(self) -> tuple[Seat, ...]:
        """Everybody who may be seen, in the order of joining."""
        return tuple(
            Seat(name, one.entry.name, one.entry.role, tuple((source, source in one.muted) for source in one.sources))
            for name, one in self._in.items()
            if one.entry.visible
        )

    def owner_of(self, track: int) -> tuple[str, str] | None:
        """(participant, source) of a track that is published now."""
        return self._owner.get(track)

    # -- commands --
    def apply(self, command: Command) -> Changes:
        """Carry out one command. Raises RoomFull, NotFound, Forbidden or Overloaded; the room is unchanged then."""
        changes = Changes()
        _COMMANDS[type(command)](self, command, changes)
        self._settle(changes)
        return changes

    def _next(self) -> int:
        self.sequence += 1
        return self.sequence

    def _one(self, participant: str) -> _Participant:
        try:
            return self._in[participant]
        except KeyError:
            raise NotFound("no such participant in this room") from None

    def _enter(self, command: Enter, changes: Changes) -> None:
        if command.participant in self._in:
            raise Forbidden("this participant is in already")
        if len(self._in) >= self.seats:
            raise RoomFull(f"all {self.seats} seats of the room are taken")
        self._in[command.participant] = _Participant(command)
        if command.visible:
            changes.events.append(ParticipantJoined(self._next(), command.participant, command.name, command.role))

    def _exit(self, command: Exit, changes: Changes) -> None:
        one = self._in.get(command.participant)
        if one is None:
            return
        for track in one.sources.values():  # no events: that he left says that his sources ended
            del self._owner[track]
        del self._in[command.participant]
        if one.entry.visible:
            changes.events.append(ParticipantLeft(self._next(), command.participant))
        self._speakers_changed(self._voices.forget(command.participant), changes)

    def _negotiated(self, command: Negotiated, changes: Changes) -> None:
        one = self._one(command.participant)
        refused = [source for source in command.sources if source not in one.entry.may_publish]
        if refused:
            raise Forbidden(f"the grant does not allow to publish {', '.join(sorted(refused))}")
        if command.fresh:
            one.wished.clear()
        for source, track in tuple(one.sources.items()):
            if command.sources.get(source) != track:
                self._end_source(command.participant, one, source, changes)
        for source, track in command.sources.items():
            if source not in one.sources:
                one.sources[source] = track
                self._owner[track] = (command.participant, source)
                changes.mutes[track] = False
                changes.events.append(TrackChanged(self._next(), "published", command.participant, source))
        one.slots = dict(command.slots)
        one.views = {mid: view for mid, view in one.views.items() if mid in one.slots}
        one.wished = {mid: wish for mid, wish in one.wished.items() if mid in one.slots}

    def _disconnected(self, command: Disconnected, changes: Changes) -> None:
        one = self._one(command.participant)
        for source in tuple(one.sources):
            self._end_source(command.participant, one, source, changes)
        one.slots, one.views, one.wished = {}, {}, {}

    def _set_muted(self, command: SetMuted, changes: Changes) -> None:
        one = self._one(command.participant)
        if command.source not in one.sources:
            raise NotFound(f"{command.source} is not published")
        self._mute(command.participant, one, command.source, command.muted, changes)

    def _mute(self, participant: str, one: _Participant, source: str, muted: bool, changes: Changes) -> None:
        if (source in one.muted) == muted:
            return
        (one.muted.add if muted else one.muted.discard)(source)
        changes.mutes[one.sources[source]] = muted
        changes.events.append(TrackChanged(self._next(), "muted" if muted else "unmuted", participant, source))

    def _unpublish(self, command: Unpublish, changes: Changes) -> None:
        one = self._one(command.participant)
        if command.source not in one.sources:
            raise NotFound(f"{command.source} is not published")
        # The m-section may live on, and a microphone that is still sent would go on being ranked: so mute it.
        changes.mutes[one.sources[command.source]] = True
        self._end_source(command.participant, one, command.source, changes)

    def _end_source(self, participant: str, one: _Participant, source: str, changes: Changes) -> None:
        del self._owner[one.sources.pop(source)]
        one.muted.discard(source)
        changes.events.append(TrackChanged(self._next(), "unpublished", participant, source))

    def _look(self, command: Look, changes: Changes) -> None:
        one = self._one(command.participant)
        unknown = [view.mid for view in command.slots if view.mid not in one.slots]
        if unknown:
            raise NotFound(f"no video slot with the mid {unknown[0]!r} has been answered")
        views = one.views | {view.mid: view for view in command.slots}
        if len(views) > VIEWS_MAX:
            raise Overloaded(f"at most {VIEWS_MAX} slots can be viewed")
        one.views = views

    def _moderate(self, command: Moderate, changes: Changes) -> None:
        if not self._one(command.participant).entry.may_moderate:
            raise Forbidden("the grant does not allow to moderate")
        target = self._one(command.target)
        if command.action == "remove":
            self._exit(Exit(command.target), changes)
            changes.removed = (command.target,)
            return
        sources = {"mute": ("microphone", "screen_audio"), "stop_video": ("camera", "screen")}[command.action]
        for source in sources:
            if source in target.sources:
                self._mute(command.target, target, source, True, changes)

    def _tell(self, command: Tell, changes: Changes) -> None:
        self._one(command.participant)
        if command.to is None:
            sequence = self._next()
        else:
            self._one(command.to)
            sequence = self.sequence
        changes.events.append(Told(sequence, command.participant, command.to, command.topic, command.body))

    def _hear(self, command: Hear, changes: Changes) -> None:
        levels: dict[str, int] = {}
        for track, level in command.levels:
            owner = self._owner.get(track)
            # A shared screen plays music: it is heard, but it is nobody who speaks.
            if owner is not None and owner[1] == "microphone" and "microphone" not in self._in[owner[0]].muted:
                levels[owner[0]] = level
        self._speakers_changed(self._voices.hear(levels, command.now), changes)

    def _speakers_changed(self, changed: bool, changes: Changes) -> None:
        if changed:
            changes.events.append(SpeakersChanged(self._next(), self._voices.active, self._voices.speaking))

    # -- wishes --
    def _settle(self, changes: Changes) -> None:
        """Find the slots whose wish is another one than before."""
        for participant, one in self._in.items():
            different = []
            for mid, view in one.views.items():
                wish = self._wish(participant, one, view)
                if one.wished.get(mid, SlotWish(mid)) != wish:
                    different.append(wish)
                    one.wished[mid] = wish
            if different:
                changes.wishes[participant] = tuple(different)

    def _wish(self, viewer: str, one: _Participant, view: SlotView) -> SlotWish:
        target = self._speaker_for(viewer) if view.show == SPEAKER else view.show
        if not isinstance(target, tuple) or target[0] not in self._in:
            return SlotWish(view.mid)
        sources = self._in[target[0]].sources
        if target[1] not in sources:
            return SlotWish(view.mid)
        paired = bool(one.slots.get(view.mid))
        return SlotWish(
            mid=view.mid,
            track=sources[target[1]],
            max_height=view.max_height,
            max_fps=view.max_fps,
            priority=view.priority,
            audio_track=sources.get(SOUND_OF.get(target[1], ""), 0) if paired else 0,
        )

    def _speaker_for(self, viewer: str) -> tuple[str, str] | None:
        """The latest speaker with a camera who is not the viewer; before anybody spoke, the first to have joined."""
        for participant in (*self._voices.recent, *self._in):
            one = self._in.get(participant)
            if participant != viewer and one is not None and "camera" in one.sources:
                return participant, "camera"
        return None


_COMMANDS: Mapping[type, Callable[..., None]] = {
    Enter: Room._enter,
    Exit: Room._exit,
    Negotiated: Room._negotiated,
    Disconnected: Room._disconnected,
    SetMuted: Room._set_muted,
    Unpublish: Room._unpublish,
    Look: Room._look,
    Moderate: Room._moderate,
    Tell: Room._tell,
    Hear: Room._hear,
}


class Rooms:
    """All rooms of the node, by name and by number, within its limits. A room lives while somebody is in."""

    def __init__(self, *, seats: int, rooms_max: int, participants_max: int) -> None:
        self._seats = seats
        self._rooms_max = rooms_max
        self._participants_max = participants_max
        self._by_name: dict[str, Room] = {}
        self._by_number: dict[int, Room] = {}
        self._drawn = 0

    def __len__(self) -> int:
        return len(self._by_name)

    def participants(self) -> int:
        return sum(map(len, self._by_name.values()))

    def by_number(self, number: int) -> Room | None:
        return self._by_number.get(number)

    def all(self) -> Iterable[Room]:
        return tuple(self._by_name.values())

    def enter(self, name: str, command: Enter) -> tuple[Room, Changes]:
        """Take a seat in the room of that name, which is opened if need be. Raises RoomFull or Overloaded."""
        if self.participants() >= self._participants_max:
            raise Overloaded("this server is full", retry_after_s=30.0)
        room = self._by_name.get(name)
        if room is None:
            if len(self._by_name) >= self._rooms_max:
                raise Overloaded("no further room can be opened on this server", retry_after_s=30.0)
            self._drawn += 1
            room = Room(self._drawn, name, self._seats)
        changes = room.apply(command)
        self._by_name[name] = self._by_number[room.number] = room
        return room, changes

    def sweep(self, room: Room) -> None:
        """Forget the room if nobody is in it."""
        if len(room) == 0 and self._by_number.pop(room.number, None) is not None:
            del self._by_name[room.name]
