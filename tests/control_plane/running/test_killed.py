"""kill -9 between any two steps: nothing is lost, nothing is done twice, what leaves the house leaves at least once
under the same name. Real processes, real signals; the world is small, so every step can have its turn."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from control_plane.running import audit, jobs, tables, webhooks
from control_plane.storage.store import Store
from tests.control_plane.conftest import POSTGRESQL
from tests.control_plane.killable import NEVER, Program, running
from tests.control_plane.running import made_up
from tests.control_plane.running.made_up import DAY, NOON, SECOND, put
from tests.control_plane.running.test_runner import until
from tests.servers import ROOT

# The clock goes on by so much between one process and the next: a lease is over then.
APART_S = 600


@pytest.fixture(scope="module")
def program() -> Iterator[Program]:
    """Told a database, a file, where the clock stands, and the step at which it is killed."""
    with running("tests.control_plane.running.killed") as started:
        yield started


def run(program: Program, store: Store, outside: Path, *nows_s: int, last: int = NEVER) -> int | None:
    """Steps taken; None when it was killed at `last`."""
    return program.run(address(store), outside, ",".join(map(str, nows_s)), last)


def small_world(store: Store) -> None:
    """A job that posts, mails, emits an event and puts another job that is due as well; one that fails; a webhook."""
    store.write(
        lambda connection: webhooks.add(
            connection, NOON, account="acc_a", url="https://example.org/", random_token=lambda n: "w" * n
        )
    )
    put(store, "rent", "r", NOON - 31 * DAY, left=1)
    put(store, "flaky", "f", NOON, "acc_b", fails=1)


def found(store: Store) -> dict[str, Any]:
    """All rows but when and how often something was tried, which a kill may change."""
    rows = made_up.rows(store)

    def look(connection: sa.Connection) -> dict[str, Any]:
        plain = sa.select(tables.job.c.key, tables.job.c.state, tables.job.c.due_at).order_by(tables.job.c.id)
        letters = sa.select(tables.outbox.c.key, tables.outbox.c.state, tables.outbox.c.put_at)
        hook = sa.select(tables.webhook.c.told, tables.webhook.c.error)
        return {
            "jobs": [tuple(row) for row in connection.execute(plain)],
            "letters": sorted(tuple(row) for row in connection.execute(letters)),
            "webhooks": [tuple(row) for row in connection.execute(hook)],
            "breaks": list(audit.verify(connection)),
        }

    # Of a job that fails, the attempts are what it posts.
    posted = [row for row in rows["made_up_posted"] if row[0] != "f"]
    others = [row for row in rows["made_up_posted"] if row[0] == "f"]
    assert len(others) == 1
    keys = sorted((row[0], row[1], row[2]) for row in posted)
    return store.read(look) | {"posted": keys, "events": rows["event"], "tasks": rows["staff_task"]}


Copy = Callable[[], Store]


@pytest.fixture
def copies(request: pytest.FixtureRequest, made: Store, tmp_path: Path) -> Iterator[Copy]:
    """Gives a fresh copy of the small world; the one before is gone then."""
    small_world(made)
    opened: list[Store] = []
    if not POSTGRESQL:
        made.close()
        origin = Path(str(made.engine.url.database))

        def copy() -> Store:
            while opened:
                opened.pop().close()
            for left in tmp_path.glob("copy.sqlite*"):
                left.unlink()
            shutil.copy(origin, tmp_path / "copy.sqlite")
            opened.append(Store(f"sqlite:///{tmp_path / 'copy.sqlite'}"))
            return opened[-1]
    else:
        url = made.engine.url
        made.close()
        server = Store(url.set(database="postgres").render_as_string(hide_password=False))

        def command(*words: str) -> None:
            with server.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
                for each in words:
                    connection.exec_driver_sql(each)

        request.addfinalizer(server.close)
        name = f"{url.database}_copy"
        request.addfinalizer(lambda: command(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)"))

        def copy() -> Store:
            while opened:
                opened.pop().close()
            command(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)", f"CREATE DATABASE {name} TEMPLATE {url.database}")
            opened.append(Store(url.set(database=name).render_as_string(hide_password=False)))
            return opened[-1]

    yield copy
    for store in opened:
        store.close()


def address(store: Store) -> str:
    return store.engine.url.render_as_string(hide_password=False)


def finish(program: Program, store: Store, outside: Path, round: int) -> None:
    """Start again, as often as retries and leases need."""
    assert run(program, store, outside, *(later * APART_S for later in range(round, round + 4))) is not None


def arrived(outside: Path) -> list[str]:
    return outside.read_text().splitlines() if outside.exists() else []


def in_order(keys: list[str]) -> list[str]:
    return list(dict.fromkeys(keys))


@pytest.mark.parametrize("every", [3, pytest.param(1, marks=pytest.mark.long)])
def test_killed_at_any_step_nothing_is_lost_and_nothing_done_twice(
    program: Program, copies: Copy, tmp_path: Path, every: int
) -> None:
    whole, outside = copies(), tmp_path / "outside"
    steps = run(program, whole, outside, 0)
    assert steps is not None and steps > 60
    finish(program, whole, outside, 1)
    expected, letters = found(whole), arrived(outside)
    assert len(letters) == len(set(letters)) == 5
    for last in range(1, steps + 1, every):
        outside.unlink(missing_ok=True)
        store = copies()
        assert run(program, store, outside, 0, last=last) is None
        finish(program, store, outside, 1)
        assert found(store) == expected, f"killed at step {last}"
        again = arrived(outside)
        assert sorted(set(again)) == sorted(letters), f"killed at step {last}"
        assert len(again) <= len(letters) + 1, f"killed at step {last}"
        events = [key for key in in_order(again) if key.startswith("evt_")]
        assert events == [key for key in letters if key.startswith("evt_")], f"killed at step {last}"


@pytest.mark.parametrize("seed", range(3))
def test_killed_again_and_again_it_comes_to_the_same(program: Program, copies: Copy, tmp_path: Path, seed: int) -> None:
    """Each new process is killed at a random step too, as long as it lives less than half of the work."""
    whole, outside = copies(), tmp_path / "outside"
    steps = run(program, whole, outside, 0)
    assert steps is not None
    finish(program, whole, outside, 1)
    expected, letters = found(whole), arrived(outside)
    outside.unlink()
    chance, store, round = random.Random(seed), copies(), 0
    kills = 0
    while run(program, store, outside, round * APART_S, last=chance.randint(1, steps // 2)) is None:
        kills += 1
        round += 1
    finish(program, store, outside, round + 1)
    assert kills >= 1
    assert found(store) == expected
    again = arrived(outside)
    assert set(again) == set(letters) and len(again) <= len(letters) + kills


def test_a_real_runner_that_is_killed_from_outside_is_taken_over_by_another(made: Store, tmp_path: Path) -> None:
    """Threads and the real clock this time, killed while jobs run; the second one waits for no lease but its own
    jobs'."""
    for number in range(60):
        put(made, "rent", f"r{number:02}", NOON + number * SECOND, f"acc_{number % 5}", left=0)
    outside = tmp_path / "outside"

    def start() -> subprocess.Popen[bytes]:
        words = [sys.executable, "-m", "tests.control_plane.running.runs", address(made), str(outside)]
        return subprocess.Popen(words, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)})

    def done(count: int) -> bool:
        wanted = sa.select(sa.func.count()).select_from(tables.job).where(tables.job.c.state == "done")
        return int(made.read(lambda connection: connection.execute(wanted).scalar_one())) >= count

    first = start()
    until(lambda: done(5))
    first.kill()
    assert first.wait() == -signal.SIGKILL

    # What was under way is under a lease; a minute later it would come up by itself. The test does not wait for it.
    def over(connection: sa.Connection) -> None:
        for table in (tables.job, tables.outbox):
            connection.execute(table.update().where(table.c.state == "waiting").values(try_at=NOON))

    made.write(over)
    second = start()
    until(lambda: done(60) and len(set(arrived(outside))) == 60)
    second.send_signal(signal.SIGTERM)
    assert second.wait() == 0
    letters = arrived(outside)
    assert sorted(set(letters)) == [f"mail:r{number:02}" for number in range(60)]
    assert len(letters) <= 61
    assert len(made_up.amounts(made)) == 60
    assert made.read(jobs.parked) == []
