"""What people do at the page beside seeing and hearing: share a screen, moderate."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.clients import BrowserClient, async_playwright, chromium
from tests.media import fake_media
from tests.servers import Server, eventually

pytestmark = pytest.mark.browser


@contextlib.asynccontextmanager
async def two_at(server: Server) -> AsyncIterator[tuple[BrowserClient, BrowserClient]]:
    async with async_playwright() as playwright, contextlib.AsyncExitStack() as stack:
        pages = []
        for name, media in (("ada", fake_media(0, 500, source=1)), ("ben", fake_media(120, 700, source=2))):
            context = await stack.enter_async_context(chromium(playwright, media=media))
            pages.append(await BrowserClient.at(context, server.origin, "page", name))
        await pages[0].sees([120.0])
        await pages[1].sees([0.0])
        yield pages[0], pages[1]


async def tracks_of(viewer: BrowserClient, name: str) -> dict[str, Any] | None:
    """The other's sources as the viewer's page knows them; None when that one is not there."""
    told: dict[str, Any] | None = await viewer.page.evaluate(
        "(name) => window.stentor.participants.find((each) => each.name === name)?.tracks ?? null", name
    )
    return told


async def test_a_shared_screen_is_a_tile_of_its_own_beside_the_camera_and_goes_again_and_again(server: Server) -> None:
    async with two_at(server) as (ada, ben):
        for _ in range(2):
            await ada.page.click("#share-toggle")

            async def shared() -> bool:
                tiles = await ben.tiles()
                return {tile.source for tile in tiles} == {"camera", "screen"} and all(tile.width for tile in tiles)

            await eventually(shared, within_s=15, what="ben sees ada's screen and ada")
            await ben.sees([0.0])
            await ada.page.click("#share-toggle")

            async def gone() -> bool:
                return await tracks_of(ben, "ada") == {"camera": {"muted": False}, "microphone": {"muted": False}}

            await eventually(gone, within_s=10, what="ada's screen is gone")
            await ben.sees([0.0])
        assert (ada.problems, ben.problems) == ([], [])


async def test_a_moderator_mutes_stops_and_removes_and_the_page_of_the_other_says_so(server: Server) -> None:
    async with two_at(server) as (ada, ben):
        for words, source in (("Mute", "microphone"), ("Stop video", "camera")):
            await ada.page.click("li.tile:not(.self) summary")
            await ada.page.locator("li.tile:not(.self) .menu button", has_text=words).click()

            async def off(source: str = source) -> bool:
                tracks = await tracks_of(ada, "ben")
                return tracks is not None and tracks[source]["muted"] is True

            await eventually(off, within_s=5, what=f"ben's {source} is off")

        async def told() -> bool:
            return "turned off by a moderator" in (await ben.page.text_content("#live") or "")

        await eventually(told, within_s=5, what="ben's page says who turned it off")
        await ada.page.click("li.tile:not(.self) summary")
        await ada.page.locator("li.tile:not(.self) .menu button", has_text="Remove").click()
        await ben.page.wait_for_selector("#ended", state="visible")
        assert await tracks_of(ada, "ben") is None
