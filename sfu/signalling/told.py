"""Between the words of clients and those of the room. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Literal, cast

import msgspec

from sfu import errors
from sfu import room_values as values
from sfu.contract import Grant
from sfu.room import Room
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


def error_message(error: Exception, request: int | None) -> messages.Error:
    """The one door from exceptions to clients. What is not meant for them becomes `internal` without details."""
    match error:
        case errors.StentorError():
            retry = msgspec.UNSET if error.retry_after_s is None else round(error.retry_after_s, 3)
            return messages.Error(request=request, code=error.code, reason=error.reason, retry_after=retry)
        case msgspec.ValidationError() | msgspec.DecodeError() | UnicodeDecodeError():
            return messages.Error(request=request, code=errors.BadMessage.code, reason=str(error)[:300])
        case _:
            return messages.Error(
                request=request, code=errors.Internal.code, reason="the server failed at this request"
            )


def entry(participant: str, grant: Grant) -> values.Enter:
    """Whom a grant lets in."""
    return values.Enter(
        participant=participant,
        name=grant.name,
        role=grant.role,
        may_publish=grant.publish,
        may_moderate=grant.moderate,
        visible=grant.visible,
        identity=grant.identity,
        max_kbps=grant.max_kbps,
        issued_at=grant.issued_at,
    )


def check_may_publish(entry: values.Enter, sources: Iterable[str]) -> None:
    """Raises Forbidden, naming each source that may not be published."""
    refused = sorted(set(sources) - set(entry.may_publish))
    if refused:
        raise errors.Forbidden(f"the grant does not allow to publish {', '.join(refused)}")


def granted(entry: values.Enter) -> messages.Granted:
    """What a participant may do now."""
    return messages.Granted(may_publish=[source(one) for one in entry.may_publish], may_moderate=entry.may_moderate)


def slot_view(view: messages.SlotView) -> values.SlotView:
    """What a client wishes for a slot, as the room takes it."""
    show = (view.show.participant, view.show.source) if isinstance(view.show, messages.Target) else view.show
    return values.SlotView(view.mid, show, view.max_height, view.max_fps, view.priority)


def hearers(room: Room, event: values.Event) -> Iterable[str]:
    """The participants who are told of an event of their room."""
    match event:
        case values.Told(to=str(to)):
            return (to,)
        case values.ParticipantJoined(participant=joined):
            # His own snapshot is not older than this event.
            return (one for one in room.participants() if one != joined)
    return room.participants()


def message_of(event: values.Event) -> messages.FromServer:
    """The message for an event of the room."""
    return _MESSAGES[type(event)](event)


def event_name(event: values.Event) -> str:
    """As metrics count it: one of a closed list."""
    return f"track_{event.what}" if isinstance(event, values.TrackChanged) else EVENT_NAMES[type(event)]


def _joined(event: values.ParticipantJoined) -> messages.FromServer:
    return messages.ParticipantEvent(
        sequence=event.sequence, event="joined", participant=event.participant, name=event.name, role=event.role
    )


def _renamed(event: values.ParticipantChanged) -> messages.FromServer:
    return messages.ParticipantEvent(
        sequence=event.sequence, event="changed", participant=event.participant, name=event.name, role=event.role
    )


def _audience(event: values.AudienceCounted) -> messages.FromServer:
    return messages.AudienceEvent(sequence=event.sequence, count=event.count)


def _room_ended(event: values.RoomEnded) -> messages.FromServer:
    return messages.RoomEnded(sequence=event.sequence)


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


EVENT_NAMES: Mapping[type, str] = {
    values.ParticipantJoined: "participant_joined",
    values.ParticipantChanged: "participant_changed",
    values.ParticipantLeft: "participant_left",
    values.AudienceCounted: "audience_counted",
    values.RoomEnded: "room_ended",
    values.SpeakersChanged: "speakers_changed",
    values.Told: "message",
}
_MESSAGES: Mapping[type, Callable[[Any], messages.FromServer]] = {
    values.ParticipantJoined: _joined,
    values.ParticipantChanged: _renamed,
    values.ParticipantLeft: _left,
    values.AudienceCounted: _audience,
    values.RoomEnded: _room_ended,
    values.TrackChanged: _track,
    values.SpeakersChanged: _speakers,
    values.Told: _told,
}
