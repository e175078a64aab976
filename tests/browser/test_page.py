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

# The id of the device whose track is sent.
SENT = """(kind) => window.stentor.pc.getSenders().map(({track}) => track)
    .find((track) => track?.kind === (kind === "camera" ? "video" : "audio"))?.getSettings().deviceId ?? null"""
# Chromium without a screen plays without a click, whatever its policy says; so the policy is played here.
ASKS_FOR_A_CLICK = """(() => {
    const { play } = HTMLMediaElement.prototype;
    let clicked = false;
    addEventListener("click", () => { clicked = true; }, true);
    HTMLMediaElement.prototype.play = function () {
        if (clicked) return play.call(this);
        this.pause();
        return Promise.reject(new DOMException("play() before a click", "NotAllowedError"));
    };
})()"""
PLAYS = "() => [...document.querySelectorAll('audio')].some((audio) => !audio.paused && audio.currentTime > 0)"


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


async def test_another_camera_and_microphone_are_chosen_in_the_middle_of_a_call(server: Server) -> None:
    # Of Chromium's pretended cameras the second one knows no format that a call can use; the first and third do.
    three = ("--use-fake-device-for-media-stream=device-count=3",)
    async with async_playwright() as playwright, chromium(playwright, flags=three) as near, chromium(playwright) as far:
        ada = await BrowserClient.at(near, server.origin, "devices", "ada")
        ben = await BrowserClient.at(far, server.origin, "devices", "ben")

        async def received(kind: str) -> int:
            rows = await ben.page.evaluate("() => window.stentor.stats()")
            return sum(row["packetsReceived"] for row in rows if row["type"] == "inbound-rtp" and row["kind"] == kind)

        async def more(kind: str) -> None:
            start = await received(kind)

            async def look() -> bool:
                return await received(kind) > start + 50

            await eventually(look, within_s=15, what=f"more {kind} of ada's comes to ben")

        await more("video")
        await ada.page.keyboard.press("d")
        for device, kind in (("camera", "video"), ("microphone", "audio")):
            other = await ada.page.locator(f"#call-{device} option").last.get_attribute("value")
            assert await ada.page.evaluate(SENT, device) != other
            await ada.page.select_option(f"#call-{device}", other)

            async def changed(device: str = device, other: str | None = other) -> bool:
                return bool(await ada.page.evaluate(SENT, device) == other)

            await eventually(changed, within_s=10, what=f"the other {device} is sent")
            await more(kind)

        async def both_on() -> bool:
            return await tracks_of(ben, "ada") == {"camera": {"muted": False}, "microphone": {"muted": False}}

        await eventually(both_on, within_s=10, what="neither is muted for ben")
        assert (ada.problems, ben.problems) == ([], [])


async def test_where_the_browser_wants_a_click_before_it_plays_the_page_asks_for_one(server: Server) -> None:
    media = fake_media(0, 500, source=1)
    async with async_playwright() as playwright, chromium(playwright, media=media) as near:
        await BrowserClient.at(near, server.origin, "click", "ada")
        async with chromium(playwright) as far:
            page = await far.new_page()
            await page.add_init_script(ASKS_FOR_A_CLICK)
            await page.goto(f"{server.origin}/?room=click&name=ben&join=1")
            await page.wait_for_selector("#hear", state="visible")
            await page.click("#hear")
            await page.wait_for_selector("#hear", state="hidden")
            await page.wait_for_function(PLAYS)


async def test_on_a_small_phone_every_control_is_on_the_screen_and_every_key_works(server: Server) -> None:
    async with two_at(server) as (ada, ben):
        await ada.page.set_viewport_size({"width": 360, "height": 640})
        for control in await ada.page.locator(".toolbar button").all():
            box = await control.bounding_box()
            assert box is not None and box["x"] >= 0 and box["x"] + box["width"] <= 360 and box["height"] >= 40
        for key, source in (("m", "microphone"), ("v", "camera")):
            for muted in (True, False):
                await ada.page.keyboard.press(key)

                async def told(source: str = source, muted: bool = muted) -> bool:
                    tracks = await tracks_of(ben, "ada")
                    return tracks is not None and tracks[source]["muted"] is muted

                await eventually(told, within_s=10, what=f"ben knows that ada's {source} is muted: {muted}")
        await ada.page.focus("li.tile:not(.self) summary")
        await ada.page.keyboard.press("Enter")
        await ada.page.keyboard.press("Tab")
        assert await ada.page.evaluate("() => document.activeElement.textContent") == "Mute"
        await ada.page.keyboard.press("Escape")
        assert await ada.page.evaluate("() => document.querySelector('.menu[open]')") is None
