"""`make accept-accounts`: every line of "Done when" of the control plane's ground that a program can check.

The way of a host, a guest and the staff in real browsers (tests/accounts_story.py), on SQLite and on PostgreSQL, with a
control plane that dies in the middle of a call; then the tests of each numbered part, rule coverage, broken guards.
Pictures of every page on the way are in tests/artifacts/accounts/. One line a check (tests/acceptance.py), `BY EYE:`
where only a person can judge, `N passed, N failed` last; exit code 1 when any failed. Options: `--no-clone` leaves out
the fresh clone, which fetches packages; `--story` tells the story alone.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import socket
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import sqlalchemy as sa
from playwright.async_api import Playwright, async_playwright

from control_plane.running import audit
from control_plane.storage.store import Store
from tests import acceptance
from tests.acceptance import Checks, Part
from tests.accounts_killed import control_plane_dies
from tests.accounts_story import STEPS, Story, begun, no_look
from tests.control_plane import postgresql_server
from tests.control_plane.whole import answers
from tests.looks import Gallery
from tests.servers import ROOT, free_port

PICTURES = ROOT / "tests" / "artifacts" / "accounts"
# Between meeting by a link and the suspension, while both are in.
DEATH_AFTER = "they see and hear each other again"
CP = "tests/control_plane"
POSTGRESQL = {"STENTOR_TEST_POSTGRESQL": "1"}


def _files(folder: str, *names: str) -> tuple[str, ...]:
    return tuple(f"{CP}/{folder}/test_{name}.py" for name in names)


PARTS = (
    Part(
        "1 ground: jobs, outbox, money, periods, ledger, audit, migrations, kill -9",
        (
            f"{CP}/running",
            f"{CP}/storage",
            f"{CP}/ledger",
            f"{CP}/mail",
            *(f"{CP}/test_{name}.py" for name in ("clockwork", "money", "periods", "lints")),
        ),
    ),
    Part(
        "2 accounts: sign-up, sessions, keys, members, providers, staff",
        (
            f"{CP}/accounts",
            *_files("api", "entry", "identities", "members", "staff", "mails"),
            *_files("pages", "entry", "account"),
        ),
    ),
    Part("3 legal texts", (f"{CP}/legal", *_files("api", "legal"))),
    Part(
        "4 rooms: ids, limits, links, grants, policies, usage; the media server's side",
        (f"{CP}/rooms", *_files("pages", "rooms"), "tests/sfu/test_usage.py", "tests/sfu/test_uplink.py"),
    ),
    Part("5 surface: API, webhooks, pages, languages, role by route", (f"{CP}/api", f"{CP}/pages")),
    Part("the whole: sign-up to a call that a suspension ends", (f"{CP}/test_whole.py", "tests/browser/test_story.py")),
    Part(
        "both engines: the same tests on PostgreSQL",
        ("-n", "2", "--dist", "loadfile", "-m", "not alone", CP),
        POSTGRESQL,
    ),
    Part("both engines: what needs the machine alone, on PostgreSQL", ("-m", "alone", CP), POSTGRESQL),
)
BY_EYE = (
    f"the pictures in {PICTURES.relative_to(ROOT)}: is it clear on each what to do next",
    "fresh clone: `make test` passes (run it there)",
    "docs/control-plane.md, control-plane-legal.md and rooms.md say each reading taken where the text is open",
    "the page by keyboard alone, and read aloud by a screen reader",
)


async def clone_has_accounts() -> str:
    """`make run` in a clone serves the control plane's front page beside the call's."""
    control = free_port(socket.SOCK_STREAM)
    with tempfile.TemporaryDirectory(prefix="stentor-accounts-") as folder:

        async def front() -> str:
            await answers(f"http://localhost:{control}")
            return f"accounts at http://localhost:{control}"

        return await acceptance.fresh_clone_runs(
            free_port(socket.SOCK_STREAM),
            *("--media-port", str(free_port(socket.SOCK_DGRAM))),
            *("--control-port", str(control), "--control-folder", folder),
            then=front,
        )


@contextlib.contextmanager
def engine(name: str) -> Iterator[str]:
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


async def tell(check: Checks, playwright: Playwright, name: str, gallery: Gallery | None) -> None:
    """The whole story on one engine; it ends at the first step that does not hold, for the rest stands on it."""
    steps = [*STEPS]
    at = [line for line, _ in steps].index(DEATH_AFTER) + 1
    steps.insert(at, ("the control plane dies in the middle of it", control_plane_dies))
    with tempfile.TemporaryDirectory(prefix="stentor-accounts-") as folder, engine(name) as database:
        async with begun(playwright, Path(folder), database, gallery or no_look) as story:
            for line, step in steps:
                if not await check(f"{name}: {line}", functools.partial(step, story)):
                    check.judge(f"{name}: the story was told to its end", False, "the rest stands on what failed")
                    return
            problems = story.faults()
            check.judge(f"{name}: no page reported an error", not problems, "; ".join(problems)[:500] or "none")
            await check(f"{name}: every chain of the audit holds", functools.partial(chains_hold, story))


async def chains_hold(story: Story) -> str:
    """Read from the database itself, beside the running control plane."""
    store = Store(story.database or f"sqlite:///{story.folder / 'control-plane.sqlite'}")
    try:
        breaks = store.read(lambda connection: list(audit.verify(connection)))
        rows = store.read(lambda connection: connection.scalar(sa.text("SELECT count(*) FROM audit_entry")))
    finally:
        store.close()
    assert not breaks, breaks
    assert rows, "there are no rows"
    return f"{rows} rows"


async def main(arguments: list[str]) -> int:
    check = Checks(times=True)
    began = time.monotonic()
    if "--no-clone" in arguments or "--story" in arguments:
        print("LEFT OUT: fresh clone: `make run` serves accounts (--no-clone)")
    else:
        await check("fresh clone: make run serves accounts", clone_has_accounts)
    gallery = Gallery(PICTURES)
    async with async_playwright() as playwright:
        for name, seen in (("SQLite", gallery), ("PostgreSQL", None)):
            try:
                await tell(check, playwright, name, seen)
            except Exception as error:  # a browser or a server that does not start fails its story, not the rest
                check.judge(f"{name}: the story could be told", False, acceptance.short(error))
    judged = gallery.judgement() or f"{gallery.taken} pictures in {PICTURES.relative_to(ROOT)}"
    check.judge("no page is too wide, too faint or hard to reach", gallery.taken > 0 and not gallery.wrong, judged)
    if "--story" not in arguments:
        for part in PARTS:
            await check(part.line, functools.partial(acceptance.holds, part), again=True)
        await check("rule coverage", functools.partial(acceptance.says, "-m", "tests.control_plane.rule_coverage"))
        await check("broken guards", functools.partial(acceptance.says, "-m", "tests.control_plane.broken_guards"))
    for line in BY_EYE:
        print(f"BY EYE: {line}")
    print(f"in {time.monotonic() - began:.0f} s")
    for line in check.failed:
        print(f"failed: {line}")
    return check.report()


if __name__ == "__main__":
    raise SystemExit(asyncio.run(main(sys.argv[1:])))
