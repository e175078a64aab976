"""Between the words of clients and those of the room. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal, cast

from sfu import room_values as values
from sfu.signalling import messages

_SOURCES: Mapping[str, messages.Source] = {
    "camera": "camera",
    "microphone": "microphone",
    "screen": "screen",
    "screen_audio": "screen_audio",
}


def source(name: str) -> messages.Source:
    """A source's name as the type that messages have."""
    return _SOURCES[name]


def participant_view(seat: values.Seat) -> messages.ParticipantView:
    """A seat as clients see it."""
    tracks = [messages.Published(source=source(name), muted=muted) for name, muted in seat.tracks]
    return messages.ParticipantView(participant=seat.participant, name=seat.name, role=seat.role, tracks=tracks)


def slot_view(view: messages.SlotView) -> values.SlotView:
    """What a client wishes for a slot, as the room takes it."""
    show = (view.show.participant, view.show.source) if isinstance(view.show, messages.Target) else view.show
    return values.SlotView(view.mid, show, view.max_height, view.max_fps, view.priority)


def message_of(event: values.Event) -> messages.FromServer:
    """The message for an event of the room."""
    return _MESSAGES[type(event)](event)


def _joined(event: values.ParticipantJoined) -> messages.FromServer:
    return messages.ParticipantEvent(
        sequence=event.sequence, event="joined", participant=event.participant, name=event.name, role=event.role
    )


def _left(event: values.ParticipantLeft) -> messages.FromServer:
    return messages.ParticipantEvent(sequence=event.sequence, event="left", participant=event.participant)


def _track(event: values.TrackChanged) -> messages.FromServer:
    what = cast(Literal["published", "muted", "unmuted", "unpublished"], event.what)
    return messages.TrackEvent(
        sequence=event.sequence, event=what, participant=event.participant, source=source(event.source)
    )


def _speakers(event: values.SpeakersChanged) -> messages.FromServer:
    return messages.Speakers(sequence=event.sequence, active=event.active, speaking=list(event.speaking))


def _told(event: values.Told) -> messages.FromServer:
    return messages.Message(sequence=event.sequence, sender=event.sender, topic=event.topic, body=event.body)


_MESSAGES: Mapping[type, Callable[[Any], messages.FromServer]] = {
    values.ParticipantJoined: _joined,
    values.ParticipantLeft: _left,
    values.TrackChanged: _track,
    values.SpeakersChanged: _speakers,
    values.Told: _told,
}
