"""[I/O] A process that charges, attempt after attempt, until it is killed; it prints each that was answered."""

from __future__ import annotations

import sys
from pathlib import Path

from control_plane.clock import TestClock
from control_plane.gateway.memory import MemoryGateway
from control_plane.money import Money
from tests.control_plane.gateway.rigs import NOW, SECRET, order

if __name__ == "__main__":
    directory, payer, token = sys.argv[1:]
    gateway = MemoryGateway(TestClock(NOW), SECRET, directory=Path(directory))
    for attempt in range(1, 1_000_000):
        gateway.charge(order(payer, token, f"inv-1:{attempt}", Money(1, "EUR")))
        print(attempt, flush=True)
