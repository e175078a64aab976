"""`make accept-billing`: every line of "Done when" of billing that a program can check.

A host's way with her plan in a real browser (tests/billing_story.py) on SQLite and on PostgreSQL, with the ledger at
its end printed; then the tests of each numbered part, all of billing on PostgreSQL, rule coverage, broken guards and
planted faults. Pictures of every page on the way are in tests/artifacts/billing/. One line a check
(tests/acceptance.py), `BY EYE:` where only a person can judge, `N passed, N failed` last; exit code 1 when any failed.
Options: `--no-clone` leaves out the fresh clone, which fetches packages; `--story` tells the story alone.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
from pathlib import Path

import httpx2
from playwright.async_api import Playwright

from tests import accept_stories
from tests.accept_stories import COVERAGE, CP, POSTGRESQL, Whole
from tests.acceptance import Checks, Part
from tests.accounts_story import Look
from tests.billing_story import STEPS, begun
from tests.servers import ROOT

PICTURES = ROOT / "tests" / "artifacts" / "billing"
API, PAGES = f"{CP}/api", f"{CP}/pages"
SURFACE = (
    *(f"{API}/test_{name}.py" for name in ("billing", "billing_payments", "billing_staff", "gateway_events")),
    *(f"{PAGES}/test_{name}.py" for name in ("billing", "subscribed", "desk_billing", "desk_return", "hosted")),
)
USED = (f"{CP}/rooms/test_usage.py", f"{CP}/rooms/test_stored.py")
GATES = (f"{API}/test_gates.py", f"{API}/test_states.py", f"{CP}/billing/test_allowance.py", *USED)
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
    Part(
        "7 over HTTP and at the pages, Stripe's own fields on them", (*SURFACE, "tests/browser/test_stripe_fields.py")
    ),
    Part("the two laws", (f"{CP}/test_laws.py",)),
    Part(
        "both engines: all of billing on PostgreSQL",
        ("-n", "2", "--dist", "loadfile", *BILLING, f"{CP}/test_laws.py"),
        POSTGRESQL,
    ),
)
BY_EYE = (
    "does each page say with days and sums what will happen before it does",
    "fresh clone: `make test` passes (run it there)",
    "docs/billing.md says each reading taken where the text is open",
    "docs/rule-coverage.md: rules, entries, and the share of planted faults that a test caught",
)


async def prices(origin: str) -> str:
    """The public price list is there."""
    async with httpx2.AsyncClient(trust_env=False) as http:
        page = await http.get(f"{origin}/prices")
    assert page.status_code == 200 and "Professional" in page.text
    return f"prices at {origin}/prices"


async def tell(check: Checks, playwright: Playwright, name: str, database: str, look: Look) -> None:
    """The whole story on one engine, with the ledger at its end."""
    with tempfile.TemporaryDirectory(prefix="stentor-billing-") as folder:
        async with begun(playwright, Path(folder), database, look) as story:
            await accept_stories.tell_steps(check, name, STEPS, story)
            for row in story.printed:
                print(f"      {row}")


PROGRAMS = (*COVERAGE, ("planted faults", "tests/mutation"))
WHOLE = Whole("plans and prices", prices, PICTURES, tell, PARTS, BY_EYE, PROGRAMS)

if __name__ == "__main__":
    raise SystemExit(asyncio.run(accept_stories.run(WHOLE, sys.argv[1:])))
