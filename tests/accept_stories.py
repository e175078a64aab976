"""The frame of an acceptance that tells a story in real browsers on both engines, then runs the tests of each part.

What is told and which parts there are stands in accept_accounts.py and accept_billing.py. Options of each: `--no-clone`
leaves out the fresh clone, which fetches packages; `--story` tells the story alone.
"""

from __future__ import annotations

import contextlib
import functools
import socket
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TypeVar

from playwright.async_api import Playwright, async_playwright

from control_plane.storage.store import Store
from tests import acceptance
from tests.acceptance import Checks, Part
from tests.accounts_story import Look, no_look
from tests.control_plane import postgresql_server
from tests.control_plane.whole import answers
from tests.looks import Gallery
from tests.servers import ROOT, free_port

CP = "tests/control_plane"
POSTGRESQL = {"STENTOR_TEST_POSTGRESQL": "1"}
# What every acceptance of the control plane runs after its parts.
COVERAGE = (("rule coverage", f"{CP}/rule_coverage"), ("broken guards", f"{CP}/broken_guards"))


class Told(Protocol):
    """A story that is being told."""

    def faults(self) -> list[str]:
        """What browsers complained of."""
        ...


S = TypeVar("S", bound=Told)


@dataclass(frozen=True)
class Whole:
    """`serves`: what a fresh clone is looked at for, and `clone`, the look at its control plane's address. `tell` tells
    the story on one engine with a database (control.database). `programs`: a line and the file of a program of ours."""

    serves: str
    clone: Callable[[str], Awaitable[str]]
    pictures: Path
    tell: Callable[[Checks, Playwright, str, str, Look], Awaitable[None]]
    parts: tuple[Part, ...]
    by_eye: tuple[str, ...]
    programs: tuple[tuple[str, str], ...] = COVERAGE


async def run(whole: Whole, arguments: Sequence[str]) -> int:
    """The exit code."""
    check, began = Checks(times=True), time.monotonic()
    line = f"fresh clone: make run serves {whole.serves}"
    if "--no-clone" in arguments or "--story" in arguments:
        print(f"LEFT OUT: {line} (--no-clone)")
    else:
        await check(line, functools.partial(_clone, whole))
    gallery = Gallery(whole.pictures)
    async with async_playwright() as playwright:
        for name, look in (("SQLite", gallery), ("PostgreSQL", no_look)):
            try:
                with _engine(name) as database:
                    await whole.tell(check, playwright, name, database, look)
            except Exception as error:  # a browser or a server that does not start fails its story, not the rest
                check.judge(f"{name}: the story could be told", False, acceptance.short(error))
    judged = gallery.judgement() or f"{gallery.taken} pictures in {whole.pictures.relative_to(ROOT)}"
    check.judge("no page is too wide, too faint or hard to reach", gallery.taken > 0 and not gallery.wrong, judged)
    if "--story" not in arguments:
        for part in whole.parts:
            await check(part.line, functools.partial(acceptance.holds, part), again=True)
        for line, file in whole.programs:
            await check(line, functools.partial(acceptance.says, "-m", file.replace("/", ".")))
    for line in (
        f"the pictures in {whole.pictures.relative_to(ROOT)}: is it clear on each what to do next",
        *whole.by_eye,
    ):
        print(f"BY EYE: {line}")
    print(f"in {time.monotonic() - began:.0f} s")
    for line in check.failed:
        print(f"failed: {line}")
    return check.report()


async def tell_steps(
    check: Checks, name: str, steps: Sequence[tuple[str, Callable[[S], Awaitable[str]]]], story: S
) -> bool:
    """One line a step. It ends at the first that does not hold, for the rest stands on it: then False."""
    for line, step in steps:
        if not await check(f"{name}: {line}", functools.partial(step, story)):
            check.judge(f"{name}: the story was told to its end", False, "the rest stands on what failed")
            return False
    problems = story.faults()
    check.judge(f"{name}: no page reported an error", not problems, "; ".join(problems)[:500] or "none")
    return True


async def _clone(whole: Whole) -> str:
    """`make run` in a clone serves the control plane beside the call's page."""
    control = free_port(socket.SOCK_STREAM)
    origin = f"http://localhost:{control}"
    with tempfile.TemporaryDirectory(prefix="stentor-accepted-") as folder:

        async def look() -> str:
            await answers(origin)
            return await whole.clone(origin)

        return await acceptance.fresh_clone_runs(
            free_port(socket.SOCK_STREAM),
            *("--media-port", str(free_port(socket.SOCK_DGRAM))),
            *("--control-port", str(control), "--control-folder", folder),
            then=look,
        )


@contextlib.contextmanager
def _engine(name: str) -> Iterator[str]:
    """control.database of a fresh database."""
    if name == "SQLite":
        yield ""
        return
    with postgresql_server.running() as address:
        server = Store(address.format("postgres"))
        with server.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.exec_driver_sql("CREATE DATABASE stentor")
        server.close()
        yield address.format("stentor")
