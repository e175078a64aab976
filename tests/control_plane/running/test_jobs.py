"""Jobs: their order, their business time, one key once; a poison job stops nobody but its own account."""

from __future__ import annotations

import datetime

import pytest
import sqlalchemy as sa

from control_plane.errors import NotFound, Unavailable
from control_plane.ledger import tables as ledger
from control_plane.running import audit, jobs, tasks
from control_plane.running.tables import job
from control_plane.running.work import TOGETHER, Work
from control_plane.storage.store import Store
from tests.control_plane.running import made_up
from tests.control_plane.running.made_up import DAY, HANDLERS, HOUR, MINUTE, NOON, SECOND, amounts, put, state


def work_off(work: Work, now: datetime.datetime) -> int:
    taken = 0
    while work.job(now):
        taken += 1
    return taken


def poisoned(work: Work, now: datetime.datetime) -> datetime.datetime:
    """Have what fails fail until it is parked; returns when that was."""
    while True:
        work_off(work, now)
        at = work.store.read(jobs.next_at)
        if at is None or at > now + DAY:
            return now
        now = max(now, at)


def test_due_jobs_go_by_time_then_priority_then_age(made: Store) -> None:
    for amount, (hours, priority) in enumerate([(2, 100), (1, 100), (1, 50), (1, 100), (3, 1)]):
        made.write(
            lambda connection, amount=amount, hours=hours, priority=priority: jobs.put(  # type: ignore[misc]
                connection,
                kind="note",
                key=str(amount),
                due_at=NOON + hours * HOUR,
                account="acc_a",
                payload={"amount": amount},
                priority=priority,
            )
        )
    work = Work(made, HANDLERS)
    assert work_off(work, NOON) == 0
    assert work_off(work, NOON + 2 * HOUR) == 4
    assert amounts(made) == [2, 1, 3, 0]
    assert made.read(jobs.next_at) == NOON + 3 * HOUR


def test_a_late_job_is_given_its_own_time_and_so_is_a_retried_one(made: Store) -> None:
    put(made, "note", "late", NOON, amount=1)
    put(made, "flaky", "retried", NOON + HOUR, fails=2)
    work = Work(made, HANDLERS)
    work_off(work, NOON + 200 * DAY)
    work_off(work, NOON + 200 * DAY + 10 * SECOND)
    work_off(work, NOON + 200 * DAY + 70 * SECOND)
    assert state(made, "retried") == ("done", 3)
    times = sa.select(made_up.posted.c.at).order_by(made_up.posted.c.place)
    assert made.read(lambda connection: connection.execute(times).scalars().all()) == [
        NOON.isoformat(),
        (NOON + HOUR).isoformat(),
    ]


def test_a_key_is_taken_once_even_when_its_job_is_done_or_cancelled(made: Store) -> None:
    work = Work(made, HANDLERS)
    assert [put(made, "note", "k", NOON, amount=amount) for amount in (1, 2)] == [True, False]
    work_off(work, NOON)
    assert not put(made, "note", "k", NOON, amount=3)
    put(made, "note", "gone", NOON, amount=4)
    assert made.write(lambda connection: jobs.cancel(connection, "gone"))
    assert not made.write(lambda connection: jobs.cancel(connection, "gone"))
    assert not put(made, "note", "gone", NOON, amount=5)
    assert work_off(work, NOON) == 0
    assert amounts(made) == [1]


