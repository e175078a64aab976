"""kill -9 between any two steps of a renewal: one invoice, one charge at the gateway, one period, the same books."""

from __future__ import annotations

import contextlib
import datetime
import random
import shutil
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from control_plane.billing.tables import invoices, payments, periods, subscriptions
from control_plane.ledger import journal
from control_plane.storage.store import Store
from tests.control_plane.billing.till import MONTHLY, till
from tests.control_plane.killable import NEVER, Program, running

START = datetime.datetime(2026, 11, 22, 9, 30, tzinfo=datetime.UTC)
BOUNDARY = datetime.datetime(2026, 12, 22, tzinfo=datetime.UTC)


@pytest.fixture(scope="module")
def program() -> Iterator[Program]:
    """Told a folder, where the clock stands, and the step at which it is killed."""
    with running("tests.control_plane.billing.killed") as started:
        yield started


@pytest.fixture
def eve(migrated: bytes, folder: Path) -> Path:
    """The night before the renewal of one who bought an add-on as well. SQLite, whatever the others run on."""
    made = folder / "eve"
    made.mkdir()
    (made / "stentor.sqlite").write_bytes(migrated)
    store = Store(f"sqlite:///{made / 'stentor.sqlite'}")
    with till(store, START, directory=made) as at:
        jane = at.customer(country="DE")
        jane.orders(MONTHLY)
        jane.buys("storage")
        at.until(BOUNDARY - datetime.timedelta(seconds=1))
    store.close()
    return made


def found(folder: Path) -> dict[str, Any]:
    """What was billed and booked, and what the gateway took."""
    store = Store(f"sqlite:///{folder / 'stentor.sqlite'}")

    def look(connection: sa.Connection) -> dict[str, Any]:
        rows = {
            table.name: sorted(map(repr, connection.execute(sa.select(*columns))))
            for table, columns in (
                (invoices, (invoices.c.id, invoices.c.state, invoices.c.number, invoices.c.gross)),
                (payments, (payments.c.key, payments.c.state, payments.c.received)),
                (periods, (periods.c.first, periods.c.end, periods.c.invoice)),
                (subscriptions, (subscriptions.c.state, subscriptions.c.machine)),
            )
        }
        posted = sorted((one.idem_key, one.reason, one.lines) for one in journal.transactions(connection))
        return rows | {"posted": posted}

    seen = store.read(look)
    store.close()
    with contextlib.closing(sqlite3.connect(folder / "gateway.sqlite")) as gateway:
        (seen["charges"],) = gateway.execute("SELECT count(*) FROM record WHERE kind = 'Charge'").fetchone()
    return seen


def copy_of(eve: Path, name: str) -> Path:
    made = eve.parent / name
    shutil.copytree(eve, made)
    return made


def killed_and_done(program: Program, eve: Path, steps: list[int], wanted: dict[str, Any]) -> None:
    for step in steps:
        made = copy_of(eve, f"at-{step}")
        assert program.run(made, BOUNDARY.isoformat(), step) is None
        program.run(made, (BOUNDARY + datetime.timedelta(hours=1)).isoformat(), NEVER)
        assert found(made) == wanted, f"killed at step {step}"
        shutil.rmtree(made)


def whole(program: Program, eve: Path) -> tuple[int, dict[str, Any]]:
    """How many steps a renewal takes that nobody kills, and what it comes to."""
    made = copy_of(eve, "whole")
    steps = program.run(made, BOUNDARY.isoformat(), NEVER)
    assert steps is not None and steps > 50
    wanted = found(made)
    assert wanted["charges"] == 3 and len(wanted["periods"]) == 2
    return steps, wanted


def test_a_renewal_that_is_killed_at_any_step_charges_once(program: Program, eve: Path) -> None:
    steps, wanted = whole(program, eve)
    killed_and_done(program, eve, sorted(random.Random(5).sample(range(1, steps + 1), 12)), wanted)


@pytest.mark.long
def test_a_renewal_that_is_killed_at_each_step_charges_once(program: Program, eve: Path) -> None:
    steps, wanted = whole(program, eve)
    killed_and_done(program, eve, list(range(1, steps + 1)), wanted)
