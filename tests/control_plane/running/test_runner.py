"""The runner: two on one database do nothing twice, it wakes when something is committed, it ends cleanly."""

from __future__ import annotations

import datetime
import threading
import time
from collections.abc import Callable

import pytest
import sqlalchemy as sa

from control_plane.clock import SystemClock, TestClock
from control_plane.running import audit, events, jobs, outbox, runner, tables, webhooks
from control_plane.running.outbound import Poster
from control_plane.running.outbox import Deliverer
from control_plane.running.runner import Bell, Runner
from control_plane.running.work import Work
from control_plane.storage.store import Store
from tests.control_plane.conftest import POSTGRESQL
from tests.control_plane.running import made_up
from tests.control_plane.running.made_up import DAY, HANDLERS, NOON, SECOND, amounts, put

WITHIN_S = 60.0


def until(holds: Callable[[], bool], within_s: float = WITHIN_S) -> None:
    """Wait for a condition of the database; looks often, judges by the condition alone."""
    look, deadline = threading.Event(), time.monotonic() + within_s
    while not holds():
        assert time.monotonic() < deadline, "it did not come about"
        look.wait(0.02)


def waiting(store: Store, table: sa.Table = tables.job) -> int:
    wanted = sa.select(sa.func.count()).select_from(table).where(table.c.state == "waiting")
    return int(store.read(lambda connection: connection.execute(wanted).scalar_one()))


def test_four_runners_on_one_database_do_each_job_once_and_each_accounts_jobs_in_order(made: Store) -> None:
    """Its rows have no key: a job that is done twice is seen."""
    ran: list[str] = []

    def counts(connection: sa.Connection, at: datetime.datetime, job: jobs.Job) -> None:
        place = connection.execute(sa.select(sa.func.count()).select_from(made_up.posted)).scalar_one()
        connection.execute(made_up.posted.insert().values(key=f"{job.key}/{place}", amount=job.id, place=place))
        ran.append(job.key)

    for number in range(40):
        put(made, "counts", f"job-{number:02}", NOON + number * SECOND, f"acc_{number % 7}")
    runners = [Runner(Work(made, {"counts": counts}), SystemClock(), Bell()) for _ in range(4)]
    for one in runners:
        one.start()
    until(lambda: not waiting(made))
    assert all(one.stop() for one in runners)
    states = made.read(lambda connection: connection.execute(sa.select(tables.job.c.state)).scalars().all())
    assert states == ["done"] * 40
    rows = made.read(
        lambda c: c.execute(sa.select(made_up.posted.c.key).order_by(made_up.posted.c.place)).scalars().all()
    )
    keys = [key.split("/")[0] for key in rows]
    assert sorted(keys) == [f"job-{number:02}" for number in range(40)]
    for account in range(7):
        mine = [key for key in keys if int(key[4:]) % 7 == account]
        assert mine == sorted(mine)


