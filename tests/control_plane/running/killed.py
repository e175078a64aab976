"""A process that does a small world's work and is killed by SIGKILL at its k-th step; a program of its own.

For each line "URL OUTSIDE NOWS_S K" on standard input it forks a child (so Python and its libraries are loaded once)
and prints how that ended. URL is the database; OUTSIDE a file that gets a line for each letter and each call of a
webhook that arrives; NOWS_S is where the clock stands one after another, in seconds after NOON; K the step (0: never).
A step is every statement sent to the database, before and after each commit, and before and after something leaves.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa
from sqlalchemy import event

from control_plane import clockwork
from control_plane.clock import TestClock
from control_plane.running import outbox, webhooks
from control_plane.running.outbound import Answer
from control_plane.running.outbox import Deliverer
from control_plane.running.work import Work
from control_plane.storage.store import Store
from tests.control_plane.running.made_up import HANDLERS, NOON, SECOND


class Steps:
    """Counts, and ends the process at the k-th."""

    def __init__(self, last: int) -> None:
        self.count, self.last = 0, last

    def step(self, *ignored: Any) -> None:
        self.count += 1
        if self.count == self.last:
            os.kill(os.getpid(), signal.SIGKILL)


def run(url: str, outside: str, nows_s: list[int], last: int) -> int:
    """Do all that is due at those times; returns how many steps it took."""
    store, steps = Store(url), Steps(last)
    arrived = os.open(outside, os.O_WRONLY | os.O_APPEND | os.O_CREAT)

    @event.listens_for(store.engine, "before_cursor_execute")
    def _statement(*ignored: Any) -> None:
        steps.step()

    @event.listens_for(store.engine, "commit")
    def _before_commit(connection: sa.Connection) -> None:
        connection.info["committed"] = True
        steps.step()

    @event.listens_for(store.engine, "checkin")
    def _after_commit(raw: Any, record: Any) -> None:
        if record.info.pop("committed", False):
            steps.step()

    def leave(line: str) -> None:
        steps.step()
        os.write(arrived, f"{line}\n".encode())
        steps.step()

    def carry(letter: outbox.Letter) -> None:
        leave(letter.key)

    def post(url: str, headers: Mapping[str, str], body: bytes) -> Answer:
        leave(headers["webhook-id"])
        return Answer(200, "")

    work = Work(store, HANDLERS, {"mail": Deliverer(carry)}, webhooks.Hooks(b"k" * 32, post))
    for now_s in nows_s:
        clockwork.settle(TestClock(NOON + now_s * SECOND), work)
    store.close()
    return steps.count


def main() -> None:
    for line in sys.stdin:
        url, outside, nows_s, last = line.split()
        reading, writing = os.pipe()
        sys.stdout.flush()
        child = os.fork()
        if child == 0:
            os.write(writing, str(run(url, outside, [int(now_s) for now_s in nows_s.split(",")], int(last))).encode())
            os._exit(0)
        os.close(writing)
        said = os.read(reading, 100).decode()
        os.close(reading)
        _, status = os.waitpid(child, 0)
        print(f"killed {os.WTERMSIG(status)}" if os.WIFSIGNALED(status) else f"done {said}", flush=True)


if __name__ == "__main__":
    main()