def test_a_job_that_fails_leaves_nothing_of_its_attempt_and_waits_longer_each_time(made: Store) -> None:
    put(made, "flaky", "f", NOON, fails=99)
    work, now, waits = Work(made, HANDLERS), NOON, []
    while state(made, "f")[0] == "waiting":
        assert work_off(work, now) == 1
        assert amounts(made) == []
        at = made.read(jobs.next_at)
        if at is not None:
            waits.append((at - now) // SECOND)
            now = at
    assert waits == [10, 60, 300, 1800, 7200]
    assert state(made, "f") == ("parked", jobs.PARK_AFTER)


def test_a_poison_job_parks_its_own_account_and_nobody_else(made: Store) -> None:
    put(made, "flaky", "poison", NOON, fails=99)
    put(made, "note", "behind", NOON + SECOND, amount=1)
    put(made, "note", "before", NOON - SECOND, amount=2)
    put(made, "note", "other", NOON + SECOND, "acc_b", amount=3)
    put(made, "note", "nobodys", NOON + SECOND, None, amount=4)
    work = Work(made, HANDLERS)
    now = poisoned(work, NOON + MINUTE)
    put(made, "note", "later", now, amount=5)
    put(made, "note", "other-later", now, "acc_b", amount=6)
    work_off(work, now + DAY)
    assert amounts(made) == [2, 3, 4, 6]
    (task,) = made.read(tasks.all_open)
    assert (task.kind, task.ref, task.account) == ("job_parked", "poison", "acc_a")
    assert task.payload["error"].startswith("RuntimeError at made_up.py:")
    (entry,) = made.read(lambda connection: audit.read(connection, "acc_a"))
    assert (entry.actor, entry.code, entry.ids) == ("system:jobs", "job_parked", {"job": "poison"})


def test_unparked_it_gets_its_attempts_anew_and_its_account_goes_on_in_order(made: Store) -> None:
    put(made, "flaky", "poison", NOON, fails=99)
    put(made, "note", "behind", NOON + SECOND, amount=1)
    work = Work(made, HANDLERS)
    now = poisoned(work, NOON) + DAY
    made.write(lambda connection: jobs.unpark(connection, now, key="poison", actor="staff:per_1"))
    mended = Work(made, {**HANDLERS, "flaky": made_up.note_of(7)})
    assert work_off(mended, now) == 2
    assert amounts(made) == [7, 1]
    assert made.read(tasks.all_open) == []
    with pytest.raises(NotFound, match="not_parked"):
        made.write(lambda connection: jobs.unpark(connection, now, key="poison", actor="staff:per_1"))


def test_a_parked_job_that_is_cancelled_lets_its_account_go_on(made: Store) -> None:
    put(made, "flaky", "poison", NOON, fails=99)
    put(made, "note", "behind", NOON + SECOND, amount=1)
    work = Work(made, HANDLERS)
    now = poisoned(work, NOON)
    assert made.write(lambda connection: jobs.cancel(connection, "poison"))
    work_off(work, now)
    assert amounts(made) == [1]


def test_jobs_of_one_account_do_not_overtake_one_that_is_tried_again(made: Store) -> None:
    put(made, "flaky", "first", NOON, fails=1)
    put(made, "note", "second", NOON + SECOND, amount=8)
    put(made, "note", "stranger", NOON + SECOND, "acc_b", amount=9)
    work = Work(made, HANDLERS)
    work_off(work, NOON + SECOND)
    assert amounts(made) == [9]
    work_off(work, NOON + MINUTE)
    assert amounts(made) == [9, 2, 8]


def test_a_job_nobody_knows_is_parked_like_any_that_fails(made: Store) -> None:
    put(made, "unheard", "u", NOON)
    poisoned(Work(made, HANDLERS), NOON)
    assert state(made, "u") == ("parked", jobs.PARK_AFTER)


def test_a_job_that_took_the_process_with_it_so_often_is_parked(made: Store) -> None:
    put(made, "note", "deadly", NOON, amount=1)
    put(made, "note", "other", NOON + SECOND, "acc_b", amount=2)
    for attempt in range(jobs.PARK_AFTER):
        now = NOON + attempt * jobs.LEASE
        taken = made.write(lambda connection, now=now: jobs.take(connection, now))  # type: ignore[misc]
        assert taken is not None and (taken.key, taken.attempts) == ("deadly", attempt + 1)
        # and here the process dies
    work_off(Work(made, HANDLERS), NOON + HOUR)
    assert state(made, "deadly") == ("parked", jobs.PARK_AFTER)
    assert amounts(made) == [2]


def test_a_job_that_could_not_be_tried_loses_no_attempt(made: Store) -> None:
    def busy(connection: sa.Connection, at: datetime.datetime, job: jobs.Job) -> None:
        if not tried:
            tried.append(job.attempts)
            raise Unavailable("busy", "too much at once")
        tried.append(job.attempts)

    tried: list[int] = []
    put(made, "busy", "b", NOON)
    assert work_off(Work(made, {"busy": busy}), NOON) == 2
    assert (tried, state(made, "b")) == ([1, 1], ("done", 1))


def test_a_job_that_is_taken_is_given_to_nobody_else_for_a_while(made: Store) -> None:
    put(made, "note", "k", NOON, amount=1)
    assert made.write(lambda connection: jobs.take(connection, NOON)) is not None
    assert made.write(lambda connection: jobs.take(connection, NOON + jobs.LEASE - SECOND)) is None
    assert made.write(lambda connection: jobs.take(connection, NOON + jobs.LEASE)) is not None


def test_a_key_that_could_name_a_person_is_refused(made: Store) -> None:
    for key in ("verify:jan@example.org", "two words", "", "x" * 201):
        with pytest.raises(ValueError, match="only ids and codes"):
            put(made, "note", key, NOON, amount=1)


def test_what_is_written_down_of_a_failure_quotes_no_values(made: Store) -> None:
    def quotes(connection: sa.Connection, at: datetime.datetime, job: jobs.Job) -> None:
        raise ValueError("jan@example.org has no name")

    put(made, "quotes", "q", NOON)
    work_off(Work(made, {"quotes": quotes}), NOON)
    error = made.read(lambda connection: connection.execute(sa.select(job.c.error)).scalar_one())
    assert error.startswith("ValueError at test_jobs.py:") and "example" not in error


def test_a_job_cancelled_while_another_took_it_is_not_done(made: Store) -> None:
    put(made, "note", "k", NOON, amount=1)
    taken = made.write(lambda connection: jobs.take(connection, NOON))
    assert taken is not None
    made.write(lambda connection: jobs.cancel(connection, "k"))
    assert not made.write(lambda connection: jobs.hold(connection, taken))


def commits(store: Store) -> list[int]:
    """Its length is how many transactions were committed since."""
    seen: list[int] = []
    sa.event.listen(store.engine, "commit", lambda connection: seen.append(1))
    return seen


def some(store: Store, count: int, kind: str = "note") -> None:
    for number in range(count):
        put(store, kind, f"j{number}", NOON, f"acc_{number}", amount=number, fails=0)


def test_jobs_of_one_instant_and_of_strangers_are_done_in_one_transaction(made: Store) -> None:
    some(made, TOGETHER + 1)
    seen = commits(made)
    assert work_off(Work(made, HANDLERS), NOON) == 2
    assert amounts(made) == list(range(TOGETHER + 1))
    assert len(seen) == 4, "taken and done, twice"


def test_what_is_due_at_another_instant_is_not_done_together_for_it_may_come_after_what_the_first_puts(
    made: Store,
) -> None:
    put(made, "rent", "a", NOON, left=1)
    put(made, "note", "b", NOON + 60 * DAY, "acc_b", amount=2)
    work_off(Work(made, HANDLERS), NOON + 90 * DAY)
    assert amounts(made) == [1000, 1000, 2]


def test_a_poison_job_among_others_leaves_nothing_of_itself_and_they_are_done(made: Store) -> None:
    some(made, 3)
    put(made, "flaky", "poison", NOON, "acc_p", fails=99)
    put(made, "note", "last", NOON, "acc_z", amount=9)
    work = Work(made, HANDLERS)
    work_off(work, NOON)
    assert amounts(made) == [0, 1, 2, 9]
    assert state(made, "poison") == ("waiting", 1)
    poisoned(work, NOON)
    assert [one.key for one in made.read(jobs.parked)] == ["poison"]


def test_one_that_breaks_what_the_commit_looks_at_holds_up_nobody(made: Store) -> None:
    """A transaction of the ledger without its seal is refused in the end, when the savepoint is over."""

    def unsealed(connection: sa.Connection, at: datetime.datetime, job: jobs.Job) -> None:
        head = {"idem_key": job.key, "effective_at": at, "recorded_at": at, "reason": "r", "ref": ""}
        connection.execute(ledger.transactions.insert(), head)

    some(made, 3)
    put(made, "unsealed", "poison", NOON, "acc_p")
    work_off(Work(made, {**HANDLERS, "unsealed": unsealed}), NOON)
    assert amounts(made) == [0, 1, 2]
    assert state(made, "poison") == ("waiting", 1)


def test_those_that_were_taken_when_the_process_died_are_done_one_by_one(made: Store) -> None:
    """So the one that kills it is parked alone in the end."""
    some(made, 3)
    taken = made.write(lambda connection: jobs.take_some(connection, NOON, 8))
    assert [one.attempts for one in taken] == [1, 1, 1]  # and here the process dies
    later = NOON + jobs.LEASE
    again = made.write(lambda connection: jobs.take_some(connection, later, 8))
    assert [(one.key, one.attempts) for one in again] == [("j0", 2)]
    put(made, "note", "new", NOON, "acc_new", amount=7)
    assert work_off(Work(made, HANDLERS), later + jobs.LEASE) == 4


def test_one_of_them_cancels_another_which_is_not_done(made: Store) -> None:
    put(made, "revoke", "r", NOON, "acc_a", target="k")
    put(made, "note", "k", NOON, "acc_b", amount=5)
    work_off(Work(made, HANDLERS), NOON)
    assert amounts(made) == [0]
    assert state(made, "k") == ("cancelled", 1)


def test_each_that_is_done_is_told_once(made: Store) -> None:
    told: list[tuple[str, str, str]] = []
    some(made, 2)
    put(made, "flaky", "f", NOON, "acc_f", fails=1)
    work_off(Work(made, HANDLERS, tried=lambda *words: told.append(words)), NOON)
    assert sorted(told) == [("jobs", "flaky", "failed"), ("jobs", "note", "done"), ("jobs", "note", "done")]
