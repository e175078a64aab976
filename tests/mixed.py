"""Two Chromium and a Firefox at the product's page, for the test and for the acceptance."""

from __future__ import annotations

import contextlib

from tests.clients import BrowserClient, async_playwright, chromium
from tests.firefox import FAKE_TONE_HZ, firefox
from tests.media import fake_media
from tests.servers import Server, eventually

MEDIA = {"ada": fake_media(0, 500, source=1), "ben": fake_media(120, 700, source=2)}
SEEN_S = 30.0


async def two_chromium_and_a_firefox(server: Server, room: str) -> str:
    """Each sees and hears the other two, by colour and tone. Raises NotInTime or AssertionError."""
    async with async_playwright() as playwright, contextlib.AsyncExitStack() as stack:
        pages = []
        for name, each in MEDIA.items():
            context = await stack.enter_async_context(chromium(playwright, media=each))
            pages.append(await BrowserClient.at(context, server.origin, room, name))
        fox = await BrowserClient.at(await stack.enter_async_context(firefox()), server.origin, room, "fox")
        hues, tones = [each.hue_deg for each in MEDIA.values()], [each.tone_hz for each in MEDIA.values()]
        await fox.sees(hues, within_s=SEEN_S)
        await fox.hears(tones, within_s=SEEN_S)
        number = await fox.page.evaluate("() => window.stentor.me")
        for page, hue, tone in zip(pages, reversed(hues), reversed(tones), strict=True):
            await page.sees([hue], within_s=SEEN_S)
            await page.hears([tone, FAKE_TONE_HZ], within_s=SEEN_S)
            await _moves(page, number)
        problems = [f"{one.name}: {problem}" for one in (*pages, fox) for problem in one.problems]
        assert not problems, problems
    return "six pictures and six tones"


async def _moves(page: BrowserClient, participant: str) -> None:
    """Firefox's fake camera shows one colour that wanders: the tile is its own and not one frozen picture."""
    colours: set[float] = set()

    async def look() -> bool:
        tiles = [tile for tile in await page.tiles() if tile.participant == participant]
        colours.update(round(tile.hue_deg) for tile in tiles if tile.hue_deg is not None)
        return len(tiles) == 1 and len(colours) >= 3

    await eventually(look, within_s=SEEN_S, what=f"three colours of {participant} at {page.name}'s page")
