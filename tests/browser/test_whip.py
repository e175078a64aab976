"""WHIP in and WHEP out with clients that are not ours.

npm's `whip-whep` on a page of another origin in Chromium, and GStreamer's webrtcbin, which shares no code with it.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator

import pytest
from playwright.async_api import BrowserContext

from sfu.contract import Grant, load_key, sign
from tests.clients import BrowserClient, async_playwright, chromium
from tests.foreign_page import Painted, WhepViewer, WhipPublisher, somebodys_site
from tests.media import fake_media
from tests.servers import ROOT, Server, eventually

pytestmark = pytest.mark.browser

SHARED = "s" * 40
ADA = Painted(source=1, hue_deg=0, tone_hz=500)
BEN = Painted(source=2, hue_deg=120, tone_hz=900)
GSTREAMER = Painted(source=0, hue_deg=0, tone_hz=500)
MORE_PICTURES = 50


def token(identity: str, *, publish: bool) -> str:
    key = load_key(SHARED, key_id="stentor-1", issuer="stentor", audience="stentor-sfu")
    sources: tuple[str, ...] = ("camera", "microphone") if publish else ()
    grant = Grant(room="whip", identity=identity, name=identity, publish=sources, expires_at=time.time() + 60)  # type: ignore[arg-type]
    return sign(grant, key, time.time())


class Stage:
    """A server, a site and a browser."""

    def __init__(self, server: Server, site: str, context: BrowserContext) -> None:
        self.server = server
        self.site = site
        self.context = context

    async def publisher(self, name: str, painted: Painted) -> WhipPublisher:
        return await WhipPublisher.open(self.context, self.site, self.server, token(name, publish=True), painted)

    async def viewer(self) -> WhepViewer:
        return await WhepViewer.open(self.context, self.site, self.server, token("viewer", publish=False))


@contextlib.asynccontextmanager
async def stage(*arguments: str) -> AsyncIterator[Stage]:
    """`arguments` are the server's."""
    async with (
        somebodys_site() as site,
        Server("--http-origins", site, "--tokens-shared-key", SHARED, *arguments) as server,
        async_playwright() as playwright,
        chromium(playwright) as context,
    ):
        yield Stage(server, site, context)


async def test_a_whep_viewer_sees_and_hears_whoever_speaks_and_both_as_one_stream() -> None:
    async with stage() as on:
        ada, ben = await on.publisher("ada", ADA), await on.publisher("ben", BEN)
        await ada.connected()
        await ben.connected()
        viewer = await on.viewer()
        await ada.speak()
        seen = await viewer.shows(ADA)
        assert seen["streams"] == 1
        await ada.speak(False)
        await ben.speak()
        await viewer.shows(BEN)
        await ben.speak(False)
        await ada.speak()
        await viewer.shows(ADA)
        assert await on.server.metric('stentor_sessions{state="whip"}') == 2
        assert await on.server.metric('stentor_sessions{state="whep"}') == 1


async def test_who_publishes_by_whip_is_at_the_page_like_everybody_until_the_delete() -> None:
    async with stage() as on, async_playwright() as playwright:
        media = fake_media(240, 700, source=3)
        async with BrowserClient.open(playwright, on.server, "whip", "Cleo", media=media) as page:
            ada = await on.publisher("ada", ADA)
            await ada.speak()
            await page.sees([ADA.hue_deg], within_s=15)
            await page.hears([ADA.tone_hz])
            await ada.stop()

            async def gone() -> bool:
                return not await page.tiles()

            await eventually(gone, within_s=5, what="the tile is gone")
            assert (
                await on.server.metric('stentor_whip_requests_total{method="DELETE",protocol="whip",status="200"}') == 1
            )


async def test_an_ice_restart_of_either_side_gets_new_credentials_and_media_goes_on() -> None:
    # One address: the library writes the candidates of an ICE restart with a comma between them.
    async with stage("--media-addresses", "127.0.0.1") as on:
        ada = await on.publisher("ada", ADA)
        await ada.speak()
        viewer = await on.viewer()
        await viewer.shows(ADA)
        for client in (ada, viewer):
            before = await client.counted()
            decoded = (await viewer.counted()).decoded
            await client.restart()
            after = await client.counted()
            assert after.ufrag != before.ufrag

            async def goes_on(wanted: int = decoded + MORE_PICTURES) -> bool:
                return (await viewer.counted()).decoded >= wanted

            await eventually(goes_on, within_s=10, what=f"{MORE_PICTURES} more pictures after the restart")
            assert (await client.counted()).state == "connected"
        await viewer.shows(ADA)
        for protocol in ("whip", "whep"):
            sample = f'stentor_whip_requests_total{{method="PATCH",protocol="{protocol}",status="200"}}'
            assert await on.server.metric(sample) == 1


@contextlib.asynccontextmanager
async def gstreamer(server: Server) -> AsyncIterator[asyncio.subprocess.Process]:
    """GStreamer's webrtcbin publishes; ended, and waited for, at the end of the block."""
    process = await asyncio.create_subprocess_exec(
        "/usr/bin/python3",
        str(ROOT / "tests" / "foreign" / "gstreamer_publisher.py"),
        f"{server.origin.replace('localhost', '127.0.0.1')}/whip",
        token("gstreamer", publish=True),
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.terminate()
            try:
                await asyncio.wait_for(process.wait(), 10)
            except TimeoutError:
                process.kill()
                await process.wait()


async def test_gstreamer_publishes_and_is_seen_and_heard_until_it_deletes_its_session() -> None:
    async with stage() as on:
        async with gstreamer(on.server) as process:
            assert process.stdout is not None
            async with asyncio.timeout(20):
                facts = [(await process.stdout.readline()).decode().strip() for _ in range(2)]
            assert facts == ["answered", "connected"]
            viewer = await on.viewer()
            await viewer.shows(GSTREAMER)
            assert await on.server.metric('stentor_sessions{state="whip"}') == 1
        assert process.returncode == 0
        assert await process.stdout.readline() == b"deleted\n"
        assert await on.server.metric('stentor_sessions{state="whip"}') == 0