def test_a_commit_wakes_it_at_once(made: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """It would sleep for an hour; the bell is what wakes it."""
    monkeypatch.setattr(runner, "LOOK_EVERY_S", 3600.0)
    bell, outside = Bell(), made_up.Outside()
    runner.ring_after_commits(made, bell)
    work = Work(made, HANDLERS, {"mail": Deliverer(outside), "media": Deliverer(outside)})
    running = Runner(work, TestClock(NOON), bell)
    running.start()
    put(made, "rent", "r.1", NOON, left=0)
    until(lambda: outside.keys == ["mail:r.1"])
    assert running.stop()


def test_a_rolled_back_or_read_only_transaction_rings_nothing(made: Store) -> None:
    bell = Bell()
    runner.ring_after_commits(made, bell)
    made.read(lambda connection: connection.execute(sa.select(tables.job)).all())
    with pytest.raises(RuntimeError):
        made.write(lambda connection: (_ for _ in ()).throw(RuntimeError("no")))
    with pytest.raises(RuntimeError):
        made.write(_puts_and_raises)
    (lane,) = Work(made, HANDLERS).lanes()
    assert bell.count(lane) == 0
    put(made, "note", "k", NOON, amount=1)
    assert bell.count(lane) == 1


def test_what_no_lane_looks_at_wakes_nobody_and_each_is_woken_by_its_own(made: Store) -> None:
    bell, outside = Bell(), made_up.Outside()
    runner.ring_after_commits(made, bell)
    lanes = Work(made, HANDLERS, {"mail": Deliverer(outside)}, webhooks.Hooks(b"k" * 32, Poster())).lanes()

    def rung() -> dict[str, int]:
        return {lane.name: bell.count(lane) for lane in lanes}

    made.write(lambda c: audit.record(c, NOON, actor="person:per_a", account="acc_a", code="signed_in", ids={}))
    assert rung() == {"jobs": 0, "mail": 0, "webhooks": 0}
    made.write(lambda c: outbox.put(c, NOON, kind="mail", key="m", account=None, payload={}))
    assert rung() == {"jobs": 0, "mail": 1, "webhooks": 0}
    put(made, "note", "k", NOON, amount=1)
    assert rung() == {"jobs": 1, "mail": 1, "webhooks": 0}
    made.write(lambda c: events.emit(c, NOON, account="acc_a", kind="k", payload={}))
    assert rung()["webhooks"] >= 1 and rung()["mail"] == 1


def _puts_and_raises(connection: sa.Connection) -> None:
    jobs.put(connection, kind="note", key="lost", due_at=NOON, account=None, payload={"amount": 1})
    raise RuntimeError("no")


def test_it_ends_when_its_step_is_finished_and_begins_no_other(made: Store) -> None:
    at_it, go_on = threading.Event(), threading.Event()

    def slow(connection: sa.Connection, at: datetime.datetime, job: jobs.Job) -> None:
        at_it.set()
        assert go_on.wait(WITHIN_S)
        made_up.post(connection, at, job.key, 1)

    put(made, "slow", "first", NOON)
    put(made, "slow", "second", NOON + SECOND)
    running = Runner(Work(made, {"slow": slow}), TestClock(NOON + DAY), Bell())
    running.start()
    assert at_it.wait(WITHIN_S)
    assert not running.stop(within_s=0.05)
    go_on.set()
    assert running.stop(WITHIN_S)
    assert len(amounts(made)) == 1 and waiting(made) == 1


def test_while_it_is_paused_no_step_is_taken_and_the_one_under_way_is_waited_for(made: Store) -> None:
    at_it, go_on, ended = threading.Event(), threading.Event(), threading.Event()

    def slow(connection: sa.Connection, at: datetime.datetime, job: jobs.Job) -> None:
        at_it.set()
        assert go_on.wait(WITHIN_S)
        made_up.post(connection, at, job.key, 1)
        ended.set()

    put(made, "slow", "first", NOON)
    bell = Bell()
    runner.ring_after_commits(made, bell)
    running = Runner(Work(made, {**HANDLERS, "slow": slow}), TestClock(NOON + DAY), bell)
    running.start()
    assert at_it.wait(WITHIN_S)
    threading.Timer(0.05, go_on.set).start()
    with running.paused():
        assert ended.is_set()
        put(made, "note", "second", NOON, amount=2)
        before = bell.count
        # The lane has heard the bell and could take it, but for the pause.
        until(lambda: running._under_way == 0)
        assert amounts(made) == [1] and waiting(made) == 1 and bell.count == before
    until(lambda: amounts(made) == [1, 2])
    assert running.stop(WITHIN_S)


def test_it_ends_while_it_is_paused(made: Store) -> None:
    put(made, "note", "one", NOON, amount=1)
    running = Runner(Work(made, HANDLERS), TestClock(NOON), Bell())
    with running.paused():
        running.start()
        assert running.stop(WITHIN_S)
    assert amounts(made) == []


def test_a_slow_mail_server_does_not_hold_up_commands_to_the_media_server(made: Store) -> None:
    go_on, carried = threading.Event(), made_up.Outside()

    def slow(letter: outbox.Letter) -> None:
        assert go_on.wait(WITHIN_S)

    def both(connection: sa.Connection) -> None:
        outbox.put(connection, NOON, kind="mail", key="m", account="acc_a", payload={})
        outbox.put(connection, NOON, kind="media", key="end", account="acc_a", payload={})

    made.write(both)
    running = Runner(Work(made, {}, {"mail": Deliverer(slow), "media": Deliverer(carried)}), TestClock(NOON), Bell())
    running.start()
    until(lambda: waiting(made, tables.outbox) == 1)
    assert carried.keys == ["end"]
    go_on.set()
    assert running.stop(WITHIN_S)
    assert waiting(made, tables.outbox) == 0


@pytest.mark.skipif(not POSTGRESQL, reason="a server whose connections can be cut")
def test_it_goes_on_when_the_database_had_gone_away(made: Store) -> None:
    running = Runner(Work(made, HANDLERS), SystemClock(), Bell())
    running.start()
    others = "datname = current_database() AND pid <> pg_backend_pid()"
    cut = f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {others}"
    put(made, "note", "one", NOON, amount=1)
    until(lambda: not waiting(made))
    other = Store(made.engine.url.render_as_string(hide_password=False))
    with other.engine.connect() as connection:
        connection.exec_driver_sql(cut)
    other.write(
        lambda connection: jobs.put(
            connection, kind="note", key="two", due_at=NOON, account=None, payload={"amount": 2}
        )
    )
    until(lambda: not waiting(other))
    other.close()
    assert running.stop()
    assert amounts(made) == [1, 2]
