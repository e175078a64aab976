"""Looks at pages as people see them: pictures at a desk and on a telephone, and what is wrong with a page there.

What is wrong: it scrolls sideways, has words that are too faint, or one of the faults of accessibility.py (pages of the
control plane alone; the media server's page has tests of its own).
"""

from __future__ import annotations

from pathlib import Path

from playwright.async_api import Page

from tests.clients import SCRIPTS
from tests.control_plane.pages.accessibility import faults
from tests.control_plane.pages.browsing import parsed

DESK, PHONE = (1280, 800), (390, 844)
LOOKS = {"desk": (DESK, "light"), "phone": (PHONE, "light"), "dark": (DESK, "dark")}


class Gallery:
    """Takes pictures of pages into a folder; `wrong` gathers what is wrong with them, by page."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        for old in folder.glob("*.png"):
            old.unlink()
        self.wrong: dict[str, list[str]] = {}
        self.taken = 0

    async def __call__(self, page: Page, name: str) -> None:
        """As accounts_story.Look. The page is left as it was found."""
        usual, ours = page.viewport_size, bool(await page.locator('link[href*="/assets/"]').count())
        for look, ((width, height), scheme) in LOOKS.items():
            if scheme == "dark" and not ours:
                continue  # the media server's page is always dark
            await page.set_viewport_size({"width": width, "height": height})
            await page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
            await self._judge(page, f"{name}-{look}", width, ours)
            await page.screenshot(path=self._folder / f"{name}-{look}.png", full_page=True, animations="disabled")
            self.taken += 1
        await page.emulate_media(color_scheme="light")
        if usual is not None:
            await page.set_viewport_size(usual)

    async def _judge(self, page: Page, name: str, width: int, ours: bool) -> None:
        found = []
        wide = await page.evaluate("() => document.documentElement.scrollWidth")
        if wide > width:
            found.append(f"{wide} wide in {width}")
        # Colours fade from one scheme to the other; what is judged is where they end.
        await page.evaluate("() => Promise.allSettled(document.getAnimations().map((one) => one.finished))")
        await page.evaluate((SCRIPTS / "contrast.js").read_text())
        faint = await page.evaluate("() => stentorFaint()")
        found += [f"{words!r} has a contrast of {ratio}" for words, ratio in faint.items()]
        if ours:
            found += faults(parsed(await page.content()))
        if found:
            self.wrong[name] = found

    def judgement(self) -> str:
        return "; ".join(f"{name}: {', '.join(found)}" for name, found in self.wrong.items())
