"""[I/O] A process that signs somebody up and verifies him, and kills itself at a step: run by test_killed."""

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
from control_plane.clock import TestClock
from control_plane.storage.store import Store
from tests.control_plane import seen
from tests.control_plane.people import FINGERPRINT_KEY, START, drawn, settings

KEY = {"Idempotency-Key": "one-and-the-same-sign-up"}


def main(url: str, seed: int, die_at: int) -> None:
    """Sign up, then verify, each under its own key. `die_at` counts statements and commits; 0 is never."""
    store = Store(url)
    steps = 0

    def step(*_: Any) -> None:
        nonlocal steps
        steps += 1
        if steps == die_at:
            os.kill(os.getpid(), signal.SIGKILL)

    app = application(store, TestClock(START), settings(setup=Setup(FINGERPRINT_KEY, draw=drawn(seed))))
    client = TestClient(app, base_url="https://stentor.test")
    event.listen(store.engine, "before_cursor_execute", step)
    event.listen(store.engine, "commit", step)
    event.listen(sa.Engine, "after_cursor_execute", step)
    from tests.control_plane.people import TEXTS

    form = {
        "email": "jane@example.com",
        "password": "a long enough pass phrase",
        "business": True,
        "adult": True,
        "accepted": TEXTS,
        "business_name": "Acme",
    }
    assert client.post("/api/v1/sign-ups", json=form, headers=KEY).status_code == 202
    token = seen.mails(store, "jane@example.com", "verification")[-1]["values"]["token"]
    second = {"Idempotency-Key": "one-and-the-same-verifying"}
    answer = client.post("/api/v1/verifications", json={"token": token}, headers=second)
    assert answer.status_code == 200, answer.text
    print(steps)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
