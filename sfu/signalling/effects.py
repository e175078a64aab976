"""What a session asks of the node: effects as values, and the WebSocket close codes. Pure."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from sfu import channel
from sfu import room_values as values
from sfu.contract import Grant
from sfu.room import Room
from sfu.signalling import messages, whip_values

CLOSE_LEFT = 4000
CLOSE_RESUMED_ELSEWHERE = 4001
CLOSE_TOO_SLOW = 4002
CLOSE_NOT_JOINED = 4003
CLOSE_TOO_MUCH = 4004
CLOSE_ENDED = 4005
CLOSE_MEANING = {
    CLOSE_LEFT: "you left",
    CLOSE_RESUMED_ELSEWHERE: "the session was resumed on another WebSocket",
    CLOSE_TOO_SLOW: "the client did not read fast enough",
    CLOSE_NOT_JOINED: "no join in time",
    CLOSE_TOO_MUCH: "too many messages in spite of rate_limited",
    CLOSE_ENDED: "the session was ended by the server; an `ended` message came before",
}


@dataclass(frozen=True, slots=True)
class Say:
    """To this session's client. One of WHIP has none to be told; then it is for the journal."""

    message: messages.FromServer


@dataclass(frozen=True, slots=True)
class Reply:
    """To a request of WHIP or WHEP that waits."""

    exchange: whip_values.Exchange
    outcome: whip_values.Outcome


@dataclass(frozen=True, slots=True)
class Changed:
    """Something happened in the room: tell those who are in, and the workers."""

    room: Room
    changes: values.Changes


@dataclass(frozen=True, slots=True)
class Order:
    """To the worker."""

    command: channel.Command


@dataclass(frozen=True, slots=True)
class Resume:
    """Give this client's socket to the session with that key; this session is over."""

    key: str
    request: int
    grant: Grant


@dataclass(frozen=True, slots=True)
class CloseSocket:
    code: int


@dataclass(frozen=True, slots=True)
class Over:
    """The session has ended; forget it."""


Effect = Say | Reply | Changed | Order | Resume | CloseSocket | Over


@dataclass(slots=True)
class Counts:
    """What the sessions of a node count together."""

    messages: Counter[str] = field(default_factory=Counter)  # by type
    errors: Counter[str] = field(default_factory=Counter)  # by code
    # Of WHIP and WHEP, by protocol, method and HTTP status.
    requests: Counter[tuple[str, str, int]] = field(default_factory=Counter)
    room_events: Counter[str] = field(default_factory=Counter)  # by kind
