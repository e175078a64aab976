"""`make accept-accounts`: every line of "Done when" of the control plane's ground that a program can check.

The way of a host, a guest and the staff in real browsers (tests/accounts_story.py), on SQLite and on PostgreSQL, with a
control plane that dies in the middle of a call; then the tests of each numbered part, rule coverage, broken guards.
Pictures of every page on the way are in tests/artifacts/accounts/. One line a check (tests/acceptance.py), `BY EYE:`
where only a person can judge, `N passed, N failed` last; exit code 1 when any failed. Options: `--no-clone` leaves out
the fresh clone, which fetches packages; `--story` tells the story alone.
"""

from __future__ import annotations

import asyncio
import functools
import sys
import tempfile
from pathlib import Path

import sqlalchemy as sa
from playwright.async_api import Playwright

from control_plane.running import audit
from control_plane.storage.store import Store
from tests import accept_stories
from tests.accept_stories import CP, POSTGRESQL, Whole
from tests.acceptance import Checks, Part
from tests.accounts_killed import control_plane_dies
from tests.accounts_story import STEPS, Look, Story, begun
from tests.servers import ROOT

PICTURES = ROOT / "tests" / "artifacts" / "accounts"
# Between meeting by a link and the suspension, while both are in.
DEATH_AFTER = "they see and hear each other again"


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
    "fresh clone: `make test` passes (run it there)",
    "docs/control-plane.md, control-plane-legal.md and rooms.md say each reading taken where the text is open",
    "the page by keyboard alone, and read aloud by a screen reader",
)


async def front(origin: str) -> str:
    """That it answers at all is what counts."""
    return f"accounts at {origin}"


async def tell(check: Checks, playwright: Playwright, name: str, database: str, look: Look) -> None:
    """The whole story on one engine, with a control plane that dies in the middle of it."""
    steps = [*STEPS]
    at = [line for line, _ in steps].index(DEATH_AFTER) + 1
    steps.insert(at, ("the control plane dies in the middle of it", control_plane_dies))
    with tempfile.TemporaryDirectory(prefix="stentor-accounts-") as folder:
        async with begun(playwright, Path(folder), database, look) as story:
            if await accept_stories.tell_steps(check, name, steps, story):
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


WHOLE = Whole("accounts", front, PICTURES, tell, PARTS, BY_EYE)

if __name__ == "__main__":
    raise SystemExit(asyncio.run(accept_stories.run(WHOLE, sys.argv[1:])))
