"""Who is in, who publishes what, who wants to see what: commands in, `Changes` out. Pure.

A command is one frozen class; `Room.apply` carries it out wholly or raises a ClientError and changes nothing.
`Changes` holds the events, each with the room's next sequence number, and the wishes of video slots that are
different now. The room knows participants and track numbers; it knows no connection and no peer number.

Audience (who may not publish) makes no events: its number is told by `CountAudience`, its names by `roster`. So what
one viewer costs the others does not grow with the room.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import replace

from sfu import speakers
from sfu.channel import SlotWish
from sfu.contract import Policy
from sfu.errors import Conflict, Forbidden, NotFound, Overloaded
from sfu.room_values import (
    AudienceCounted,
    Changes,
    Command,
    CountAudience,
    Disconnected,
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
from sfu.seats import Participant, Seats

# Whose sound goes with which picture (lip sync of paired slots).
SOUND_OF = {"camera": "microphone", "screen": "screen_audio"}
SOUNDS = frozenset(SOUND_OF.values())
# More than a screen can show; each costs a wish to compute at every change of the room.
VIEWS_MAX = 64
SPEAKER = "speaker"
# Whose wishes may be different after a command; None = everybody's.
_Touched = Collection[str] | None


class Room:
    """One room. `number` is its number on the channel."""

    def __init__(self, number: int, name: str, policy: Policy) -> None:
        self.number = number
        self.name = name
        self.sequence = 0
        self.seats = Seats(policy)
        self._audience_told = 0
        self._owner: dict[int, tuple[str, str]] = {}
        self._voices = speakers.Speakers()

    # -- questions --
    def __len__(self) -> int:
        return len(self.seats.taken)

    def __contains__(self, participant: str) -> bool:
        return participant in self.seats.taken

    @property
    def active_speaker(self) -> str | None:
        return self._voices.active

    def participants(self) -> tuple[str, ...]:
        """Everybody who is in, in the order of joining."""
        return tuple(self.seats.taken)

    def entry(self, participant: str) -> Enter:
        """Who that is and what he may do now. Raises NotFound."""
        return self.seats.one(participant).entry

    def owner_of(self, track: int) -> tuple[str, str] | None:
        """(participant, source) of a track that is published now."""
        return self._owner.get(track)

    def sources(self) -> Iterable[str]:
        """The source of each track that is published now."""
        return (source for _, source in self._owner.values())

    # -- commands --
    def apply(self, command: Command) -> Changes:
        """Carry out one command. Raises RoomFull, NotFound, Forbidden, Conflict or Overloaded, and changes nothing."""
        changes = Changes()
        touched = _COMMANDS[type(command)](self, command, changes)
        self._settle(self.participants() if touched is None else touched, changes)
        return changes

    def _next(self) -> int:
        self.sequence += 1
        return self.sequence

    # Each returns whose wishes may be different now; None = everybody's.

    def _enter(self, command: Enter, changes: Changes) -> _Touched:
        self._announce(self.seats.take(command).entry, None, changes)
        changes.entered.append(command)
        return ()

    def _announce(self, now: Enter, before: Enter | None, changes: Changes) -> None:
        """What others must know of somebody whose entry is new."""
        was, name = before is not None and before.announced, now.participant
        if now.announced and not was:
            changes.events.append(ParticipantJoined(self._next(), name, now.name, now.role))
        elif was and not now.announced:
            changes.events.append(ParticipantLeft(self._next(), name))
        elif was and before is not None and (before.name, before.role) != (now.name, now.role):
            changes.events.append(ParticipantChanged(self._next(), name, now.name, now.role))

    def _permit(self, command: Permit, changes: Changes) -> _Touched:
        one = self.seats.one(command.entry.participant)
        before = one.entry
        entry = replace(command.entry, identity=before.identity, issued_at=before.issued_at)
        self.seats.rebook(one, entry)
        for source in [source for source in one.sources if source not in entry.may_publish]:
            self._end_source(entry.participant, one, source, changes)
        changes.permitted[entry.participant] = entry
        self._announce(entry, before, changes)
        if entry.announced and not before.announced:
            for source in one.sources:  # he was hidden while he published them
                changes.events.append(TrackChanged(self._next(), "published", entry.participant, source))
        return None

    def _exit(self, command: Exit, changes: Changes) -> _Touched:
        one = self.seats.give_back(command.participant)
        if one is None:
            return ()
        changes.left.append(command.participant)
        for track in one.sources.values():  # no events: that he left says that his sources ended
            del self._owner[track]
        if one.entry.announced:
            changes.events.append(ParticipantLeft(self._next(), command.participant))
        self._speakers_changed(self._voices.forget(command.participant), changes)
        return None if one.sources else ()

    def _negotiated(self, command: Negotiated, changes: Changes) -> _Touched:
        one = self.seats.one(command.participant)
        refused = [source for source in command.sources if source not in one.entry.may_publish]
        if refused:
            raise Forbidden(f"the grant does not allow to publish {', '.join(sorted(refused))}")
        before = dict(one.sources)
        if command.fresh:
            one.wished.clear()
        for source, track in before.items():
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
        return (command.participant,) if one.sources == before else None

    def _disconnected(self, command: Disconnected, changes: Changes) -> _Touched:
        one = self.seats.one(command.participant)
        ended = tuple(one.sources)
        for source in ended:
            self._end_source(command.participant, one, source, changes)
        one.slots, one.views, one.wished = {}, {}, {}
        return None if ended else ()

    def _set_muted(self, command: SetMuted, changes: Changes) -> _Touched:
        one = self.seats.one(command.participant)
        if command.source not in one.sources:
            raise NotFound(f"{command.source} is not published")
        self._mute(command.participant, one, command.source, command.muted, changes)
        return ()

    def _mute(self, participant: str, one: Participant, source: str, muted: bool, changes: Changes) -> None:
        if (source in one.muted) == muted:
            return
        (one.muted.add if muted else one.muted.discard)(source)
        changes.mutes[one.sources[source]] = muted
        changes.events.append(TrackChanged(self._next(), "muted" if muted else "unmuted", participant, source))

    def _unpublish(self, command: Unpublish, changes: Changes) -> _Touched:
        one = self.seats.one(command.participant)
        if command.source not in one.sources:
            raise NotFound(f"{command.source} is not published")
        self._end_source(command.participant, one, command.source, changes)
        return None

    def _end_source(self, participant: str, one: Participant, source: str, changes: Changes) -> None:
        track = one.sources.pop(source)
        # The m-section may live on, and a microphone that is still sent would go on being ranked: so mute it.
        changes.mutes[track] = True
        del self._owner[track]
        one.muted.discard(source)
        changes.events.append(TrackChanged(self._next(), "unpublished", participant, source))

    def _look(self, command: Look, changes: Changes) -> _Touched:
        one = self.seats.one(command.participant)
        unknown = [view.mid for view in command.slots if view.mid not in one.slots]
        if unknown:
            raise NotFound(f"no video slot with the mid {unknown[0]!r} has been answered")
        views = one.views | {view.mid: view for view in command.slots}
        if len(views) > VIEWS_MAX:
            raise Overloaded(f"at most {VIEWS_MAX} slots can be viewed")
        one.views = views
        return (command.participant,)

    def _moderate(self, command: Moderate, changes: Changes) -> _Touched:
        if command.participant is not None and not self.seats.one(command.participant).entry.may_moderate:
            raise Forbidden("the grant does not allow to moderate")
        return _ACTIONS[command.action](self, command, self.seats.one(command.target), changes)

    def _remove(self, command: Moderate, target: Participant, changes: Changes) -> _Touched:
        self.seats.bar(target.entry.identity, command.at)
        changes.removed[command.target] = "removed"
        return self._exit(Exit(command.target), changes)

    def _silence(self, command: Moderate, target: Participant, changes: Changes) -> _Touched:
        return self._mute_all(target, SOUNDS, changes)

    def _stop_video(self, command: Moderate, target: Participant, changes: Changes) -> _Touched:
        return self._mute_all(target, SOUND_OF.keys(), changes)

    def _mute_all(self, target: Participant, sources: Collection[str], changes: Changes) -> _Touched:
        for source in target.sources:
            if source in sources:
                self._mute(target.entry.participant, target, source, True, changes)
        return ()

    def _allow_to_speak(self, command: Moderate, target: Participant, changes: Changes) -> _Touched:
        allowed = dict.fromkeys((*target.entry.may_publish, "microphone"))
        return self._permit(Permit(replace(target.entry, may_publish=tuple(allowed))), changes)

    def _forbid_to_speak(self, command: Moderate, target: Participant, changes: Changes) -> _Touched:
        left = tuple(source for source in target.entry.may_publish if source not in SOUNDS)
        return self._permit(Permit(replace(target.entry, may_publish=left)), changes)

    def _tell(self, command: Tell, changes: Changes) -> _Touched:
        self.seats.one(command.participant)
        if command.to is None:
            sequence = self._next()
        else:
            self.seats.one(command.to)
            sequence = self.sequence
        changes.events.append(Told(sequence, command.participant, command.to, command.topic, command.body))
        return ()

    def _hear(self, command: Hear, changes: Changes) -> _Touched:
        levels: dict[str, int] = {}
        for track, level in command.levels:
            owner = self._owner.get(track)
            # A shared screen plays music: it is heard, but it is nobody who speaks.
            if owner is not None and owner[1] == "microphone" and "microphone" not in self.seats.taken[owner[0]].muted:
                levels[owner[0]] = level
        return self._speakers_changed(self._voices.hear(levels, command.now), changes)

    def _speakers_changed(self, changed: bool, changes: Changes) -> _Touched:
        if not changed:
            return ()
        changes.events.append(SpeakersChanged(self._next(), self._voices.active, self._voices.speaking))
        return None

    def _count_audience(self, command: CountAudience, changes: Changes) -> _Touched:
        if self.seats.audience != self._audience_told:
            self._audience_told = self.seats.audience
            changes.events.append(AudienceCounted(self._next(), self._audience_told))
        return ()

    def _set_policy(self, command: SetPolicy, changes: Changes) -> _Touched:
        if command.policy.version < self.seats.policy.version:
            raise Conflict(f"version {self.seats.policy.version} of this room's policy is in force")
        self.seats.policy = command.policy
        if command.policy.closed and len(self):
            return self._end(End(), changes)
        unwanted = [name for name, one in self.seats.taken.items() if self.seats.is_put_out(one.entry)]
        for participant in unwanted:
            changes.removed[participant] = "removed"
            self._exit(Exit(participant), changes)
        return None if unwanted else ()

    def _end(self, command: End, changes: Changes) -> _Touched:
        for participant in self.participants():
            self.seats.give_back(participant)
            changes.left.append(participant)
            changes.removed[participant] = "room_ended"
        self._owner.clear()
        changes.events.append(RoomEnded(self._next()))
        return ()

    # -- wishes --
    def _settle(self, touched: Iterable[str], changes: Changes) -> None:
        """Find the slots whose wish is another one than before."""
        for participant in touched:
            one = self.seats.taken[participant]
            different = []
            for mid, view in one.views.items():
                wish = self._wish(participant, one, view)
                if one.wished.get(mid, SlotWish(mid)) != wish:
                    different.append(wish)
                    one.wished[mid] = wish
            if different:
                changes.wishes[participant] = tuple(different)

    def _wish(self, viewer: str, one: Participant, view: SlotView) -> SlotWish:
        target = self._speaker_for(viewer) if view.show == SPEAKER else view.show
        if not isinstance(target, tuple) or target[0] not in self.seats.taken:
            return SlotWish(view.mid)
        sources = self.seats.taken[target[0]].sources
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
        for participant in (*self._voices.recent, *self.seats.senders):
            one = self.seats.senders.get(participant)
            if participant != viewer and one is not None and "camera" in one.sources:
                return participant, "camera"
        return None


_ACTIONS: Mapping[str, Callable[..., _Touched]] = {
    "mute": Room._silence,
    "stop_video": Room._stop_video,
    "remove": Room._remove,
    "allow_to_speak": Room._allow_to_speak,
    "forbid_to_speak": Room._forbid_to_speak,
}
_COMMANDS: Mapping[type, Callable[..., _Touched]] = {
    Enter: Room._enter,
    Permit: Room._permit,
    Exit: Room._exit,
    Negotiated: Room._negotiated,
    Disconnected: Room._disconnected,
    SetMuted: Room._set_muted,
    Unpublish: Room._unpublish,
    Look: Room._look,
    Moderate: Room._moderate,
    Tell: Room._tell,
    Hear: Room._hear,
    CountAudience: Room._count_audience,
    SetPolicy: Room._set_policy,
    End: Room._end,
}
