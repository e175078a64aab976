"""[I/O] A process that renews a subscription and is killed by SIGKILL at its k-th step: a program of its own.

For each line "FOLDER K" on standard input it forks a child (so Python and its libraries are loaded once) and prints how
that ended. FOLDER holds the database and the gateway's own; K is the step (0: never). A step is before each statement
that is sent to the database, before and after each commit, and before and after each request to the gateway.
"""

from __future__ import annotations

import datetime
import os
import signal
import sys
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy import event

from control_plane import clockwork
from control_plane.gateway.memory import MemoryGateway
from control_plane.gateway.port import ChargeOrder, Outcome
from control_plane.storage.store import Store
from tests.control_plane.billing.till import till

MINUTE = datetime.timedelta(minutes=1)


class Watched(MemoryGateway):
    """The gateway, whose answers may find nobody any more."""

    step: Any = staticmethod(lambda: None)

    def charge(self, order: ChargeOrder) -> Outcome:
        self.step()
        outcome = super().charge(order)
        self.step()
        return outcome


def run(folder: Path, at: datetime.datetime, last: int) -> int:
    """Do all that is due then and in the minutes after; returns how many steps it took."""
    store = Store(f"sqlite:///{folder / 'stentor.sqlite'}")
    steps = 0

    def step(*_: Any) -> None:
        nonlocal steps
        steps += 1
        if steps == last:
            os.kill(os.getpid(), signal.SIGKILL)

    @event.listens_for(store.engine, "commit")
    def _before_commit(connection: sa.Connection) -> None:
        connection.info["committed"] = True
        step()

    @event.listens_for(store.engine, "checkin")
    def _after_commit(raw: Any, record: Any) -> None:
        if record.info.pop("committed", False):
            step()

    with till(store, at, gateway=Watched, directory=folder, publish=False) as here:
        assert isinstance(here.gateway, Watched)
        here.gateway.step = step
        event.listen(store.engine, "before_cursor_execute", step)
        # A lease is over after ten minutes, and what failed once is tried again.
        for later in (0, 10, 20):
            here.clock.advance_to(at + later * MINUTE)
            clockwork.settle(here.clock, here.work)
    store.close()
    return steps


def main() -> None:
    for line in sys.stdin:
        folder, at, last = line.split()
        reading, writing = os.pipe()
        sys.stdout.flush()
        child = os.fork()
        if child == 0:
            os.write(writing, str(run(Path(folder), datetime.datetime.fromisoformat(at), int(last))).encode())
            os._exit(0)
        os.close(writing)
        said = os.read(reading, 100).decode()
        os.close(reading)
        _, status = os.waitpid(child, 0)
        print(f"killed {os.WTERMSIG(status)}" if os.WIFSIGNALED(status) else f"done {said}", flush=True)


if __name__ == "__main__":
    main()
