"""[I/O] The hooks that watch `entry` blocks (tests.control_plane.entries). A conftest of a folder whose tests name
entries loads them by `from tests.control_plane.coverage_plugin import *`.

With STENTOR_ENTRIES_TO set, the run's outcome is written to that file as JSON:
{"proved": {entry: [node ids that passed]}, "failed": [node ids of tests that failed while they ran], "broken": [node
ids of those that did not come so far: set-up, collection]}.
"""

from __future__ import annotations

import json
import os
import sys
import sysconfig
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest
from _pytest.assertion import util as rewritten

from tests.control_plane import entries

__all__ = [
    "pytest_collectreport",
    "pytest_runtest_logreport",
    "pytest_runtest_makereport",
    "pytest_runtest_setup",
    "pytest_sessionfinish",
]

_LIBRARIES = tuple(sysconfig.get_paths()[name] for name in ("purelib", "platlib", "stdlib"))
_PROVES = "proves"
_proved: dict[str, set[str]] = {}
_failed: set[str] = set()
_broken: set[str] = set()


def _count_raises() -> None:
    """`pytest.raises` has no hook, so its context tells us itself when it got what it waited for."""
    waits: Any = type(pytest.raises(ValueError))
    leave = waits.__exit__

    def leave_and_count(self: object, *error: object) -> bool:
        got = bool(leave(self, *error))
        if got:
            entries.asserted()
        return got

    waits.__exit__ = leave_and_count


_count_raises()


def _held(lineno: int, orig: str, expl: str) -> None:
    """Called by a rewritten `assert` that held. Packages that are plugins of pytest are rewritten too, and say nothing
    about the product."""
    file = sys._getframe(2).f_code.co_filename  # above it pytest's own call
    if not file.startswith(_LIBRARIES) and entries.says_something(orig):
        entries.asserted()


def _listen(on: bool) -> None:
    # The public hook `pytest_assertion_pass` is on for whole tests, and then every assert of Hypothesis is written out
    # in words: some tests take two hundred times as long. It stands on this variable; test_entries fails if it moves.
    rewritten._assertion_pass = _held if on else None


entries.listen = _listen


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    entries.begin(item.nodeid.partition("[")[0])


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.when == "call":
        proved = entries.end()
        if report.passed and not hasattr(report, "wasxfail"):
            # With the report it also comes from a process of pytest-xdist to the one that writes the outcome.
            report.user_properties.extend((_PROVES, name) for name in sorted(proved))
    return report


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    for key, name in report.user_properties:
        if key == _PROVES:
            _proved.setdefault(str(name), set()).add(report.nodeid)
    if report.failed:
        (_failed if report.when == "call" else _broken).add(report.nodeid)
        for tests in _proved.values():
            tests.discard(report.nodeid)


def pytest_collectreport(report: pytest.CollectReport) -> None:
    if report.failed:
        _broken.add(report.nodeid)


def pytest_sessionfinish(session: pytest.Session) -> None:
    to = os.environ.get("STENTOR_ENTRIES_TO")
    if to and not hasattr(session.config, "workerinput"):  # not in a process that pytest-xdist started
        told = {
            "proved": {name: sorted(tests) for name, tests in sorted(_proved.items()) if tests},
            "failed": sorted(_failed),
            "broken": sorted(_broken),
        }
        Path(to).write_text(json.dumps(told, indent=1))
