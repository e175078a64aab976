"""kill -9 between any two steps of a sign-up and its verification: nothing is lost, nothing is doubled."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from pathlib import Path

import pytest

from control_plane.accounts.tables import accounts, declarations, free_uses, memberships, people
from control_plane.running import audit
from control_plane.storage.store import Store
from tests.control_plane import seen
from tests.control_plane.people import START

ROOT = Path(__file__).resolve().parents[3]
SEED = int(os.environ.get("STENTOR_SEED", "20261125"))
KILLS = 6


def run(store: Store, seed: int, die_at: int) -> tuple[int, str]:
    program = [sys.executable, "-m", "tests.control_plane.accounts.signing_up"]
    url = store.engine.url.render_as_string(hide_password=False)
    done = subprocess.run(
        [*program, url, str(seed), str(die_at)], cwd=ROOT, capture_output=True, text=True, timeout=120, check=False
    )
    return done.returncode, done.stdout or done.stderr


@pytest.mark.slow
def test_a_sign_up_that_is_killed_anywhere_and_tried_again_is_one_sign_up(store: Store) -> None:
    seen.publish_texts(store, START)
    source = random.Random(SEED)
    # So many steps does it take to get through; each run gets further, and dies somewhere on the way.
    at = killed = 0
    for number in range(KILLS):
        at += source.randrange(1, 45)
        code, said = run(store, number, at)
        if code == 0:
            break
        assert code == -9, said
        killed += 1
    assert killed >= 2
    code, said = run(store, 99, 0)
    assert code == 0, said
    counts = {
        table.name: len(store.read(lambda connection, table=table: list(connection.execute(table.select()))))  # type: ignore[misc]
        for table in (accounts, people, memberships, declarations, free_uses)
    }
    assert counts == {"accounts": 1, "people": 1, "memberships": 1, "declarations": 2, "free_uses": 1}
    assert store.read(lambda connection: connection.execute(accounts.select()).one().status) == "open"
    templates = [mail["template"] for mail in seen.mails(store)]
    assert templates == ["verification", "welcome"]
    codes = [row["code"] for row in seen.audit(store)]
    assert (codes.count("signed_up"), codes.count("verified")) == (1, 1)
    assert list(store.read(lambda connection: list(audit.verify(connection)))) == []
