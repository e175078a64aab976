"""All rooms of a node and its limits."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sfu.contract import SOURCES, Limits, Policy, PutOut
from sfu.errors import Conflict, Forbidden, NotFound, Overloaded, RoomFull
from sfu.room_values import Enter, Exit
from sfu.rooms import POLICIES_MAX, POLICY_KEPT_S, Rooms


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
    rooms.set_policy("x", Policy(seats=1, version=3), 0.0)
    room, _ = rooms.enter("x", enter("a"))
    with pytest.raises(RoomFull):
        rooms.enter("x", enter("b"))
    rooms.set_policy("x", Policy(seats=2, version=4), 0.0)
    rooms.enter("x", enter("b"))
    assert rooms.policy_of("x") == room.seats.policy
    for name in ("a", "b"):
        room.apply(Exit(name))
    rooms.sweep(room)
    assert rooms.policy_of("x").version == 4
    with pytest.raises(Conflict):
        rooms.set_policy("x", Policy(version=3), 0.0)
    assert rooms.policy_of("y").seats == 40


def test_a_room_with_nobody_in_it_is_not_found() -> None:
    rooms = rooms_of()
    with pytest.raises(NotFound):
        rooms.by_name("x")
    room, _ = rooms.enter("x", enter("a"))
    assert rooms.by_name("x") is room


def joined(rooms: Rooms, *names: str) -> None:
    for name in names:
        rooms.enter("x", replace(enter(name), identity=f"per_{name}", issued_at=100.0))


def test_a_closed_policy_ends_the_open_room_and_keeps_it_shut_until_a_higher_version_opens_it() -> None:
    rooms = rooms_of()
    joined(rooms, "a", "b")
    done = rooms.set_policy("x", Policy(closed=True, version=2), 0.0)
    assert done is not None
    room, changes = done
    assert changes.removed == {"a": "room_ended", "b": "room_ended"} and sorted(changes.left) == ["a", "b"]
    rooms.sweep(room)
    with pytest.raises(Forbidden, match="closed"):
        rooms.enter("x", enter("c"))
    assert len(rooms) == 0
    with pytest.raises(Conflict):
        rooms.set_policy("x", Policy(version=1), 0.0)
    assert rooms.set_policy("x", Policy(version=3), 0.0) is None
    rooms.enter("x", enter("c"))


def test_a_room_that_never_ran_can_be_closed_and_makes_no_event() -> None:
    rooms = rooms_of()
    assert rooms.set_policy("x", Policy(closed=True, version=2), 0.0) is None
    with pytest.raises(Forbidden):
        rooms.enter("x", enter("a"))


def test_a_policy_puts_out_whom_it_names_until_he_has_a_newer_grant() -> None:
    rooms = rooms_of()
    joined(rooms, "a", "b")
    out = (PutOut(identity="per_a", at=150.0),)
    done = rooms.set_policy("x", Policy(put_out=out, version=2), 0.0)
    assert done is not None and done[1].removed == {"a": "removed"} and len(done[0]) == 1
    with pytest.raises(Forbidden, match="removed"):
        joined(rooms, "a")
    rooms.enter("x", replace(enter("a"), identity="per_a", issued_at=151.0))
    # The same list again, in a later version, does not put out who came back rightly.
    again = rooms.set_policy("x", Policy(put_out=out, version=3), 0.0)
    assert again is not None and again[1].removed == {}


def test_the_same_version_with_other_words_is_a_conflict_and_with_the_same_words_it_is_acknowledged() -> None:
    rooms = rooms_of()
    rooms.set_policy("x", Policy(seats=5, senders=5, version=3), 0.0)
    rooms.set_policy("x", Policy(seats=5, senders=5, version=3), 0.0)
    with pytest.raises(Conflict, match="version 3"):
        rooms.set_policy("x", Policy(seats=6, senders=5, version=3), 0.0)
    rooms.set_policy("y", Policy(seats=5, senders=5), 0.0)
    rooms.set_policy("y", Policy(seats=6, senders=5), 0.0)  # of those who do not count
    assert (rooms.policy_of("x").seats, rooms.policy_of("y").seats) == (5, 6)


def test_limits_of_a_grant_are_learned_when_newer_and_the_whole_policy_of_that_version_still_counts() -> None:
    rooms = rooms_of(seats=1)
    rooms.learn_limits("x", Limits(seats=2, senders=2, version=5), 0.0)
    joined(rooms, "a", "b")
    rooms.learn_limits("x", Limits(seats=9, senders=9, version=5), 0.0)
    rooms.learn_limits("x", Limits(seats=9, senders=9, version=4), 0.0)
    rooms.learn_limits("x", None, 0.0)
    with pytest.raises(RoomFull):
        joined(rooms, "c")
    whole = Policy(seats=3, senders=3, put_out=(PutOut(identity="per_b", at=100.0),), version=5)
    done = rooms.set_policy("x", whole, 0.0)
    assert done is not None and done[1].removed == {"b": "removed"}
    with pytest.raises(Conflict):
        rooms.set_policy("x", Policy(seats=4, senders=4, version=5), 0.0)


def test_a_grant_older_than_the_closing_does_not_open_the_room_and_a_newer_one_does() -> None:
    rooms = rooms_of()
    rooms.set_policy("x", Policy(closed=True, version=5), 0.0)
    rooms.learn_limits("x", Limits(seats=40, senders=40, version=4), 0.0)
    with pytest.raises(Forbidden):
        joined(rooms, "a")
    rooms.learn_limits("x", Limits(seats=40, senders=40, version=6), 0.0)
    joined(rooms, "a")


def test_a_policy_of_a_room_that_nobody_opened_is_forgotten_in_the_end_and_one_of_an_open_room_is_not() -> None:
    rooms = rooms_of()
    rooms.set_policy("x", Policy(seats=7, senders=7, version=1), 0.0)
    rooms.set_policy("y", Policy(seats=7, senders=7, version=1), 10.0)
    joined(rooms, "a")
    rooms.forget_policies(POLICY_KEPT_S - 1)
    assert rooms.policy_of("y").seats == 7
    rooms.forget_policies(POLICY_KEPT_S + 10)
    assert (rooms.policy_of("x").seats, rooms.policy_of("y").seats) == (7, 40)
    room = rooms.by_name("x")
    room.apply(Exit("a"))
    rooms.sweep(room)
    rooms.forget_policies(POLICY_KEPT_S + 20)
    assert rooms.policy_of("x").seats == 7
    rooms.forget_policies(2 * POLICY_KEPT_S + 20)
    assert rooms.policy_of("x").seats == 40


def test_of_too_many_policies_the_one_that_was_set_first_goes() -> None:
    rooms = rooms_of()
    for number in range(POLICIES_MAX + 1):
        rooms.set_policy(f"r{number}", Policy(seats=7, senders=7), 0.0)
    assert (rooms.policy_of("r0").seats, rooms.policy_of("r1").seats) == (40, 7)
