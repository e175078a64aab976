"""The two laws of what runs: one big jump of the clock comes to the same as many small steps, byte for byte, and a job
that is run twice changes nothing. And a run that comes late comes to the same rows as one in time."""

from __future__ import annotations

import datetime
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from control_plane import clockwork
from control_plane.clock import TestClock
from control_plane.running import jobs, tables, webhooks
from control_plane.running.outbound import Answer
from control_plane.running.outbox import Deliverer
from control_plane.running.work import Work
from control_plane.storage.store import Store
from tests.control_plane.conftest import POSTGRESQL, Stores
from tests.control_plane.running import made_up
from tests.control_plane.running.made_up import DAY, HANDLERS, HOUR, NOON, Outside, put
from tests.examples import examples

ACCOUNTS = st.sampled_from(["acc_a", "acc_b", None])
HOURS = st.integers(0, 24 * 50)
# (kind, account, due in hours from the start, payload)
PUTS = st.one_of(
    st.tuples(st.just("rent"), ACCOUNTS, HOURS, st.fixed_dictionaries({"left": st.integers(0, 3)})),
    st.tuples(st.just("note"), ACCOUNTS, HOURS, st.fixed_dictionaries({"amount": st.integers(1, 9)})),
    st.tuples(
        st.just("spread"),
        ACCOUNTS,
        HOURS,
        st.fixed_dictionaries({"hours": st.lists(st.integers(-30, 300), max_size=4)}),
    ),
    st.tuples(st.just("flaky"), ACCOUNTS, HOURS, st.fixed_dictionaries({"fails": st.sampled_from([0, 1, 3, 99])})),
    st.tuples(st.just("revoke"), ACCOUNTS, HOURS, st.fixed_dictionaries({"target": st.sampled_from(["j.0", "j.1"])})),
)
WORLD = st.tuples(st.lists(PUTS, min_size=1, max_size=7), st.integers(0, 6))
DAYS = 150
KEY = b"k" * 32


class World:
    """One database with its clock and what its outside got, letters and calls of a webhook in their order."""

    def __init__(self, store: Store, puts: list[tuple[str, str | None, int, dict[str, Any]]], fails: int) -> None:
        self.store, self.clock, self.outside = store, TestClock(NOON), Outside(fails=fails)
        self.calls: list[tuple[str, str, bytes]] = []
        self.fails = fails
        carried = Deliverer(self.outside)
        hooks = webhooks.Hooks(KEY, self._post)
        self.work = Work(store, HANDLERS, {"mail": carried, "media": carried}, hooks)
        store.write(
            lambda connection: webhooks.add(
                connection, NOON, account="acc_a", url="https://example.org/", random_token=lambda n: "w" * n
            )
        )
        for number, (kind, account, hours, payload) in enumerate(puts):
            put(store, kind, f"j.{number}", NOON + hours * HOUR, account, **payload)

    def _post(self, url: str, headers: dict[str, str], body: bytes) -> Answer:
        self.calls.append((headers["webhook-timestamp"], headers["webhook-signature"], body))
        if self.fails:
            self.fails -= 1
            return Answer(500, "answered with status 500")
        return Answer(200, "")

    def after(self, *steps: datetime.datetime) -> dict[str, Any]:
        """What there is when the clock was set to each of these, and on to the end."""
        for instant in [*steps, NOON + DAYS * DAY]:
            clockwork.advance_to(self.clock, self.work, instant)
        return made_up.rows(self.store) | {"letters": self.outside.got, "calls": self.calls}


@contextmanager
def fresh(stores: Stores) -> Iterator[Store]:
    """A database for one example."""
    with stores() as store:
        yield made_up.prepared(store)


