"""What each participant used of a room since the last report: facts in, records out. Pure.

A record says what one participant used from one instant to another. A participant's records follow each other without
a gap and without overlap, so (room, participant, from, to) names one for ever: whoever sums them may be sent each
twice, and a report that nobody got is simply sent again. Instants are whole milliseconds since 1970.

Not in the records: the bytes of a peer connection since it was metered last when its worker is killed, and what was
not reported yet when the node is.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import msgspec

from sfu.room import Room
from sfu.room_values import Changes

# Who left is reported so much later at the earliest: by then the worker has told the last of his bytes.
SETTLED_MS = 2_000


class RoomOpened(msgspec.Struct, frozen=True, tag="room_opened"):
    """Somebody came into a room that nobody was in. `number` is never used again by this run of the node."""

    room: str
    number: int
    at_ms: int


class RoomEnded(msgspec.Struct, frozen=True, tag="room_ended"):
    """The last one left."""

    room: str
    number: int
    at_ms: int


class Used(msgspec.Struct, frozen=True, tag="used"):
    """What a participant used from `from_ms` until `to_ms`; bytes are those of whole datagrams."""

    room: str
    participant: str
    identity: str
    sender: bool  # he might publish at the end of it
    from_ms: int
    to_ms: int
    received_bytes: int  # by the server, from him
    sent_bytes: int


Record = RoomOpened | RoomEnded | Used


@dataclass(slots=True)
class _Stay:
    """One participant, from his coming in to his going."""

    room: str
    identity: str
    sender: bool
    from_ms: int  # what was before is reported
    left_ms: int | None = None
    told: bool = False  # a record says that he came in
    counted: dict[int, tuple[int, int]] = field(default_factory=dict)  # peer -> as it was metered last
    received: int = 0  # not reported yet
    sent: int = 0

    def count(self, peer: int, received: int, sent: int) -> None:
        before = self.counted.get(peer, (0, 0))
        self.received += max(0, received - before[0])
        self.sent += max(0, sent - before[1])
        self.counted[peer] = (received, sent)


class Books:
    """Of one node. `now_ms` never goes back in a record: a clock that is set back makes a participant's time stand."""

    def __init__(self) -> None:
        self._stays: dict[str, _Stay] = {}
        self._of_peer: dict[int, str] = {}
        self._open: set[int] = set()
        self._events: list[Record] = []

    def __len__(self) -> int:
        """Participants of whom not all is reported."""
        return len(self._stays)

    def changed(self, room: Room, changes: Changes, now_ms: int) -> None:
        """A command was carried out in this room."""
        for entry in changes.entered:
            if room.number not in self._open:
                self._open.add(room.number)
                self._events.append(RoomOpened(room.name, room.number, now_ms))
            self._stays[entry.participant] = _Stay(room.name, entry.identity, bool(entry.may_publish), now_ms)
        for participant, entry in changes.permitted.items():
            if participant in self._stays:
                self._stays[participant].sender = bool(entry.may_publish)
        for participant in changes.left:
            if participant in self._stays:
                self._stays[participant].left_ms = now_ms
        if changes.left and len(room) == 0 and room.number in self._open:
            self._open.discard(room.number)
            self._events.append(RoomEnded(room.name, room.number, now_ms))

    def carries(self, peer: int, participant: str) -> None:
        """This peer connection is his."""
        if participant in self._stays:
            self._of_peer[peer] = participant
            self._stays[participant].counted.setdefault(peer, (0, 0))

    def metered(self, octets: Iterable[tuple[int, int, int]]) -> None:
        """(peer, received, sent) in bytes since each peer connection began."""
        for peer, received, sent in octets:
            stay = self._stays.get(self._of_peer.get(peer, ""))
            if stay is not None:
                stay.count(peer, received, sent)

    def events(self) -> list[Record]:
        """Rooms that were opened or ended since the last call."""
        events, self._events = self._events, []
        return events

    def cut(self, now_ms: int, *, last: bool = False) -> list[Record]:
        """A record of everybody who used anything since the last cut. `last`: who left this moment too."""
        return list(self._cut(now_ms, last))

    def _cut(self, now_ms: int, last: bool) -> Iterator[Record]:
        for participant, stay in tuple(self._stays.items()):
            gone = stay.left_ms is not None and (last or now_ms - stay.left_ms >= SETTLED_MS)
            if stay.left_ms is not None and not gone:
                continue
            to_ms = max(stay.from_ms, now_ms if stay.left_ms is None else stay.left_ms)
            # A record without time would have the key of another one; its bytes wait for the next. Only who came and
            # went in one millisecond, or under a clock that was set back, ends like that: he is given one, for
            # everybody who came in is in a record.
            if to_ms == stay.from_ms and gone and (stay.received or stay.sent or not stay.told):
                to_ms += 1
            if to_ms > stay.from_ms:
                yield Used(
                    room=stay.room,
                    participant=participant,
                    identity=stay.identity,
                    sender=stay.sender,
                    from_ms=stay.from_ms,
                    to_ms=to_ms,
                    received_bytes=stay.received,
                    sent_bytes=stay.sent,
                )
                stay.from_ms, stay.received, stay.sent, stay.told = to_ms, 0, 0, True
            if gone:
                for peer in stay.counted:
                    del self._of_peer[peer]
                del self._stays[participant]
