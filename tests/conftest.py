"""A browser test, or one of times, that fails on a busy machine is run once more, loudly; on an idle one it fails.

Those tests, and others that are marked `alone`, run by themselves in `make test`; all others run in two processes.
Hypothesis tries fewer examples there than in `make test-all`: tests/examples.py.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Generator

import psutil
import pytest
from _pytest.runner import runtestprotocol
from hypothesis import settings

from tests.examples import THOROUGH
from tests.servers import Server

settings.register_profile(THOROUGH, settings.get_profile("default"))

# Above this share of all cores Chromium misses its own deadlines, whatever the server does. Lower, and true
# failures get a second chance; higher, and a busy neighbour fails the build.
BUSY_PERCENT = 90.0
# The markers of tests that a busy machine can fail.
AGAIN = ("browser", "timed")


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    """A fresh server of its own for this test."""
    async with Server() as started:
        yield started


@pytest.hookimpl(tryfirst=True)  # before `-m` chooses
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if any(map(item.get_closest_marker, AGAIN)):
            item.add_marker("alone")


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item, nextitem: pytest.Item | None) -> bool | None:
    if not any(map(item.get_closest_marker, AGAIN)) or not isinstance(item, pytest.Function):
        return None
    item.ihook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
    psutil.cpu_percent()  # the next call tells the mean since this one
    reports = runtestprotocol(item, nextitem=nextitem, log=False)
    load = psutil.cpu_percent()
    if any(report.failed for report in reports) and load > BUSY_PERCENT:
        _say(item, f"\n{item.nodeid} FAILED while the machine was {load:.0f} % busy: it runs once more\n")
        item._initrequest()
        reports = runtestprotocol(item, nextitem=nextitem, log=False)
    for report in reports:
        item.ihook.pytest_runtest_logreport(report=report)
    item.ihook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)
    return True


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    started = getattr(item, "funcargs", {}).get("server")
    if report.failed and isinstance(started, Server):
        report.sections.append(("the server's log", started.tail()))
    return report


def _say(item: pytest.Item, text: str) -> None:
    terminal = item.config.pluginmanager.get_plugin("terminalreporter")
    if terminal is not None:
        terminal.write(text, red=True, bold=True)
