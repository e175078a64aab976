"""The ids by which people join: read as people type them, drawn without a pattern, never given twice."""

from __future__ import annotations

import datetime
import itertools
import random
from collections import Counter

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st

from control_plane.errors import Invalid, Unavailable
from control_plane.rooms import identifiers
from control_plane.rooms.identifiers import HIGHEST, LOWEST, drawn, give, parse, spoken
from control_plane.rooms.tables import event_numbers, room_events
from control_plane.storage.store import Store
from tests.control_plane.entries import entry
from tests.control_plane.rooms.hall import Hall
from tests.control_plane.rooms.hall import drawn as draws

NOW = datetime.datetime(2026, 11, 25, tzinfo=datetime.UTC)


def refused(typed: str) -> str:
    with pytest.raises(Invalid) as caught:
        parse(typed)
    assert caught.value.field == "id"
    return caught.value.code


def test_eight_or_ten_digits_are_none_and_the_answer_says_so() -> None:
    with entry("PROD-17.1"):
        assert [refused(typed) for typed in ("12345678", "1234567890", "1234567890123456789012345678901234567890")] == [
            "event_id_length"
        ] * 3
        with pytest.raises(Invalid, match="exactly 9 digits"):
            parse("12345678")
        assert parse("123456789") == "123456789"


def test_spaces_and_hyphens_of_every_kind_are_left_out() -> None:
    with entry("PROD-17.2"):
        typed = ("123 456 789", " 123-456-789\n", "123\u00a0456\u2011789", "1 2-3 4 5 6 7 8 9", "123\u2013456\u202f789")
        assert {parse(one) for one in typed} == {"123456789"}
        assert parse(spoken("987654321")) == "987654321"


def test_letters_other_signs_and_digits_of_other_scripts_are_refused() -> None:
    with entry("PROD-17.3"):
        for typed in (
            "12345678a",
            "l23456789",
            "123.456.789",
            "",
            "   ",
            "\u0661\u0662\u0663456789",
            "123%56789",
            "１２３456789",
        ):
            assert refused(typed) == "event_id_malformed", typed
        with pytest.raises(Invalid, match="digits only, such as 123 456 789"):
            parse("123 456 78a")


def test_a_leading_zero_is_refused_and_none_is_ever_given() -> None:
    with entry("PROD-17.4"):
        assert refused("012345678") == "event_id_zero"
        draw = draws(1)
        numbers = [drawn(draw) for _ in range(20_000)]
        assert all(len(number) == 9 and number[0] != "0" for number in numbers)


@given(st.integers(LOWEST, HIGHEST))
def test_what_is_spoken_is_read_again(number: int) -> None:
    assert parse(spoken(str(number))) == str(number)


def test_ids_are_spread_evenly_and_one_says_nothing_of_the_next() -> None:
    draw = draws(2)
    numbers = [int(drawn(draw)) for _ in range(18_000)]
    first = Counter(number // 100_000_000 for number in numbers)
    assert set(first) == set(range(1, 10)) and all(1_800 < count < 2_200 for count in first.values())
    last = Counter(number % 10 for number in numbers)
    assert all(1_600 < count < 2_000 for count in last.values())
    steps = [after - before for before, after in itertools.pairwise(numbers)]
    assert len(set(steps)) > len(steps) - 10  # no stride
    assert 0.45 < sum(step > 0 for step in steps) / len(steps) < 0.55


def test_an_id_that_is_taken_is_drawn_again_and_a_broken_draw_is_noticed(store: Store) -> None:
    chance = random.Random(3)
    twice = ["a" * 20, "a" * 20, *("".join(chance.choices("bcdef", k=20)) for _ in range(5))]

    def first_and_second(connection: sa.Connection) -> tuple[str, str]:
        said = iter(twice)
        return tuple(give(connection, NOW, lambda count: next(said), f"evt_{n}") for n in range(2))  # type: ignore[return-value]

    one, two = store.write(first_and_second)
    assert one != two and one == drawn(lambda count: "a" * 20)
    with pytest.raises(Unavailable):
        store.write(lambda connection: give(connection, NOW, lambda count: "a" * 20, "evt_3"))


def test_the_id_of_an_event_that_is_gone_is_not_given_again(here: Hall) -> None:
    event = here.plan_event()
    here.do(event, "cancel")
    kept = here.rows(event_numbers)
    assert [row.number for row in kept] == [event["number"]]
    said = iter(["a" * 20])

    def again(connection: sa.Connection) -> str:
        connection.execute(event_numbers.insert().values(number=drawn(lambda n: "z" * 20), event="evt_x", given_at=NOW))
        return give(connection, NOW, lambda count: next(said, "b" * 20), "evt_y")

    assert here.store.write(again) not in {event["number"], drawn(lambda n: "z" * 20)}
    with pytest.raises(sa.exc.IntegrityError):
        here.store.write(
            lambda connection: connection.execute(
                room_events.insert().values(
                    id="evt_z", account="acc_a", number=event["number"], kind="meeting", title="t", access="open",
                    state="planned", suspended_for="", created_at=NOW, changed_at=NOW,
                )
            )
        )  # fmt: skip
    assert identifiers.LOWEST == 100_000_000
