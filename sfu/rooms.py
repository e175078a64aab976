"""All rooms of a node, by name and by number, within its limits. Pure."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace

import msgspec

from sfu.contract import Limits, Policy
from sfu.errors import Conflict, NotFound, Overloaded
from sfu.room import Room
from sfu.room_values import Changes, Enter, SetPolicy

# Policies kept. With more, the one that was set first falls back to the configured one.
POLICIES_MAX = 10_000
# A policy of a room that nobody opened is forgotten after so long. Shorter: who sets one days before the event sees it
# gone; the grants of a control plane bring the limits again, and a closed room has no grant that lives an hour.
POLICY_KEPT_S = 30 * 86_400.0


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


@dataclass(frozen=True, slots=True)
class _Kept:
    """A policy that was set at `at`; not `whole` while only its limits are known, from a grant."""

    policy: Policy
    whole: bool
    at: float


class Rooms:
    """A room lives while somebody is in; its policy outlives it."""

    def __init__(self, *, policy: Policy, rooms_max: int, participants_max: int) -> None:
        self._policy = policy
        self._rooms_max = rooms_max
        self._participants_max = participants_max
        self._by_name: dict[str, Room] = {}
        self._by_number: dict[int, Room] = {}
        self._policies: dict[str, _Kept] = {}  # of open rooms too; the one that was set first stands first
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
        if room is not None:
            return room.seats.policy
        kept = self._policies.get(name)
        return self._policy if kept is None else kept.policy

    def set_policy(self, name: str, policy: Policy, now: float) -> tuple[Room, Changes] | None:
        """For the room as it is and as it will be opened; what it did to the open room, None where there is none.

        `now` is unix time. Raises Conflict for a version lower than the one in force, and for another policy of the
        same version: only who counts versions can tell which is newer. Version 0 is of those who do not count.
        """
        in_force, kept = self.policy_of(name), self._policies.get(name)
        whole = kept is None or kept.whole
        if policy.version < in_force.version or (
            policy.version == in_force.version != 0 and whole and policy != in_force
        ):
            raise Conflict(f"version {in_force.version} of this room's policy is in force")
        return self._put_policy(name, _Kept(policy, True, now))

    def learn_limits(self, name: str, limits: Limits | None, now: float) -> None:
        """What a grant says of its room, if that is newer than what is known. It opens a room that was closed before.

        Lower limits put nobody out, so nobody needs to be told.
        """
        in_force = self.policy_of(name)
        if limits is None or limits.version <= in_force.version:
            return
        policy = msgspec.structs.replace(
            in_force, seats=limits.seats, senders=limits.senders, version=limits.version, closed=False
        )
        self._put_policy(name, _Kept(policy, False, now))

    def _put_policy(self, name: str, kept: _Kept) -> tuple[Room, Changes] | None:
        self._policies.pop(name, None)
        self._policies[name] = kept
        if len(self._policies) > POLICIES_MAX:
            del self._policies[next(iter(self._policies))]
        room = self._by_name.get(name)
        return None if room is None else (room, room.apply(SetPolicy(kept.policy)))

    def forget_policies(self, now: float) -> None:
        """Those of rooms that are not open and that were set too long ago. Call it now and then."""
        while self._policies:
            name, oldest = next(iter(self._policies.items()))
            if now - oldest.at < POLICY_KEPT_S:
                return
            del self._policies[name]
            if name in self._by_name:
                self._policies[name] = replace(oldest, at=now)

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
