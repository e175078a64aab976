"""Chromium reaches the server by a real coturn alone, with the credentials that the server gave it."""

from __future__ import annotations

import contextlib

import pytest

from tests.clients import CanvasClient, async_playwright, chromium
from tests.coturn import SECRET, coturn
from tests.servers import Server, eventually

pytestmark = [pytest.mark.browser, pytest.mark.slow]


# Relays by TCP and TLS are in test_paths as well, for people who can reach the server by nothing else.
@pytest.mark.parametrize("transport", ["udp", *(pytest.param(each, marks=pytest.mark.long) for each in ("tcp", "tls"))])
async def test_a_viewer_who_may_use_turn_only_sees_and_is_seen(transport: str) -> None:
    async with contextlib.AsyncExitStack() as stack:
        relay = await stack.enter_async_context(coturn())
        settings = ("--turn-urls", relay.urls[transport], "--turn-secret", SECRET)
        server = await stack.enter_async_context(Server(*settings))
        playwright = await stack.enter_async_context(async_playwright())
        # A certificate made for the test is no better than none; what is looked at here is the way.
        browser = chromium(playwright, bypass_csp=True, flags=("--ignore-certificate-errors",))
        context = await stack.enter_async_context(browser)
        publish = {"source": 3, "hue": 90, "toneHz": 500, "width": 320, "height": 180, "fps": 15}
        sender = await CanvasClient.join(context, server, "turn", "sender", publish=publish, relayed=True)
        viewer = await CanvasClient.join(context, server, "turn", "viewer", video_slots=1, relayed=True)
        (mid,) = await viewer.video_mids()
        await viewer.view(mid, sender.participant)

        async def seen() -> bool:
            return any(frame["source"] == 3 for frame in await viewer.take_frames(mid))

        await eventually(seen, within_s=20, what=f"a picture by TURN over {transport}")
        for client in (sender, viewer):

            async def selected(client: CanvasClient = client) -> dict[str, str | None] | None:
                path = await client.path()
                return path if path["kind"] else None

            path = await eventually(selected, within_s=10, what="the browser says which path it has")
            assert (path["kind"], path["protocol"]) == ("relay", transport)
