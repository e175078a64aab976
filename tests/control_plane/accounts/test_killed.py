"""kill -9 between any two steps of a sign-up and its verification: nothing is lost, nothing is doubled."""

from __future__ import annotations

import os
import random
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
import sqlalchemy as sa

from control_plane.accounts.tables import accounts, declarations, free_uses, memberships, people
from control_plane.running import audit
from control_plane.storage.store import Store
from tests.control_plane import seen
from tests.control_plane.accounts.signing_up import email_of
from tests.control_plane.killable import Program, running
from tests.control_plane.people import START

SEED = int(os.environ.get("STENTOR_SEED", "20261125"))
KILLS = 10


class SignUps:
    """tests/control_plane/accounts/signing_up.py, at this database."""

    def __init__(self, store: Store, program: Program) -> None:
        self._url = store.engine.url.render_as_string(hide_password=False)
        self._program = program

    def run(self, number: int, seed: int, die_at: int = 0) -> int | None:
        """How many steps it took; None when it was killed at `die_at`."""
        return self._program.run(self._url, number, seed, die_at)


@pytest.fixture
def program(store: Store) -> Iterator[SignUps]:
    seen.publish_texts(store, START)
    with running("tests.control_plane.accounts.signing_up") as started:
        yield SignUps(store, started)


@pytest.mark.slow
@pytest.mark.parametrize("kills", [KILLS, pytest.param(0, marks=pytest.mark.long, id="every-step")])
def test_a_sign_up_that_is_killed_anywhere_and_tried_again_is_one_sign_up(
    store: Store, program: SignUps, kills: int
) -> None:
    steps = program.run(0, 0)
    assert steps is not None and steps > 100
    at = range(1, steps + 1)
    dying = sorted(random.Random(SEED).sample(at, kills)) if kills else list(at)
    for number, die_at in enumerate(dying, 1):
        assert program.run(number, 2 * number, die_at) is None, f"step {die_at} of {steps}"
        assert program.run(number, 2 * number + 1) is not None, f"after a kill at step {die_at} of {steps}"
    people_there = len(dying) + 1

    def look(connection: sa.Connection) -> dict[str, Any]:
        tables = (accounts, people, memberships, declarations, free_uses)
        counts = {table.name: len(list(connection.execute(table.select()))) for table in tables}
        return counts | {"open": len(list(connection.execute(accounts.select().where(accounts.c.status == "open"))))}

    each = {"accounts": 1, "people": 1, "memberships": 1, "declarations": 2, "free_uses": 1, "open": 1}
    assert store.read(look) == {name: count * people_there for name, count in each.items()}
    mails = Counter((mail["to"], mail["template"]) for mail in seen.mails(store))
    wanted = [(email_of(number), kind) for number in range(people_there) for kind in ("verification", "welcome")]
    assert mails == Counter(wanted)
    codes = Counter(row["code"] for row in seen.audit(store))
    assert (codes["signed_up"], codes["verified"]) == (people_there, people_there)
    assert list(store.read(lambda connection: list(audit.verify(connection)))) == []
