"""A scrape's look at the database takes a bounded time, whatever the database does."""

from __future__ import annotations

import datetime
import threading
from collections.abc import Callable

import pytest
import sqlalchemy as sa

from control_plane.clock import TestClock
from control_plane.running import backlog
from control_plane.running.backlog import Backlog
from control_plane.storage.store import Store
from control_plane.watch import reading
from control_plane.watch.reading import Reading
from tests.control_plane.people import START
from tests.servers import eventually


def names(made: Reading) -> set[str]:
    return {family.name.removeprefix("stentor_control_") for family in made.collect()}


async def test_a_database_that_hangs_costs_its_own_figures_and_one_thread(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    let_go, looks = threading.Event(), []

    whole = backlog.read

    def hang(connection: sa.Connection, now: datetime.datetime) -> Backlog:
        looks.append(now)
        assert let_go.wait(60)
        return whole(connection, now)

    made = Reading(store, TestClock(START), within_s=0.05)
    await eventually(made.look, within_s=60, what="the machine had time to look within so little")
    assert "jobs" in names(made)
    with monkeypatch.context() as patch:
        patch.setattr(backlog, "read", hang)
        for _ in range(5):
            assert not await made.look()
        assert names(made) == {"database_up", "database_look_seconds"}
        assert len(looks) == 1, "no second question while the first one hangs"
        let_go.set()
    await eventually(made.look, within_s=60, what="the one that hung has ended, and the next is answered")
    assert "jobs" in names(made)
    made.close()


async def test_however_many_ask_whether_it_is_ready_the_database_is_asked_once(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []
    whole = Store.read

    def counted(self: Store, question: Callable[[sa.Connection], object]) -> object:
        asked.append(1)
        return whole(self, question)

    monkeypatch.setattr(Store, "read", counted)
    monkeypatch.setattr(reading, "READY_FOR_S", 3600.0)
    made = Reading(store, TestClock(START))
    assert all([await made.ready() for _ in range(50)])
    assert len(asked) == 1
    made.close()
