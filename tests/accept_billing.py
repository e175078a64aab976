"""`make accept-billing`: every line of "Done when" of billing that a program can check.

A host's way with her plan in a real browser (tests/billing_story.py) on SQLite and on PostgreSQL, with the ledger at
its end printed; then the tests of each numbered part, all of billing on PostgreSQL, rule coverage, broken guards and
planted faults. Pictures of every page on the way are in tests/artifacts/billing/. One line a check
(tests/acceptance.py), `BY EYE:` where only a person can judge, `N passed, N failed` last; exit code 1 when any failed.
Options: `--no-clone` leaves out the fresh clone, which fetches packages; `--story` tells the story alone.
"""

from __future__ import annotations

import asyncio
import functools
import socket
import sys
import tempfile
import time
from pathlib import Path

import httpx2
from playwright.async_api import Playwright, async_playwright

from tests import acceptance
from tests.accept_accounts import POSTGRESQL, engine
from tests.acceptance import Checks, Part
from tests.accounts_story import no_look
from tests.billing_story import STEPS, begun
from tests.control_plane.whole import answers
from tests.looks import Gallery
from tests.servers import ROOT, free_port

PICTURES = ROOT / "tests" / "artifacts" / "billing"
CP = "tests/control_plane"
API, PAGES = f"{CP}/api", f"{CP}/pages"
SURFACE = (
    *(f"{API}/test_{name}.py" for name in ("billing", "billing_payments", "billing_staff", "gateway_events")),
    f"{PAGES}/test_billing.py",
)
GATES = (f"{API}/test_gates.py", f"{API}/test_states.py", f"{CP}/billing/test_allowance.py")
BILLING = (f"{CP}/billing", f"{CP}/gateway", *SURFACE, f"{API}/test_gates.py", f"{API}/test_states.py")


def _billing(*names: str) -> tuple[str, ...]:
    return tuple(f"{CP}/billing/test_{name}.py" for name in names)


PARTS = (
    Part("1 catalogue, prices and their notices", _billing("catalogue", "price_notices")),
    Part(
        "2 subscriptions: the machine, freeze, orders, add-ons, who ends and returns",
        _billing(
            "agreement",
            "subscription",
            "subscription_lives",
            "subscriptions",
            "freeze",
            "orders",
            "add_ons",
            "following",
            "desk",
            "liability",
        ),
    ),
    Part("3, 4 money, taxes, invoices, PDF, export", _billing("charges", "tax", "document", "pdf", "words", "export")),
    Part(
        "5 gateway, both adapters; cards, settling, disputes; two workers; killed at every step; the model",
        (f"{CP}/gateway", *_billing("wallet", "settling", "disputes", "at_once", "killed", "model")),
    ),
    Part("6 gates: what may be done in each state, limits and what is used of them", GATES),
    Part("7 over HTTP and at the pages", SURFACE),
    Part("the two laws", (f"{CP}/test_laws.py",)),
    Part(
        "both engines: all of billing on PostgreSQL",
        ("-n", "2", "--dist", "loadfile", *BILLING, f"{CP}/test_laws.py"),
        POSTGRESQL,
    ),
)
BY_EYE = (
    f"the pictures in {PICTURES.relative_to(ROOT)}: does each say with days and sums what will happen before it does",
    "fresh clone: `make test` passes (run it there)",
    "docs/billing.md says each reading taken where the text is open",
    "docs/rule-coverage.md: rules, entries, and the share of planted faults that a test caught",
)


async def clone_has_prices() -> str:
    """`make run` in a clone serves the price list."""
    control = free_port(socket.SOCK_STREAM)
    with tempfile.TemporaryDirectory(prefix="stentor-billing-") as folder:

        async def prices() -> str:
            await answers(f"http://localhost:{control}")
            async with httpx2.AsyncClient(trust_env=False) as http:
                page = await http.get(f"http://localhost:{control}/prices")
            assert page.status_code == 200 and "Professional" in page.text
            return "and plans with their prices"

        return await acceptance.fresh_clone_runs(
            free_port(socket.SOCK_STREAM),
            *("--media-port", str(free_port(socket.SOCK_DGRAM))),
            *("--control-port", str(control), "--control-folder", folder),
            then=prices,
        )


async def tell(check: Checks, playwright: Playwright, name: str, gallery: Gallery | None) -> None:
    """The whole story on one engine; it ends at the first step that does not hold, for the rest stands on it."""
    with tempfile.TemporaryDirectory(prefix="stentor-billing-") as folder, engine(name) as database:
        async with begun(playwright, Path(folder), database, gallery or no_look) as story:
            for line, step in STEPS:
                if not await check(f"{name}: {line}", functools.partial(step, story)):
                    check.judge(f"{name}: the story was told to its end", False, "the rest stands on what failed")
                    return
            for row in story.printed:
                print(f"      {row}")
            problems = story.faults()
            check.judge(f"{name}: no page reported an error", not problems, "; ".join(problems)[:500] or "none")


async def main(arguments: list[str]) -> int:
    check = Checks(times=True)
    began = time.monotonic()
    if "--no-clone" in arguments or "--story" in arguments:
        print("LEFT OUT: fresh clone: `make run` serves plans and prices (--no-clone)")
    else:
        await check("fresh clone: make run serves plans and prices", clone_has_prices)
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
        for line, program in (
            ("rule coverage", "tests.control_plane.rule_coverage"),
            ("broken guards", "tests.control_plane.broken_guards"),
            ("planted faults", "tests.mutation"),
        ):
            await check(line, functools.partial(acceptance.says, "-m", program))
    for line in BY_EYE:
        print(f"BY EYE: {line}")
    print(f"in {time.monotonic() - began:.0f} s")
    for line in check.failed:
        print(f"failed: {line}")
    return check.report()


if __name__ == "__main__":
    raise SystemExit(asyncio.run(main(sys.argv[1:])))
