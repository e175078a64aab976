"""A program that does work and is killed at its k-th step, kept running: Python and its libraries are loaded once."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from tests.servers import ROOT

# The step at which it is not killed.
NEVER = 0


class Program:
    """`module` reads a line for each run on its standard input, and answers "done STEPS" or "killed SIGNAL"."""

    def __init__(self, module: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", module],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def run(self, *told: object) -> int | None:
        """Steps taken; None when it was killed. The last word of the line is the step at which it is."""
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(" ".join(map(str, told)) + "\n")
        self._process.stdin.flush()
        how, number = self._process.stdout.readline().split()
        assert how == "done" or int(number) == signal.SIGKILL
        return int(number) if how == "done" else None

    def close(self) -> None:
        self._process.communicate()


@contextmanager
def running(module: str) -> Iterator[Program]:
    """It ends with the block."""
    program = Program(module)
    yield program
    program.close()
