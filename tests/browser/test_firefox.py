"""Firefox beside Chromium: each sees and hears the other, by the tests' client and at the product's page.

An ordinary tab of Firefox never reaches 127.0.0.1 by media, so the server has addresses of its own, in a network
namespace; it offers nothing of loopback there.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.clients import TONE_TOLERANCE_HZ, CanvasClient, async_playwright, chromium
from tests.firefox import firefox
from tests.mixed import two_chromium_and_a_firefox
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


# Firefox publishes one layer, and shows it, in test_paths as well.
@pytest.mark.parametrize(
    "simulcast", [pytest.param(False, marks=pytest.mark.long), True], ids=["one-layer", "three-layers"]
)
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


@pytest.mark.long
async def test_at_the_products_page_firefox_is_one_among_others(server: Server) -> None:
    await two_chromium_and_a_firefox(server, "page")
