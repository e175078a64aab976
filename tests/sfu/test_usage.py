"""Usage: the records of one participant follow each other without gap or overlap, whenever they are cut."""

from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from sfu.contract import SOURCES, Policy
from sfu.room import Room
from sfu.room_values import Command, End, Enter, Exit, Moderate, Permit
from sfu.usage import SETTLED_MS, Books, Record, RoomEnded, RoomOpened, Used


class Kept:
    """A room whose every change goes into the books."""

    def __init__(self, number: int = 1) -> None:
        self.room = Room(number, "100000001", Policy(seats=100))
        self.books = Books()
        self.now_ms = 1_000_000

    def do(self, command: Command, after_ms: int = 0) -> None:
        self.now_ms += after_ms
        self.books.changed(self.room, self.room.apply(command), self.now_ms)

    def cut(self, after_ms: int = 0, *, last: bool = False) -> list[Used]:
        self.now_ms += after_ms
        return used(self.books.cut(self.now_ms, last=last))


def used(records: list[Record]) -> list[Used]:
    return [record for record in records if isinstance(record, Used)]


def enter(name: str, publish: tuple[str, ...] = SOURCES) -> Enter:
    return Enter(name, name.upper(), "participant", publish, identity=f"per_{name}")


def test_who_is_in_is_reported_up_to_now_and_who_left_up_to_his_leave() -> None:
    kept = Kept()
    kept.do(enter("a"))
    kept.do(enter("b", ()), after_ms=500)
    (a, b) = kept.cut(after_ms=1500)
    assert (a.to_ms - a.from_ms, b.to_ms - b.from_ms) == (2000, 1500)
    assert (a.sender, b.sender, a.identity, a.room) == (True, False, "per_a", "100000001")
    kept.do(Exit("a"), after_ms=300)
    (b,) = kept.cut(after_ms=100)
    assert b.participant == "b"  # the last bytes of the other may still be on their way
    (a, b) = kept.cut(after_ms=SETTLED_MS)
    assert (a.participant, a.to_ms - a.from_ms, b.to_ms - b.from_ms) == ("a", 300, SETTLED_MS)
    assert [one.participant for one in kept.cut(after_ms=9000)] == ["b"]


def test_bytes_are_reported_once_over_several_connections_and_after_the_leave() -> None:
    kept = Kept()
    kept.do(enter("a"))
    kept.books.carries(7, "a")
    kept.books.metered([(7, 100, 1000), (99, 5, 5)])
    (first,) = kept.cut(after_ms=1000)
    assert (first.received_bytes, first.sent_bytes) == (100, 1000)
    kept.books.carries(8, "a")
    kept.books.metered([(7, 150, 1000), (8, 30, 3)])
    (second,) = kept.cut(after_ms=1000)
    assert (second.received_bytes, second.sent_bytes) == (80, 3)
    kept.do(Exit("a"), after_ms=10)
    kept.books.metered([(8, 31, 4)])  # the worker's last word
    (third,) = kept.cut(after_ms=SETTLED_MS)
    assert (third.received_bytes, third.sent_bytes) == (1, 1)
    kept.books.metered([(8, 40, 40)])
    assert kept.cut(after_ms=1000) == [] and len(kept.books) == 0


def test_a_room_is_opened_by_the_first_and_ended_by_the_last_or_by_command() -> None:
    kept = Kept()
    kept.do(enter("a"))
    kept.do(enter("b"))
    kept.do(Moderate(None, "a", "remove", 1.0))
    assert [type(event) for event in kept.books.events()] == [RoomOpened]
    kept.do(End(), after_ms=5)
    assert kept.books.events() == [RoomEnded("100000001", 1, kept.now_ms)]
    assert {one.participant for one in kept.cut(after_ms=SETTLED_MS)} == {"a", "b"}
    assert kept.books.events() == []


def test_who_came_and_went_in_one_millisecond_was_there_once() -> None:
    kept = Kept()
    kept.do(enter("a"))
    kept.do(Exit("a"))
    assert kept.cut() == []
    (one,) = kept.cut(after_ms=SETTLED_MS)
    assert (one.participant, one.to_ms - one.from_ms, one.sent_bytes) == ("a", 1, 0)
    assert kept.cut(last=True) == [] and len(kept.books) == 0


def test_who_is_let_speak_is_a_sender_from_the_next_report_on() -> None:
    kept = Kept()
    kept.do(enter("a", ()))
    assert [one.sender for one in kept.cut(after_ms=10)] == [False]
    kept.do(Permit(enter("a", ("microphone",))))
    assert [one.sender for one in kept.cut(after_ms=10)] == [True]


def test_a_clock_that_is_set_back_makes_no_record_backwards_and_loses_no_bytes() -> None:
    kept = Kept()
    kept.do(enter("a"))
    kept.books.carries(1, "a")
    kept.cut(after_ms=1000)
    kept.books.metered([(1, 10, 10)])
    assert kept.cut(after_ms=-500) == []
    kept.do(Exit("a"))
    (one,) = kept.cut(last=True)
    assert (one.to_ms - one.from_ms, one.received_bytes) == (1, 10)


STEPS = st.lists(
    st.tuples(st.sampled_from(("enter", "exit", "cut", "meter", "wait")), st.integers(0, 4), st.integers(0, 5000)),
    max_size=60,
)


@given(STEPS)
def test_records_of_one_participant_partition_his_stay_and_no_key_comes_twice(
    steps: list[tuple[str, int, int]],
) -> None:
    kept, names = Kept(), itertools.count()
    present: dict[int, tuple[str, int]] = {}
    stays: dict[str, int] = {}
    sent: dict[str, int] = {}
    records: list[Used] = []
    for what, seat, amount in steps:
        if what == "enter" and seat not in present:
            name = f"p{next(names)}"
            kept.do(enter(name))
            present[seat] = (name, kept.now_ms)
            sent[name] = 0
            kept.books.carries(int(name[1:]), name)
        elif what == "exit" and seat in present:
            name, since = present.pop(seat)
            kept.do(Exit(name))
            stays[name] = kept.now_ms - since
        elif what == "meter" and seat in present:
            name, _ = present[seat]
            sent[name] += amount
            kept.books.metered([(int(name[1:]), 0, sent[name])])
        elif what == "cut":
            records += kept.cut()
        else:
            kept.now_ms += amount
    kept.now_ms += 1
    for name, since in present.values():
        stays[name] = kept.now_ms - since
    records += kept.cut(last=True)
    keys = [(one.room, one.participant, one.from_ms, one.to_ms) for one in records]
    assert len(keys) == len(set(keys))
    for name, stay_ms in stays.items():
        own = sorted((one for one in records if one.participant == name), key=lambda one: one.from_ms)
        assert all(before.to_ms == after.from_ms for before, after in itertools.pairwise(own))
        # Bytes, or a whole stay, without a millisecond of time are given one.
        assert own and sum(one.to_ms - one.from_ms for one in own) - stay_ms in (
            (0, 1) if sent[name] or not stay_ms else (0,)
        )
        assert sum(one.sent_bytes for one in own) == sent[name]
