"""The values of a room: what can be asked of it (commands), what has happened in it (events). See `sfu.room`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from sfu.channel import SlotWish
from sfu.contract import Policy


# -- what is asked ---------------------------------------------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class Enter:
    """Take a seat. `participant` is drawn, so one identity in two tabs takes two seats.

    `issued_at` (unix seconds) is the grant's. Who may publish is a sender; everybody else is audience.
    """

    participant: str
    name: str
    role: str
    may_publish: tuple[str, ...]
    may_moderate: bool = False
    visible: bool = True
    identity: str = ""
    max_kbps: int = 0
    issued_at: float = 0.0

    @property
    def announced(self) -> bool:
        """Others are told that he is here."""
        return self.visible and bool(self.may_publish)

    @property
    def in_audience(self) -> bool:
        """Counted, and in the roster, but not announced."""
        return self.visible and not self.may_publish


@dataclass(frozen=True, slots=True)
class Permit:
    """Rights, name and role of one who is in are replaced by these; his `identity` and `issued_at` stay."""

    entry: Enter


@dataclass(frozen=True, slots=True)
class Exit:
    """Give the seat back. For one who is not in it changes nothing."""

    participant: str


@dataclass(frozen=True, slots=True)
class Negotiated:
    """What one peer connection carries now: all sources (source -> track) and all video slots (mid -> audio mid or "").

    `fresh` says that it is a new peer connection, whose worker side knows no wish yet.
    """

    participant: str
    sources: Mapping[str, int]
    slots: Mapping[str, str]
    fresh: bool = False


@dataclass(frozen=True, slots=True)
class Disconnected:
    """The peer connection is gone; the seat stays."""

    participant: str


@dataclass(frozen=True, slots=True)
class SetMuted:
    participant: str
    source: str
    muted: bool


@dataclass(frozen=True, slots=True)
class Unpublish:
    participant: str
    source: str


@dataclass(frozen=True, slots=True)
class SlotView:
    """What one video slot shall show: (participant, source), `"speaker"`, or None."""

    mid: str
    show: tuple[str, str] | str | None
    max_height: int = 0
    max_fps: int = 0
    priority: int = 0


@dataclass(frozen=True, slots=True)
class Look:
    participant: str
    slots: tuple[SlotView, ...]


@dataclass(frozen=True, slots=True)
class Moderate:
    """`action` is "mute", "stop_video", "remove", "allow_to_speak" or "forbid_to_speak"; `at` is unix seconds.

    `participant` None is the server API, which may everything.
    """

    participant: str | None
    target: str
    action: str
    at: float


@dataclass(frozen=True, slots=True)
class Tell:
    participant: str
    to: str | None
    topic: str
    body: str


@dataclass(frozen=True, slots=True)
class Hear:
    """channel.Levels of the last 100 ms, and when they came."""

    levels: tuple[tuple[int, int], ...]
    now: float


@dataclass(frozen=True, slots=True)
class CountAudience:
    """Tell the number of the audience if it is another one than was told."""


@dataclass(frozen=True, slots=True)
class SetPolicy:
    """Refused with Conflict when its version is lower than the room's. Puts out whom it names, or everybody."""

    policy: Policy


@dataclass(frozen=True, slots=True)
class End:
    """Everybody is put out."""


Command = (
    Enter
    | Permit
    | Exit
    | Negotiated
    | Disconnected
    | SetMuted
    | Unpublish
    | Look
    | Moderate
    | Tell
    | Hear
    | CountAudience
    | SetPolicy
    | End
)


# -- what has happened -----------------------------------------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class ParticipantJoined:
    sequence: int
    participant: str
    name: str
    role: str


@dataclass(frozen=True, slots=True)
class ParticipantChanged:
    """Another name or role."""

    sequence: int
    participant: str
    name: str
    role: str


@dataclass(frozen=True, slots=True)
class AudienceCounted:
    sequence: int
    count: int


@dataclass(frozen=True, slots=True)
class RoomEnded:
    sequence: int


@dataclass(frozen=True, slots=True)
class ParticipantLeft:
    sequence: int
    participant: str


@dataclass(frozen=True, slots=True)
class TrackChanged:
    """`what` is "published", "muted", "unmuted" or "unpublished"."""

    sequence: int
    what: str
    participant: str
    source: str


@dataclass(frozen=True, slots=True)
class SpeakersChanged:
    sequence: int
    active: str | None
    speaking: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Told:
    """`to` None = everybody. One for a single participant does not raise the sequence."""

    sequence: int
    sender: str
    to: str | None
    topic: str
    body: str


Event = (
    ParticipantJoined
    | ParticipantChanged
    | ParticipantLeft
    | TrackChanged
    | SpeakersChanged
    | Told
    | AudienceCounted
    | RoomEnded
)


@dataclass(slots=True)
class Changes:
    """What one command did."""

    events: list[Event] = field(default_factory=list)
    wishes: dict[str, tuple[SlotWish, ...]] = field(default_factory=dict)  # participant -> slots that differ now
    mutes: dict[int, bool] = field(default_factory=dict)  # track -> not to be forwarded
    removed: dict[str, str] = field(default_factory=dict)  # participant put out, his seat is free already -> why
    permitted: dict[str, Enter] = field(default_factory=dict)  # participant -> what he may do now
    entered: list[Enter] = field(default_factory=list)  # who took a seat
    left: list[str] = field(default_factory=list)  # whose seat is free now


@dataclass(frozen=True, slots=True)
class Seat:
    """A participant as a snapshot shows it."""

    participant: str
    name: str
    role: str
    tracks: tuple[tuple[str, bool], ...] = ()  # (source, muted)
