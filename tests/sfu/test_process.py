"""What a process says of itself is what others see of it."""

from __future__ import annotations

import os
import time

import psutil

from sfu.process import process_use


def test_memory_files_and_time_are_those_of_this_process() -> None:
    used, seen = process_use(), psutil.Process()
    assert abs(used.resident_bytes - seen.memory_info().rss) < 8 * 1024 * 1024
    assert used.open_files_max == seen.rlimit(psutil.RLIMIT_NOFILE)[0]
    with open(os.devnull) as _:
        assert process_use().open_files == used.open_files + 1
    until = time.process_time() + 0.05
    while time.process_time() < until:
        pass
    assert process_use().cpu_s >= used.cpu_s + 0.04
