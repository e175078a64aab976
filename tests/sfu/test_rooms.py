"""All rooms of a node and its limits."""

from __future__ import annotations

import pytest

from sfu.contract import SOURCES, Policy
from sfu.errors import Conflict, NotFound, Overloaded, RoomFull
from sfu.room_values import Enter, Exit
from sfu.rooms import Rooms


def enter(name: str) -> Enter:
    return Enter(name, name.upper(), "participant", SOURCES)


def rooms_of(seats: int = 40, rooms_max: int = 9, participants_max: int = 99) -> Rooms:
    return Rooms(policy=Policy(seats=seats), rooms_max=rooms_max, participants_max=participants_max)


def test_rooms_end_with_the_last_and_numbers_are_never_used_again() -> None:
    rooms = rooms_of(seats=1, rooms_max=1, participants_max=9)
    first, _ = rooms.enter("x", enter("a"))
    with pytest.raises(Overloaded):
        rooms.enter("y", enter("b"))
    with pytest.raises(RoomFull):
        rooms.enter("x", enter("b"))
    rooms.sweep(first)
    assert len(rooms) == 1
    first.apply(Exit("a"))
    rooms.sweep(first)
    second, _ = rooms.enter("y", enter("b"))
    assert second.number > first.number
    assert rooms.by_number(first.number) is None


def test_a_full_server_opens_no_seat() -> None:
    rooms = rooms_of(participants_max=1)
    rooms.enter("x", enter("a"))
    with pytest.raises(Overloaded):
        rooms.enter("y", enter("b"))


def test_a_policy_holds_for_the_open_room_and_for_the_next_of_that_name() -> None:
    rooms = rooms_of()
    rooms.set_policy("x", Policy(seats=1, version=3))
    room, _ = rooms.enter("x", enter("a"))
    with pytest.raises(RoomFull):
        rooms.enter("x", enter("b"))
    rooms.set_policy("x", Policy(seats=2, version=4))
    rooms.enter("x", enter("b"))
    assert rooms.policy_of("x") == room.seats.policy
    for name in ("a", "b"):
        room.apply(Exit(name))
    rooms.sweep(room)
    assert rooms.policy_of("x").version == 4
    with pytest.raises(Conflict):
        rooms.set_policy("x", Policy(version=3))
    assert rooms.policy_of("y").seats == 40


def test_a_room_with_nobody_in_it_is_not_found() -> None:
    rooms = rooms_of()
    with pytest.raises(NotFound):
        rooms.by_name("x")
    room, _ = rooms.enter("x", enter("a"))
    assert rooms.by_name("x") is room
