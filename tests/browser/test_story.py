"""From the front page to a call of two, its end by a suspension, and back: the story of tests/accounts_story.py."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.accounts_story import STEPS, begun
from tests.clients import async_playwright

pytestmark = pytest.mark.browser


async def test_a_host_a_guest_and_the_staff_from_sign_up_to_a_suspension_and_its_lift(tmp_path: Path) -> None:
    async with async_playwright() as playwright, begun(playwright, tmp_path) as story:
        for _, step in STEPS:
            await step(story)
        assert story.faults() == []
