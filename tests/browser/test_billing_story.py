"""From a trial to the end of a plan, in a browser, and the ledger afterwards: the story of tests/billing_story.py."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.billing_story import STEPS, begun
from tests.clients import async_playwright

# A minute and a half: in `make test-all` and `make accept-billing`.
pytestmark = [pytest.mark.browser, pytest.mark.long]


async def test_a_host_tries_pays_freezes_expires_comes_back_and_leaves(tmp_path: Path) -> None:
    async with async_playwright() as playwright, begun(playwright, tmp_path) as story:
        for _, step in STEPS:
            await step(story)
        assert story.faults() == []
