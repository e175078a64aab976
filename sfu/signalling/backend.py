"""What the HTTP side needs of the node, and what the node is told by it."""

from __future__ import annotations

from collections.abc import Awaitable
from dataclasses import dataclass
from typing import Protocol

from sfu import channel
from sfu.contract import Grant, Policy
from sfu.room import Room
from sfu.room_values import Command
from sfu.rooms import Rooms, Sums
from sfu.signalling import whip_values
from sfu.signalling.feeds import Feeds


class Client(Protocol):
    """One WebSocket. Neither call waits; both are harmless after the end."""

    reached: str  # the host by which the client reached us, without port; "" = unknown
    address: str  # the client's own; "" = unknown

    def send(self, data: bytes) -> None:
        """Queue a message. A client that does not read is closed."""
        ...

    def close(self, code: int) -> None:
        """Close after what is queued has been sent."""
        ...


@dataclass(frozen=True)
class WorkerSnapshot:
    """`counters` is None when the worker did not answer in time."""

    worker: int
    restarts: int
    counters: channel.Counters | None


@dataclass(frozen=True)
class JournalSums:
    """What became of all sessions so far."""

    joins: dict[str, channel.Histogram]  # from the `join` message on, by milestone: "answer", "media"
    joined: dict[str, int]  # seats taken, "joined", and sessions taken up again, "resumed"
    lasted: channel.Histogram  # from the join to the end of a session
    connections: dict[str, int]  # peer connections: "connected", "failed"


@dataclass(frozen=True)
class UplinkSums:
    """What is kept for the control plane, and what became of what was kept."""

    kept: int = 0  # records that it has not acknowledged yet
    acknowledged: int = 0
    dropped: int = 0  # because no more could be kept: money that nobody will see
    failures: int = 0  # attempts to hand records over that failed


@dataclass(frozen=True)
class NodeSnapshot:
    """The numbers of one moment, for /metrics."""

    ready: bool
    rooms: Sums
    room_events: dict[str, int]  # by kind
    sockets: int  # WebSockets open
    sessions: int  # with a WebSocket, waiting to be resumed, or without one
    without_sockets: dict[str, int]  # of these, the sessions of "whip" and "whep"
    journal: JournalSums
    process: channel.ProcessUse
    messages: dict[str, int]  # by type
    errors: dict[str, int]  # by code
    requests: dict[tuple[str, str, int], int]  # of WHIP and WHEP, by protocol, method and HTTP status
    loop_lag_s: float
    uplink: UplinkSums
    workers: tuple[WorkerSnapshot, ...]


class Backend(Protocol):
    """The node, as HTTP sees it."""

    @property
    def ready(self) -> bool: ...

    @property
    def rooms(self) -> Rooms: ...

    @property
    def feeds(self) -> Feeds: ...

    def connect(self, client: Client) -> None: ...

    def receive(self, client: Client, data: str | bytes) -> None: ...

    def disconnected(self, client: Client) -> None: ...

    def count_error(self, code: str) -> None: ...

    def count_request(self, protocol: str, method: str, status: int) -> None: ...

    def open(
        self, protocol: whip_values.Protocol, request: whip_values.Open, exchange: whip_values.Exchange
    ) -> None: ...

    def ask(self, location: str, request: whip_values.Request, exchange: whip_values.Exchange) -> None: ...

    def verify(self, token: str, resuming: bool) -> Grant: ...

    def unix_time(self) -> float: ...

    def command(self, room: Room, command: Command) -> None: ...

    def set_policy(self, room: str, policy: Policy) -> None: ...

    def snapshot(self) -> Awaitable[NodeSnapshot]: ...

    def inspect(self, room: int, after: int) -> Awaitable[tuple[channel.Inspection | None, ...]]:
        """A page of each worker's peers, None for a worker that does not answer; room 0 = all."""
        ...
