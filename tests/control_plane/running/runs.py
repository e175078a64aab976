"""A runner as a process: does what is due until it is told to end (SIGTERM). `python -m … URL OUTSIDE`."""

from __future__ import annotations

import os
import signal
import sys
import threading

from control_plane.clock import SystemClock
from control_plane.running import outbox
from control_plane.running.outbox import Deliverer
from control_plane.running.runner import Bell, Runner, ring_after_commits
from control_plane.running.work import Work
from control_plane.storage.store import Store
from tests.control_plane.running.made_up import HANDLERS


def main() -> None:
    store, bell, ending = Store(sys.argv[1]), Bell(), threading.Event()
    arrived = os.open(sys.argv[2], os.O_WRONLY | os.O_APPEND | os.O_CREAT)

    def carry(letter: outbox.Letter) -> None:
        os.write(arrived, f"{letter.key}\n".encode())

    signal.signal(signal.SIGTERM, lambda *ignored: ending.set())
    ring_after_commits(store, bell)
    running = Runner(Work(store, HANDLERS, {"mail": Deliverer(carry)}), SystemClock(), bell)
    running.start()
    ending.wait()
    sys.exit(0 if running.stop() else 1)


if __name__ == "__main__":
    main()
