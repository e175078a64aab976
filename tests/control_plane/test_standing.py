"""The clock of test mode by its API: who may set it, how far, and that the answer comes when nothing is left to do."""

from __future__ import annotations

import contextlib
import datetime
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi import FastAPI

from control_plane.accounts import lifecycle
from control_plane.api import clock as clock_api
from control_plane.api.app import application
from control_plane.api.settings import Settings
from control_plane.clock import Clock, TestClock
from control_plane.running import jobs
from control_plane.running.runner import Bell, Runner
from control_plane.running.work import Work
from control_plane.standing import FILE, JUMP_MAX, Standing, clock_of
from control_plane.storage.store import Store
from tests.control_plane import seen
from tests.control_plane.people import START, World, world
from tests.control_plane.running.made_up import DAY, HOUR


class Lab(World):
    """A world whose clock can be set by its API."""

    @property
    def runner(self) -> Runner:
        return self.app.state.runner  # type: ignore[no-any-return]

    def jump(self, **body: object) -> tuple[int, dict[str, object]]:
        answer = self.operator().ask("POST", "/test/clock", body)
        return answer.status_code, answer.json()

    def reads(self) -> datetime.datetime:
        return datetime.datetime.fromisoformat(self.operator().ask("GET", "/test/clock").json()["now"])


@pytest.fixture
def lab(store: Store, folder: Path) -> Iterator[Lab]:
    def make(store: Store, clock: Clock, settings: Settings) -> FastAPI:
        assert isinstance(clock, TestClock)

        def purge(connection: object, due_at: datetime.datetime, job: jobs.Job) -> None:
            lifecycle.purge_due(connection, job.due_at, settings.setup, job.account)  # type: ignore[arg-type]

        work = Work(store, {"accounts.purge": purge})
        runner = Runner(work, clock, Bell())
        standing = Standing(clock, work, folder, runner.paused)
        app = application(store, clock, settings, areas=[lambda doors: clock_api.router(doors, standing)])
        app.state.runner = runner
        return app

    with world(store, make) as made:
        here = Lab(made.store, made.clock, made.app, made.portal)
        here.runner.start()
        try:
            yield here
        finally:
            here.runner.stop(60)


def test_a_sign_up_that_nobody_verifies_lapses_after_fourteen_days(lab: Lab) -> None:
    jane = lab.stranger("jane@example.com")
    jane.signs_up()
    account = seen.jobs(lab.store, "accounts.purge")[0].account
    status, told = lab.jump(seconds=14 * 86400 - 1)
    assert (status, told) == (200, {"now": (START + 14 * DAY - datetime.timedelta(seconds=1)).isoformat(), "steps": 0})
    assert [row.account for row in seen.jobs(lab.store, "accounts.purge")] == [account]
    status, told = lab.jump(to=(START + 15 * DAY).isoformat())
    assert (status, told["steps"]) == (200, 1)
    assert not seen.jobs(lab.store, "accounts.purge"), "the answer came when it was done"
    assert jane.verifies().status_code in (410, 422), "the link of a sign-up that has lapsed opens nothing"
    assert lab.reads() == START + 15 * DAY


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"to": (START - datetime.timedelta(microseconds=1)).isoformat()}, "clock_jump"),
        ({"to": (START + JUMP_MAX + datetime.timedelta(seconds=1)).isoformat()}, "clock_jump"),
        ({"to": "9999-12-31T23:59:59-23:59"}, "clock_jump"),
        ({"to": "2026-11-26T12:00:00"}, "field_malformed"),
        ({"to": "tomorrow"}, "field_malformed"),
        ({"seconds": -1}, "field_malformed"),
        ({"seconds": int(JUMP_MAX.total_seconds()) + 1}, "field_malformed"),
        ({}, "field_malformed"),
        ({"to": START.isoformat(), "seconds": 1}, "field_malformed"),
        ({"seconds": 1, "back": True}, "field_unknown"),
    ],
)
def test_it_goes_forward_only_and_not_further_than_somebody_waits(lab: Lab, body: dict[str, object], code: str) -> None:
    status, told = lab.jump(**body)
    assert (status, told["code"]) == (422, code)
    assert lab.reads() == START


def test_where_it_stands_it_may_be_told_to_stay_and_other_zones_mean_the_same_instant(lab: Lab) -> None:
    assert lab.jump(to=START.isoformat())[0] == 200 and lab.reads() == START
    assert lab.jump(to="2026-11-25T15:00:00+02:00")[0] == 200
    assert lab.reads() == START + HOUR


def test_it_is_for_operators_and_not_for_pages_of_other_sites(lab: Lab) -> None:
    for person in (lab.stranger(), lab.customer("jane@example.com"), lab.staff()):
        for method, body in (("GET", None), ("POST", {"seconds": 1})):
            answer = person.ask(method, "/test/clock", body)
            assert (answer.status_code, answer.json()["code"]) == (403, "operators_only")
    rebound = lab.operator().ask("POST", "/test/clock", {"seconds": 1}, headers={"Origin": "https://evil.test"})
    assert (rebound.status_code, rebound.json()["code"]) == (403, "cross_site")
    assert lab.reads() == START


def test_without_test_mode_there_is_no_such_address(here: World) -> None:
    assert here.operator().ask("GET", "/test/clock").status_code == 404
    assert here.operator().ask("POST", "/test/clock", {"seconds": 1}).status_code == 404


@pytest.fixture
def here(store: Store) -> Iterator[World]:
    with world(store) as made:
        yield made


def test_one_at_a_time_and_the_second_is_told_so(store: Store, folder: Path) -> None:
    inside, let_go = threading.Event(), threading.Event()

    @contextlib.contextmanager
    def paused() -> Iterator[None]:
        inside.set()
        assert let_go.wait(60)
        yield

    standing = Standing(TestClock(START), Work(store), folder, paused)
    first = threading.Thread(target=standing.advance_to, args=(START + HOUR,))
    first.start()
    assert inside.wait(60)
    with pytest.raises(Exception, match="clock_moving"):
        standing.advance_to(START + HOUR)
    let_go.set()
    first.join(60)
    assert standing.now() == START + HOUR


def test_a_restart_does_not_set_it_back(store: Store, folder: Path) -> None:
    real = TestClock(START)
    clock = clock_of(folder, real)
    assert clock.now() == START
    Standing(clock, Work(store), folder, contextlib.nullcontext).advance_to(START + 30 * DAY)
    assert clock_of(folder, real).now() == START + 30 * DAY
    real.advance_to(START + 31 * DAY)
    assert clock_of(folder, real).now() == START + 31 * DAY, "nor behind the real time"
    for damaged in ("yesterday", "2026-11-26T12:00:00", ""):
        (folder / FILE).write_text(damaged)
        with pytest.raises(ValueError):
            clock_of(folder, real)
