"""What waits, fails and stands still, as operators see it."""

from __future__ import annotations

import pytest

from control_plane.clock import TestClock
from control_plane.clockwork import advance_to
from control_plane.running import backlog, events, jobs, outbox, webhooks
from control_plane.running.backlog import Backlog, Waiting
from control_plane.running.outbound import Answer
from control_plane.running.outbox import Deliverer
from control_plane.running.work import Work
from control_plane.storage.store import Store
from tests.control_plane.running.made_up import DAY, HANDLERS, HOUR, MINUTE, NOON, Outside, put


def read(made: Store, now: object = NOON) -> Backlog:
    return made.read(lambda connection: backlog.read(connection, now))  # type: ignore[arg-type]


def test_nothing_is_nought(made: Store) -> None:
    none = {kind: Waiting(0, 0.0) for kind in ("mail", "media", "gateway")}
    tasks = {"job_parked": 0, "outbox_stuck": 0, "outbox_refused": 0}
    assert read(made) == Backlog(0, 0, 0.0, none, 0, 0.0, tasks, 0)


def test_jobs_wait_are_late_and_are_parked(made: Store) -> None:
    put(made, "note", "ahead", NOON + DAY, "acc_a", amount=1)
    assert (read(made).jobs_waiting, read(made).jobs_late_s) == (1, 0.0), "what lies ahead is not late"
    put(made, "note", "due", NOON - MINUTE, "acc_b", amount=1)
    put(made, "note", "later", NOON - HOUR + MINUTE, "acc_b", amount=1)
    assert (read(made).jobs_waiting, read(made).jobs_late_s) == (3, 59 * 60)
    put(made, "flaky", "poison", NOON - HOUR, "acc_c", fails=99)
    put(made, "note", "behind-it", NOON - HOUR, "acc_c", amount=1)
    advance_to(TestClock(NOON), Work(made, HANDLERS), NOON + 12 * HOUR)
    seen = read(made, NOON + 12 * HOUR)
    assert (seen.jobs_parked, seen.jobs_waiting, seen.tasks["job_parked"]) == (1, 2, 1)
    assert seen.jobs_late_s == 0.0, "what stands behind a parked job is not late on top"
    assert seen.audit_rows == 1
    made.write(lambda connection: jobs.cancel(connection, "poison"))
    seen = read(made, NOON + 12 * HOUR)
    assert (seen.jobs_parked, seen.jobs_late_s) == (0, 13 * 3600), "its account goes on, and is late"


def test_the_outbox_by_kind_with_the_age_of_its_oldest(made: Store) -> None:
    outside = Outside(fails=99)
    work = Work(made, HANDLERS, {"mail": Deliverer(outside), "media": Deliverer(Outside())})
    for number, account in enumerate(("acc_a", "acc_a", "acc_b")):
        at = NOON + number * MINUTE
        made.write(
            lambda c, n=number, a=account, at=at: outbox.put(  # type: ignore[misc]
                c, at, kind="mail", key=f"m{n}", account=a, payload={}
            )
        )
    made.write(lambda c: outbox.put(c, NOON, kind="media", key="end", account="acc_a", payload={}))
    advance_to(TestClock(NOON + 3 * MINUTE), work, NOON + HOUR)
    seen = read(made, NOON + HOUR)
    assert seen.outbox == {"mail": Waiting(3, 3600.0), "media": Waiting(0, 0.0), "gateway": Waiting(0, 0.0)}


def test_a_count_stops_where_it_is_enough(made: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backlog, "COUNTED_MAX", 2)
    for number in range(5):
        put(made, "note", f"n{number}", NOON, f"acc_{number}", amount=1)
    assert read(made).jobs_waiting == 2


def test_endpoints_that_fail_and_since_when(made: Store) -> None:
    def add(url: str, account: str) -> None:
        made.write(lambda c: webhooks.add(c, NOON, account=account, url=url, random_token=lambda n: account[-1] * n))
        made.write(lambda c: events.emit(c, NOON, account=account, kind="x.y", payload={}))

    add("https://well.example/", "acc_a")
    add("https://ill.example/", "acc_b")
    hooks = webhooks.Hooks(b"k" * 32, lambda url, headers, body: Answer(500, "no") if "ill" in url else Answer(200, ""))
    advance_to(TestClock(NOON), Work(made, HANDLERS, hooks=hooks), NOON + HOUR)
    seen = read(made, NOON + HOUR)
    assert (seen.webhooks_failing, seen.webhooks_failing_s) == (1, 3600.0)
