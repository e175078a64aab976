"""Firefox beside Chromium: each sees and hears the other, by the tests' client and at the product's page.

An ordinary tab of Firefox never reaches 127.0.0.1 by media, so the server has addresses of its own, in a network
namespace; it offers nothing of loopback there.
"""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest

from tests.clients import TONE_TOLERANCE_HZ, BrowserClient, CanvasClient, async_playwright, chromium
from tests.firefox import FAKE_TONE_HZ, firefox
from tests.media import fake_media
from tests.netns import SERVER, network
from tests.servers import Server, eventually, server_in

pytestmark = pytest.mark.browser


async def shown(viewer: CanvasClient, publisher: CanvasClient, source: int) -> int:
    """The height of the publisher's pictures in the viewer's slot, once 25 of them in a row are its own."""
    mid = (await viewer.video_mids())[0]
    await viewer.view(mid, publisher.participant)
    seen: list[int] = []

    async def look() -> bool:
        frames = await viewer.take_frames(mid)
        assert {frame["source"] for frame in frames} <= {source, None}
        seen.extend(frame["height"] for frame in frames if frame["source"] == source)
        return len(seen) >= 25

    await eventually(look, within_s=20, what=f"25 frames of source {source}")
    return seen[-1]


async def lower(viewer: CanvasClient, mid: str, source: int) -> None:
    async def look() -> bool:
        frames = [frame for frame in await viewer.take_frames(mid) if frame["source"] == source]
        return bool(frames) and 0 < frames[-1]["height"] <= 200

    await eventually(look, within_s=20, what=f"source {source} at no more than 200 lines")


async def heard(viewer: CanvasClient, tone_hz: float) -> None:
    async def look() -> bool:
        tones = await viewer.tones_hz()
        return len(tones) == 1 and abs(tones[0] - tone_hz) <= TONE_TOLERANCE_HZ

    await eventually(look, within_s=20, what=f"a tone of {tone_hz} Hz in the audio slot")


@pytest.mark.parametrize("simulcast", [False, True], ids=["one-layer", "three-layers"])
async def test_firefox_and_chromium_see_and_hear_each_other(tmp_path: Path, simulcast: bool) -> None:
    async with (
        async_playwright() as playwright,
        network() as wires,
        server_in(wires, tmp_path, "--media-addresses", ",".join(SERVER)) as server,
        chromium(playwright, bypass_csp=True, namespace=wires.client) as near,
        firefox(bypass_csp=True, namespace=wires.client) as far,
    ):
        clients = []
        for context, source in ((near, 1), (far, 2)):
            publish = {"source": source, "hue": source * 90, "toneHz": 400 + 300 * source, "width": 960, "height": 540,
                       "simulcast": simulcast}  # fmt: skip
            clients.append(
                await CanvasClient.join(
                    context, server, "mixed", f"source {source}", publish=publish, video_slots=1, audio_slots=1
                )
            )
        one, two = clients
        assert await shown(one, two, 2) > 0 and await shown(two, one, 1) > 0
        await heard(one, 1000)
        await heard(two, 700)
        assert {await one.server_address(), await two.server_address()} <= set(SERVER)
        if simulcast:
            # Each viewer asks for less and gets a smaller layer of the same source: it is sent in layers.
            for viewer, publisher, source in ((one, two, 2), (two, one, 1)):
                mid = (await viewer.video_mids())[0]
                await viewer.view(mid, publisher.participant, max_height=200)
                await lower(viewer, mid, source)


async def test_at_the_products_page_firefox_is_one_among_others(server: Server) -> None:
    media = {"ada": fake_media(0, 500, source=1), "ben": fake_media(120, 700, source=2)}
    async with async_playwright() as playwright, contextlib.AsyncExitStack() as stack:
        pages = []
        for name, each in media.items():
            context = await stack.enter_async_context(chromium(playwright, media=each))
            pages.append(await BrowserClient.at(context, server.origin, "page", name))
        fox = await BrowserClient.at(await stack.enter_async_context(firefox()), server.origin, "page", "fox")
        hues = [each.hue_deg for each in media.values()]
        await fox.sees(hues, within_s=30)
        await fox.hears([each.tone_hz for each in media.values()], within_s=30)
        number = await fox.page.evaluate("() => window.stentor.me")
        for page, hue, tone in zip(pages, reversed(hues), (700, 500), strict=True):
            await page.sees([hue], within_s=30)
            await page.hears([tone, FAKE_TONE_HZ], within_s=30)
            await moves(page, number)
        assert fox.problems == [], fox.problems
        assert all(page.problems == [] for page in pages)


async def moves(page: BrowserClient, participant: str) -> None:
    """Firefox's fake camera shows one colour that wanders: the tile is its own and not one frozen picture."""
    colours: set[float] = set()

    async def look() -> bool:
        tiles = [tile for tile in await page.tiles() if tile.participant == participant]
        colours.update(round(tile.hue_deg) for tile in tiles if tile.hue_deg is not None)
        return len(tiles) == 1 and len(colours) >= 3

    await eventually(look, within_s=30, what=f"three colours of {participant} at {page.name}'s page")
