"""Picture and sound of a pair of slots stay together while the pair is switched from one publisher to the next."""

from __future__ import annotations

import pytest

from tests import lipsync
from tests.clients import async_playwright
from tests.servers import Server

pytestmark = pytest.mark.browser


@pytest.mark.long
async def test_flash_and_beep_stay_together_through_three_switches(server: Server) -> None:
    async with async_playwright() as playwright:
        report = await lipsync.switch_pairs(playwright, server, "lipsync")
    assert report.seen == [1, 2, 3, 1]
    assert report.worst_ms <= lipsync.SKEW_MS, str(report)
