"""Every message of the sub-protocol `stentor.v1`, one small typed class each, both ways.

JSON over WebSocket; `type` is the class's tag. A client's message carries an `id` of its choice, which
the answer (`joined`, `answer`, `done` or `error`) echoes in `request`. Unknown fields are ignored, so a
newer client can talk to an older server; an unknown type is an error. `docs/protocol.md` is generated
from these classes: `python -m sfu.signalling.protocol_page`.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

SUBPROTOCOL = "stentor.v1"

# Chromium's offer with 39 slots is 210 kB (docs/protocol.md); twice that is room for the next browser.
OFFER_BYTES_MAX = 512 * 1024
MESSAGE_BYTES_MAX = OFFER_BYTES_MAX + 16 * 1024
SLOTS_MAX = 64

Id = Annotated[int, Meta(ge=0, le=2**53, description="chosen by the client, echoed as `request`")]
Mid = Annotated[str, Meta(min_length=1, max_length=16, description="the m-section's mid")]
Text = Annotated[str, Meta(max_length=128)]
Source = Literal["camera", "microphone", "screen", "screen_audio"]


class ClientMessage(msgspec.Struct, frozen=True, kw_only=True, tag_field="type"):
    id: Id


class Join(ClientMessage, tag="join"):
    """The first message: the grant, and after a lost connection the resume key."""

    token: Annotated[str, Meta(max_length=8192)]
    resume: Annotated[str, Meta(max_length=128)] | None = None


class Offer(ClientMessage, tag="offer"):
    """An SDP offer: what I publish (`sources` by mid) and the slots I want (recvonly m-sections)."""

    sdp: Annotated[str, Meta(max_length=OFFER_BYTES_MAX)]
    sources: Annotated[dict[Mid, Source], Meta(max_length=SLOTS_MAX)] = {}
    pairs: Annotated[list[tuple[Mid, Mid]], Meta(max_length=SLOTS_MAX)] = []


class Target(msgspec.Struct, frozen=True, kw_only=True):
    """One source of one participant."""

    participant: Text
    source: Source


class SlotView(msgspec.Struct, frozen=True, kw_only=True):
    """What a slot shall show: a target, `"speaker"`, or null for nothing."""

    mid: Mid
    show: Target | Literal["speaker"] | None = None
    max_height: Annotated[int, Meta(ge=0, le=8640, description="pixels, 0 = no limit")] = 0
    max_fps: Annotated[int, Meta(ge=0, le=240, description="0 = no limit")] = 0
    priority: Annotated[int, Meta(ge=0, le=255)] = 0


class View(ClientMessage, tag="view"):
    """What my video slots shall show. Slots that are not named stay as they are."""

    slots: Annotated[list[SlotView], Meta(max_length=SLOTS_MAX)]


class Mute(ClientMessage, tag="mute"):
    """Stop forwarding my source to others."""

    source: Source


class Unmute(ClientMessage, tag="unmute"):
    """Forward my source again."""

    source: Source


class Unpublish(ClientMessage, tag="unpublish"):
    """My source ends. The m-section may be stopped by a later offer."""

    source: Source


ModerateAction = Literal["mute", "stop_video", "remove", "allow_to_speak", "forbid_to_speak"]


class Moderate(ClientMessage, tag="moderate"):
    """Act on another participant; needs the right to moderate. Who was removed needs a new grant to come back."""

    target: Text
    action: ModerateAction


class Roster(ClientMessage, tag="roster"):
    """A page of everybody who is here, the audience too; `after` is the `next` of the page before."""

    after: Text | None = None
    limit: Annotated[int, Meta(ge=1, le=200)] = 100


class Send(ClientMessage, tag="send"):
    """Application data to one participant, or to all when `to` is null."""

    topic: Annotated[str, Meta(max_length=64)]
    body: Annotated[str, Meta(max_length=8192)]
    to: Text | None = None


class Leave(ClientMessage, tag="leave"):
    """I go. The server closes the WebSocket."""


FromClient = Join | Offer | View | Mute | Unmute | Unpublish | Moderate | Roster | Send | Leave


class ServerMessage(msgspec.Struct, frozen=True, kw_only=True, tag_field="type"):
    pass


class Published(msgspec.Struct, frozen=True, kw_only=True):
    """One source that a participant publishes."""

    source: Source
    muted: bool = False


class ParticipantView(msgspec.Struct, frozen=True, kw_only=True):
    participant: str
    name: str
    role: str
    tracks: list[Published] = []


class IceServer(msgspec.Struct, frozen=True, kw_only=True):
    """As in the browser's RTCIceServer."""

    urls: list[str]
    username: str = ""
    credential: str = ""


