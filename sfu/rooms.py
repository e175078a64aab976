"""All rooms of a node, by name and by number, within its limits. Pure."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from sfu.contract import Policy
from sfu.errors import NotFound, Overloaded
from sfu.room import Room
from sfu.room_values import Changes, Enter, SetPolicy

# Policies kept for rooms that are not open. With more, the oldest falls back to the configured one.
POLICIES_MAX = 10_000


# Rooms are counted by how many are in: at most 1, 2, 5, ... and more.
SIZES = (1, 2, 5, 10, 20, 40, 100, 1000)


@dataclass(frozen=True)
class Sums:
    """All rooms in a few numbers."""

    rooms: int
    participants: int
    audience: int  # of them, those who may not publish
    largest: int  # participants of the room with most
    sizes: tuple[int, ...]  # rooms with at most SIZES[i] in, and more than the size before; last: more than all
    tracks: dict[str, int]  # published now, by source


class Rooms:
    """A room lives while somebody is in; its policy outlives it."""

    def __init__(self, *, policy: Policy, rooms_max: int, participants_max: int) -> None:
        self._policy = policy
        self._rooms_max = rooms_max
        self._participants_max = participants_max
        self._by_name: dict[str, Room] = {}
        self._by_number: dict[int, Room] = {}
        self._policies: dict[str, Policy] = {}
        self._drawn = 0

    def __len__(self) -> int:
        return len(self._by_name)

    def participants(self) -> int:
        return sum(map(len, self._by_name.values()))

    def sums(self) -> Sums:
        sizes, tracks = [0] * (len(SIZES) + 1), Counter[str]()
        for room in self._by_name.values():
            sizes[bisect_left(SIZES, len(room))] += 1
            tracks.update(room.sources())
        rooms = self._by_name.values()
        return Sums(
            rooms=len(rooms),
            participants=self.participants(),
            audience=sum(room.seats.audience for room in rooms),
            largest=max(map(len, rooms), default=0),
            sizes=tuple(sizes),
            tracks=dict(tracks),
        )

    def by_number(self, number: int) -> Room | None:
        return self._by_number.get(number)

    def by_name(self, name: str) -> Room:
        """Raises NotFound for a room with nobody in it."""
        try:
            return self._by_name[name]
        except KeyError:
            raise NotFound("nobody is in a room of that name") from None

    def all(self) -> Iterable[Room]:
        return tuple(self._by_name.values())

    def policy_of(self, name: str) -> Policy:
        """The room's policy, or what it would be if it were opened now."""
        room = self._by_name.get(name)
        return room.seats.policy if room is not None else self._policies.get(name, self._policy)

    def set_policy(self, name: str, policy: Policy) -> None:
        """For the room as it is and as it will be opened. Raises Conflict for a version lower than the one in force."""
        room = self._by_name.get(name) or Room(0, name, self.policy_of(name))
        room.apply(SetPolicy(policy))
        self._policies.pop(name, None)
        self._policies[name] = policy
        if len(self._policies) > POLICIES_MAX:
            del self._policies[next(iter(self._policies))]

    def enter(self, name: str, command: Enter) -> tuple[Room, Changes]:
        """Take a seat in the room of that name, which is opened if need be. Raises RoomFull or Overloaded."""
        if self.participants() >= self._participants_max:
            raise Overloaded("this server is full", retry_after_s=30.0)
        room = self._by_name.get(name)
        if room is None:
            if len(self._by_name) >= self._rooms_max:
                raise Overloaded("no further room can be opened on this server", retry_after_s=30.0)
            self._drawn += 1
            room = Room(self._drawn, name, self.policy_of(name))
        changes = room.apply(command)
        self._by_name[name] = self._by_number[room.number] = room
        return room, changes

    def sweep(self, room: Room) -> None:
        """Forget the room if nobody is in it."""
        if len(room) == 0 and self._by_number.pop(room.number, None) is not None:
            del self._by_name[room.name]
