"""A version that comes out is told by jobs: batch by batch, each with its whole days, and nobody is left out."""

from __future__ import annotations

import datetime

import pytest

from control_plane import clockwork
from control_plane.clock import TestClock
from control_plane.legal import announcing, notices
from control_plane.legal.notices import Notice
from control_plane.running.work import Work
from control_plane.storage.store import Store
from tests.control_plane import seen
from tests.control_plane.legal.conftest import LetterBox
from tests.control_plane.legal.given import DAY, NOW, accept, edition, publish

NEW = "2026-11-03"


def working(store: Store, clock: TestClock, letters: LetterBox) -> Work:
    return Work(store, {"legal.announce": announcing.handler(clock, letters)})


def of(store: Store, account: str) -> list[Notice]:
    return store.read(lambda connection: notices.of_account(connection, account))


def test_the_first_texts_are_told_to_nobody(published: Store) -> None:
    assert seen.jobs(published) == []


def test_all_are_told_in_batches_that_let_others_in_between(published: Store, letters: LetterBox) -> None:
    names = [f"acc_{number:03}" for number in range(2 * notices.BATCH + 3)]
    for name in names:
        accept(published, NOW, account=name, person=f"per_{name}")
    clock = TestClock(NOW + DAY)
    publish(published, clock.now(), edition("terms", NEW))
    publish(published, clock.now(), edition("terms", NEW))  # at the next start: nothing happens
    work, waiting = working(published, clock, letters), []
    while work.job(clock.now()):
        waiting += [(job.key, job.priority) for job in seen.jobs(published)]
        clock.advance_to(clock.now() + datetime.timedelta(seconds=1))
    assert waiting == [(f"legal.announce:terms:{NEW}:published:{number}", announcing.PRIORITY) for number in (1, 2, 3)]
    assert [account for account, *_ in letters.sent] == names
    assert [len(of(published, name)) for name in names] == [1] * len(names)


def test_a_job_that_comes_late_takes_nobody_a_day(published: Store, letters: LetterBox) -> None:
    accept(published, NOW)
    publish(published, NOW + DAY, edition("terms", NEW))
    clock = TestClock(NOW + 5 * DAY)  # nothing ran for four days
    clockwork.settle(clock, working(published, clock, letters))
    (notice,) = of(published, "acc_ann")
    assert notice.change.deadline == NOW + 15 * DAY


@pytest.mark.parametrize("batch_again", [False, True])
def test_who_accepts_the_old_version_before_the_new_ones_date_is_told_at_it(
    published: Store, letters: LetterBox, batch_again: bool
) -> None:
    accept(published, NOW)
    publish(published, NOW, edition("terms", "2026-12-01"))
    clock = TestClock(NOW)
    work = working(published, clock, letters)
    clockwork.settle(clock, work)
    accept(published, NOW + DAY, person="per_bob", account="acc_bob")
    if batch_again:
        clockwork.advance_to(clock, work, NOW + 10 * DAY)
    assert (len(of(published, "acc_ann")), of(published, "acc_bob")) == (1, [])
    date = datetime.datetime(2026, 12, 1, tzinfo=datetime.UTC)
    clockwork.advance_to(clock, work, NOW + 60 * DAY)
    assert len(of(published, "acc_ann")) == 1
    (notice,) = of(published, "acc_bob")
    assert (notice.change.noticed_at, notice.change.deadline) == (date, date + 10 * DAY)
    assert letters.sent[0][3]["latest"] == date.isoformat()
