"""The two laws, held against the product itself: customers who come, go, and are put out over most of a year, while
texts change. One jump of the clock comes to the same as many steps, byte for byte in every row and every mail; and any
job that is run twice changes nothing. (test_clockwork holds the machinery against made-up jobs, the ledger too.)"""

from __future__ import annotations

import datetime
import functools
import re
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import Any, Literal
from unittest import mock

import sqlalchemy as sa
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from control_plane import assembly, clockwork, keys
from control_plane.accounts import account as machine
from control_plane.accounts import lifecycle, sign_up
from control_plane.accounts.setup import Setup
from control_plane.accounts.tables import accounts, memberships, people
from control_plane.clock import TestClock
from control_plane.errors import ControlPlaneError
from control_plane.keys import Keys
from control_plane.legal import texts
from control_plane.running import jobs, tables
from control_plane.running.outbox import Deliverer, Letter
from control_plane.storage.store import Store
from tests.control_plane import seen
from tests.control_plane.conftest import POSTGRESQL, Stores
from tests.control_plane.people import FINGERPRINT_KEY, START, drawn
from tests.control_plane.product import told
from tests.examples import examples

DAYS = 330
DAY = datetime.timedelta(days=1)
Deed = Literal["signs_up", "verifies", "suspend", "lift", "close", "reactivate", "terms", "privacy"]
EVENTS: dict[str, machine.Event] = {
    "suspend": machine.Suspend("abuse"),
    "lift": machine.Lift(),
    "close": machine.Close("cancelled"),
    "reactivate": machine.Reactivate(approved=True, paid=True),
}
PEOPLE = ("ann", "bob", "ida")
# (day, who, deed): each at an hour of its own, so that none falls on the instant of a job.
DEEDS = st.lists(
    st.tuples(
        st.integers(0, 200),
        st.sampled_from(PEOPLE),
        st.sampled_from(["signs_up", "verifies", "verifies", "close", "suspend", "lift", "reactivate", "terms"]),
    ),
    max_size=10,
).map(sorted)


class World:
    """The product over one database, its clock, and all that it sent."""

    def __init__(self, store: Store, folder: str) -> None:
        self.clock = TestClock(START)
        self.sent: list[tuple[str, dict[str, Any]]] = []
        seeded = functools.partial(Setup, draw=drawn(7))
        own = Keys(FINGERPRINT_KEY, b"w" * 32)
        keep = mock.patch.object(keys, "keep", lambda folder: own)
        with mock.patch.object(assembly, "Setup", seeded), keep:
            built = assembly.build(told(store, folder, dev=True), self.clock)
        self.built, self.store, self.setup = built, built.store, built.app.state.doors.setup
        media = {"media": Deliverer(self._carry)}
        self.work = replace(built.work, deliverers={**built.work.deliverers, **media})
        for number, name in enumerate(PEOPLE):
            self._does(START + number * datetime.timedelta(minutes=1), name, "signs_up")
            self._does(START + number * datetime.timedelta(minutes=1, seconds=30), name, "verifies")

    def _carry(self, letter: Letter) -> None:
        self.sent.append((letter.key, dict(letter.payload)))

    def lives(self, deeds: Sequence[tuple[int, str, Deed]], cuts: Sequence[datetime.datetime]) -> dict[str, Any]:
        """All rows and mails in the end, when the clock was stopped at each deed, and at each of `cuts` too."""
        stops: list[tuple[datetime.datetime, str, Deed | None]] = [(cut, "", None) for cut in cuts]
        for number, (day, who, deed) in enumerate(deeds):
            at = START + (day + 1) * DAY + datetime.timedelta(hours=1, minutes=7 * number)
            stops.append((at, who, deed))
        for at, who, does in sorted(stops, key=lambda stop: stop[0]):
            if does is None:
                clockwork.advance_to(self.clock, self.work, at)
            else:
                self._does(at, who, does)
        clockwork.advance_to(self.clock, self.work, START + DAYS * DAY)
        return self.everything()

    def _does(self, at: datetime.datetime, who: str, deed: Deed) -> None:
        clockwork.advance_to(self.clock, self.work, at)
        with suppress(ControlPlaneError):  # what cannot be done now changes nothing, in either world
            self.store.write(lambda connection: self._do(connection, at, f"{who}@example.com", deed))

    def _do(self, connection: sa.Connection, now: datetime.datetime, email: str, deed: Deed) -> None:
        if deed == "signs_up":
            shown: dict[str, str] = {
                kind: texts.in_force(connection, kind, "en", now).version for kind in sign_up.TEXTS
            }
            form = sign_up.Form(email, True, True, shown, business_name="Acme", plan="basic")
            sign_up.sign_up(connection, now, self.setup, form, "hash")
        elif deed == "verifies":
            token = self._token(email)
            sign_up.verify(connection, now, self.setup, token)
        elif deed in EVENTS:
            account = connection.scalar(
                sa.select(accounts.c.id)
                .join(memberships, memberships.c.account == accounts.c.id)
                .join(people, people.c.id == memberships.c.person)
                .where(people.c.email == email)
            )
            if account is not None:
                lifecycle.step(connection, now, self.setup, account, EVENTS[deed], actor="staff:per_x")
        elif deed in ("terms", "privacy"):
            edition = texts.in_force(connection, deed, "en", now)
            newer = texts.Edition(deed, now.date().isoformat(), "en", f"{edition.body}\n\n{now}\n", edition.anchors)
            texts.publish(connection, now, [newer])

    def _token(self, email: str) -> str:
        mailbox = self.built.mailbox
        assert mailbox is not None
        found = re.findall(r"/verify#token=(\w+)", "".join(kept.text for kept in mailbox.newest(email)))
        return found[0] if found else "mt_none"

    def everything(self) -> dict[str, Any]:
        """Every row of every table, and every mail as it would have arrived."""

        def look(connection: sa.Connection) -> dict[str, Any]:
            names = sorted(set(sa.inspect(connection).get_table_names()) - {"alembic_version"})
            return {name: sorted(map(repr, connection.exec_driver_sql(f'SELECT * FROM "{name}"'))) for name in names}

        mailbox = self.built.mailbox
        assert mailbox is not None
        return self.store.read(look) | {"mails": mailbox.newest(), "media": self.sent}

    def again(self) -> int:
        """Run every job that is done once more; how many that were."""

        def repeat(connection: sa.Connection) -> int:
            done = connection.execute(sa.select(tables.job).where(tables.job.c.state == "done")).all()
            for row in done:
                job = jobs.Job(row.id, row.key, row.kind, row.account, row.due_at, row.payload, row.attempts)
                self.work.handlers[job.kind](connection, job.due_at, job)
            return len(done)

        return self.store.write(repeat)


