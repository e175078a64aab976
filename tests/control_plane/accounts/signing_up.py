"""[I/O] A process that signs somebody up and verifies him, and is killed by SIGKILL at its k-th step: a program of its
own for test_killed.

For each line "URL NUMBER SEED K" on standard input it forks a child (so Python and its libraries are loaded once) and
prints how that ended. NUMBER makes the person and the Idempotency-Keys of his two requests; SEED the randomness of this
process; K the step (0: never). A step is before and after every statement, and before and after each commit.
"""

from __future__ import annotations

import os
import signal
import sys
from typing import Any

import sqlalchemy as sa
from fastapi.testclient import TestClient
from sqlalchemy import event

from control_plane.accounts.setup import Setup
from control_plane.api.app import application
from control_plane.api.limits import LIMITS, Limit
from control_plane.clock import TestClock
from control_plane.storage.store import Store
from tests.control_plane import seen
from tests.control_plane.people import FINGERPRINT_KEY, PASSWORD, START, TEXTS, drawn, settings


def email_of(number: int) -> str:
    return f"jane{number}@example.com"


def run(url: str, number: int, seed: int, die_at: int) -> int:
    """Sign up, then verify, each under its own key; how many steps that took."""
    store = Store(url)
    steps = 0

    def step(*_: Any) -> None:
        nonlocal steps
        steps += 1
        if steps == die_at:
            os.kill(os.getpid(), signal.SIGKILL)

    limits = {name: Limit(1_000_000, 1) for name in LIMITS}
    setup = Setup(FINGERPRINT_KEY, "https://stentor.test", drawn(seed))
    client = TestClient(
        application(store, TestClock(START), settings(setup=setup, limits=limits)), base_url="https://stentor.test"
    )

    @event.listens_for(store.engine, "commit")
    def _before_commit(connection: sa.Connection) -> None:
        connection.info["committed"] = True
        step()

    @event.listens_for(store.engine, "checkin")
    def _after_commit(raw: Any, record: Any) -> None:
        if record.info.pop("committed", False):
            step()

    event.listen(store.engine, "before_cursor_execute", step)
    event.listen(store.engine, "after_cursor_execute", step)
    form = {
        "email": email_of(number),
        "password": PASSWORD,
        "business": True,
        "adult": True,
        "accepted": TEXTS,
        "business_name": "Acme",
    }
    first = {"Idempotency-Key": f"one-and-the-same-sign-up-{number}"}
    assert client.post("/api/v1/sign-ups", json=form, headers=first).status_code == 202
    token = seen.mails(store, email_of(number), "verification")[-1]["values"]["token"]
    second = {"Idempotency-Key": f"one-and-the-same-verifying-{number}"}
    answer = client.post("/api/v1/verifications", json={"token": token}, headers=second)
    assert answer.status_code == 200, answer.text
    store.close()
    return steps


def main() -> None:
    for line in sys.stdin:
        url, number, seed, die_at = line.split()
        reading, writing = os.pipe()
        sys.stdout.flush()
        child = os.fork()
        if child == 0:
            try:
                os.write(writing, str(run(url, int(number), int(seed), int(die_at))).encode())
            finally:
                os._exit(0)
        os.close(writing)
        said = os.read(reading, 100).decode()
        os.close(reading)
        _, status = os.waitpid(child, 0)
        print(f"killed {os.WTERMSIG(status)}" if os.WIFSIGNALED(status) else f"done {said or 0}", flush=True)


if __name__ == "__main__":
    main()