class Joined(ServerMessage, tag="joined"):
    """You are in: who you are, who is there, how to come back. `sequence` numbers the room's events.

    `participants` are those who may publish; `audience` is how many are here to watch only. Pictures are sent in
    `camera_codec`, screens too: a client without it publishes none, and is told `codec` in `slots` in place of one.
    """

    request: int
    participant: str
    room: str
    resume: str
    sequence: int
    participants: list[ParticipantView]
    ice_servers: list[IceServer] = []
    may_publish: list[Source] = []
    may_moderate: bool = False
    audience: int = 0
    speaker: str | None = None
    camera_codec: str = "VP8"


class Granted(ServerMessage, tag="granted"):
    """What you may do has changed. A source that you may no longer publish has ended."""

    may_publish: list[Source]
    may_moderate: bool


class Answer(ServerMessage, tag="answer"):
    """The SDP answer to the offer `request`.

    `refused` says by mid why a source of yours is not taken, and its m-section is answered with port 0: `codec` means
    that the section has not the room's codec (`camera_codec` of `joined`; Opus for sound). All else stands.
    """

    request: int
    sdp: str
    refused: dict[str, str] = {}


class Done(ServerMessage, tag="done"):
    """The request `request` was carried out and has no other answer."""

    request: int


class Error(ServerMessage, tag="error"):
    """The request failed (`request` is null where the message could not be read, or none was made)."""

    request: int | None
    code: str
    reason: str
    retry_after: float | UnsetType = UNSET


class SlotState(msgspec.Struct, frozen=True, kw_only=True):
    """What a slot carries. `participant` is null when nothing is shown; `reason` says why not more.

    `waiting_for_key_frame` and `waiting_for_source`: it will come. `no_such_layer`: the source has none as small as
    asked. `codec`: this client cannot decode what the room sends.
    """

    mid: str
    participant: str | None = None
    source: Source | None = None
    height: int = 0
    reason: str = ""


class Slots(ServerMessage, tag="slots"):
    """What your slots carry now; only those that changed."""

    slots: list[SlotState]


class RosterPage(ServerMessage, tag="roster"):
    """A page of everybody who is here; `next` asks for the next one, null = this was the last."""

    request: int
    participants: list[ParticipantView]
    next: str | None


class AudienceEvent(ServerMessage, tag="audience"):
    """How many are here to watch only; at most once a second."""

    sequence: int
    count: int


class ParticipantEvent(ServerMessage, tag="participant"):
    """Somebody who may publish joined, left or has another name or role now. Audience makes no such events."""

    sequence: int
    event: Literal["joined", "left", "changed"]
    participant: str
    name: str = ""
    role: str = ""


class TrackEvent(ServerMessage, tag="track"):
    """A source was published, muted, unmuted or ended."""

    sequence: int
    event: Literal["published", "muted", "unmuted", "unpublished"]
    participant: str
    source: Source


class Speakers(ServerMessage, tag="speakers"):
    """Who speaks now, loudest first; `active` is the one a `"speaker"` slot shows (kept in silence)."""

    sequence: int
    active: str | None
    speaking: list[str]


class Quality(ServerMessage, tag="quality"):
    """Which layers your own source reaches the server with, smallest first."""

    source: Source
    heights: list[int]


class Message(ServerMessage, tag="message"):
    """Application data from another participant."""

    sequence: int
    sender: str
    topic: str
    body: str


class Ended(ServerMessage, tag="ended"):
    """You are out: `left`, `removed`, `room_ended`, `server_stopping`."""

    reason: str


class RoomEnded(ServerMessage, tag="room_ended"):
    """The room was ended. Only the server API's event stream carries it; clients are told `ended`."""

    sequence: int


FromServer = (
    Joined
    | Answer
    | Done
    | Error
    | Slots
    | RosterPage
    | Granted
    | AudienceEvent
    | ParticipantEvent
    | TrackEvent
    | Speakers
    | Quality
    | Message
    | Ended
    | RoomEnded
)

_decoder = msgspec.json.Decoder(FromClient)
_encoder = msgspec.json.Encoder()


def decode(data: bytes | str) -> FromClient:
    """A client's message. Raises msgspec.ValidationError or msgspec.DecodeError, whose text says what is wrong."""
    return _decoder.decode(data)


def encode(message: FromServer) -> bytes:
    """A message for the client, encoded once however many get it."""
    return _encoder.encode(message)


class _Id(msgspec.Struct):
    id: int


_id_decoder = msgspec.json.Decoder(_Id)


def request_id(data: str) -> int | None:
    """The id of a message that may be wrong in everything else, so that even its error can be told apart."""
    try:
        return _id_decoder.decode(data).id
    except (msgspec.MsgspecError, UnicodeError):
        return None