@contextmanager
def world(stores: Stores) -> Iterator[World]:
    with stores() as store, tempfile.TemporaryDirectory() as folder:
        made = World(store, folder)
        yield made
        made.built.app.state.hashing.pool.close()
        made.built.close()


LAW = settings(
    max_examples=3 if POSTGRESQL else examples(5),
    deadline=None,
    derandomize=True,
    phases=(Phase.explicit, Phase.generate),  # a world takes half a second; making it smaller would take minutes
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
# Somebody closed and deleted, somebody who comes back, a text that changes, a sign-up that lapses.
STORY: list[tuple[int, str, Deed]] = [
    (3, "ann", "close"), (5, "bob", "suspend"), (9, "ida", "close"), (12, "ida", "reactivate"), (14, "bob", "lift"),
    (20, "ann", "terms"), (60, "ann", "signs_up"), (90, "ann", "signs_up"), (91, "ann", "verifies"),
    (150, "bob", "close"), (199, "bob", "reactivate"),
]  # fmt: skip


def test_one_jump_of_a_year_is_three_hundred_steps_of_a_day(stores: Stores) -> None:
    with world(stores) as one:
        jumped = one.lives(STORY, [])
    with world(stores) as other:
        walked = other.lives(STORY, [START + (day + 1) * DAY for day in range(DAYS - 1)])
    assert jumped == walked
    statuses = sorted(re.findall(r"'(open|deleted|closed|pending|suspended)'", "".join(jumped["accounts"])))
    # Nobody paid after his trial; Ida's agreement had ended when support let her come back, so nothing runs out.
    assert statuses == [*["deleted"] * 4, "open"], "the story is told to its end"
    assert len(jumped["mails"]) >= 8 and jumped["media"]
    # The privacy area brings what destroys keys; until then such a job waits for it.
    assert not [row for row in jumped["job"] if "'parked'" in row and "destroy_key" not in row]


@LAW
@given(deeds=DEEDS, cuts=st.lists(st.integers(1, DAYS * 86_400 - 1), max_size=8))
def test_any_jump_comes_to_the_same_as_any_steps(
    stores: Stores, deeds: list[tuple[int, str, Deed]], cuts: list[int]
) -> None:
    instants = [START + DAY + datetime.timedelta(seconds=cut) for cut in cuts if cut < (DAYS - 1) * 86_400]
    with world(stores) as one:
        jumped = one.lives(deeds, [])
    with world(stores) as other:
        assert other.lives(deeds, instants) == jumped


@LAW
@given(deeds=DEEDS)
def test_any_job_of_the_product_run_twice_changes_nothing(stores: Stores, deeds: list[tuple[int, str, Deed]]) -> None:
    with world(stores) as one:
        before = one.lives(deeds, [])
        one.again()
        clockwork.settle(one.clock, one.work)
        assert one.everything() == before


def test_the_jobs_of_a_whole_story_run_twice_change_nothing(stores: Stores) -> None:
    with world(stores) as one:
        before = one.lives(STORY, [])
        assert one.again() >= 2
        clockwork.settle(one.clock, one.work)
        assert one.everything() == before


def test_the_story_mails_people_and_nobody_else(stores: Stores) -> None:
    with world(stores) as one:
        one.lives(STORY, [])
        mailbox = one.built.mailbox
        assert mailbox is not None
        assert {kept.to for kept in mailbox.newest()} <= {f"{name}@example.com" for name in PEOPLE}
        assert seen.mails(one.store) == [], "all of them have left, and nothing of them is kept"