LAW = settings(
    max_examples=8 if POSTGRESQL else examples(20),
    deadline=None,
    derandomize=True,
    # A world takes a moment; making it smaller would take minutes.
    phases=(Phase.explicit, Phase.generate),
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@LAW
@given(world=WORLD, cuts=st.lists(st.integers(0, DAYS * 86_400), max_size=6))
def test_one_jump_comes_to_the_same_as_many_steps(
    stores: Stores, world: tuple[list[Any], int], cuts: list[int]
) -> None:
    with fresh(stores) as store:
        jumped = World(store, *world).after()
    with fresh(stores) as store:
        walked = World(store, *world).after(*(NOON + datetime.timedelta(seconds=cut) for cut in sorted(cuts)))
    assert jumped == walked


def test_two_hundred_days_at_once_are_two_hundred_steps_of_a_day(stores: Stores) -> None:
    puts: list[Any] = [
        ("rent", "acc_a", 5, {"left": 4}),
        ("rent", "acc_b", 30, {"left": 4}),
        ("flaky", "acc_b", 31, {"fails": 2}),
        ("spread", None, 48, {"hours": [0, -5, 100, 24]}),
    ]
    with fresh(stores) as store:
        jumped = World(store, puts, 3).after()
    with fresh(stores) as store:
        walked = World(store, puts, 3).after(*(NOON + day * DAY for day in range(DAYS)))
    assert jumped == walked
    assert len(jumped["letters"]) == 11 and len(jumped["calls"]) == 8


@LAW
@given(world=WORLD)
def test_a_job_that_is_run_twice_changes_nothing(stores: Stores, world: tuple[list[Any], int]) -> None:
    with fresh(stores) as store:
        made = World(store, *world)
        once = made.after()

        def again(connection: sa.Connection) -> None:
            # As it was when it ran: its attempts were counted, its rows and mails were there.
            for row in connection.execute(sa.select(tables.job).where(tables.job.c.state == "done")).all():
                job = jobs.Job(row.id, row.key, row.kind, row.account, row.due_at, row.payload, row.attempts)
                HANDLERS[job.kind](connection, job.due_at, job)

        store.write(again)
        assert made.after() == once


@LAW
@given(puts=st.lists(PUTS, min_size=1, max_size=7))
def test_a_runner_that_comes_late_posts_the_same(stores: Stores, puts: list[Any]) -> None:
    """Everything is due at once, half a year late: the same rows at the same business times in the same order."""
    puts = [each for each in puts if each[0] != "flaky"]
    with fresh(stores) as store:
        in_time = World(store, puts, 0).after()
    with fresh(stores) as store:
        late = World(store, puts, 0)
        late.clock.advance_to(NOON + DAYS * DAY)
        assert made_up_only(late.after()) == made_up_only(in_time)


def made_up_only(found: dict[str, Any]) -> dict[str, Any]:
    """The rows that jobs posted. (Which of two mails of different accounts leaves first may differ.)"""
    return {"posted": found["made_up_posted"], "letters": sorted(found["letters"])}


def test_the_clock_stands_where_it_was_told_and_never_goes_back(store: Store) -> None:
    clock, work = TestClock(NOON), Work(store)
    assert clockwork.advance_to(clock, work, NOON + DAY) == 0
    assert clock.now() == NOON + DAY
    with pytest.raises(ValueError, match="does not go back"):
        clockwork.advance_to(clock, work, NOON)
    with pytest.raises(ValueError, match="time zone"):
        clockwork.advance_to(clock, work, datetime.datetime(2027, 1, 1))


def test_a_job_for_ever_in_the_same_instant_is_found(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    def again(connection: sa.Connection, at: datetime.datetime, job: jobs.Job) -> None:
        jobs.put(connection, kind="again", key=f"{job.id}", due_at=at, account=None)

    monkeypatch.setattr(clockwork, "STEPS_MAX", 20)
    put(store, "again", "first", NOON)
    with pytest.raises(RuntimeError, match="still something to do"):
        clockwork.advance_to(TestClock(NOON), Work(store, {"again": again}), NOON + DAY)
