"""Rooms of other codecs than VP8 in real browsers, judged by the picture; sound in stereo, with RED and with DTX."""

from __future__ import annotations

import asyncio
import contextlib
import json
import urllib.request
from collections.abc import AsyncIterator
from typing import Any

import pytest
from playwright.async_api import BrowserContext

from tests.aiortc_client import AiortcClient
from tests.clients import TONE_TOLERANCE_HZ, BrowserClient, CanvasClient, async_playwright, chromium
from tests.firefox import firefox
from tests.media import fake_media
from tests.servers import Server, eventually, fetch

pytestmark = pytest.mark.browser

TOKEN = "a bearer of the tests that is long enough"
CODECS = ["H264", "VP9", "AV1"]
# A frame of Chromium's microphone: 20 ms of 32 kbit/s.
OPUS_BYTES = 80


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    async with Server("--api-token", TOKEN) as started:
        yield started


async def set_policy(server: Server, room: str, **policy: Any) -> None:
    request = urllib.request.Request(
        f"http://127.0.0.1:{server.http_port}/v1/rooms/{room}/policy",
        data=json.dumps(policy).encode(),
        headers={"content-type": "application/json", "authorization": f"Bearer {TOKEN}"},
        method="PUT",
    )
    status, body = await asyncio.to_thread(fetch, request)
    assert status == 200, body


async def publisher(context: BrowserContext, server: Server, room: str, source: int, **publish: Any) -> CanvasClient:
    shape = {"source": source, "hue": source * 90, "toneHz": 400 + 300 * source, "width": 320, "height": 180, **publish}
    return await CanvasClient.join(context, server, room, f"source {source}", publish=shape)


async def sees(viewer: CanvasClient, mid: str, source: int, *, frames: int = 10) -> list[int | None]:
    """The sources of all frames since the last look, once as many of this source have come one after the other."""
    seen: list[int | None] = []

    async def look() -> bool:
        seen.extend(frame["source"] for frame in await viewer.take_frames(mid))
        return len(seen) >= frames and set(seen[-frames:]) == {source}

    try:
        await eventually(look, within_s=15, what=f"{frames} frames of source {source}")
    except AssertionError as error:
        raise AssertionError(f"{error}; the last were {seen[-20:]}, the slot is {await viewer.slot(mid)}") from error
    return seen


async def hears(viewer: CanvasClient, tone_hz: float) -> None:
    async def look() -> bool:
        tones = await viewer.tones_hz()
        return len(tones) == 1 and abs(tones[0] - tone_hz) <= TONE_TOLERANCE_HZ

    await eventually(look, within_s=15, what=f"a tone of {tone_hz} Hz")


@pytest.mark.parametrize("codec", CODECS)
async def test_a_switch_shows_the_new_source_only_and_two_slots_show_one_source_at_two_heights(
    server: Server, codec: str
) -> None:
    await set_policy(server, codec, camera_codec=codec)
    async with async_playwright() as playwright, chromium(playwright, bypass_csp=True) as context:
        # Of 360 lines Chromium makes two sizes, of 90 and of 180 lines.
        sizes = {"width": 640, "height": 360, "simulcast": True, "mode": "L1T1"}
        one, two = await publisher(context, server, codec, 1, **sizes), await publisher(context, server, codec, 2)
        viewer = await CanvasClient.join(context, server, codec, "viewer", video_slots=2)
        first, second = await viewer.video_mids()
        await viewer.view(first, one.participant)
        await viewer.view(second, one.participant, max_height=100)

        async def both() -> bool:
            return [(await viewer.slot(mid)).get("height") for mid in (first, second)] == [180, 90]

        await eventually(both, within_s=15, what="180 and 90 lines of one source")
        await sees(viewer, first, 1)
        await sees(viewer, second, 1)
        assert await viewer.codec(first) == f"video/{codec}"
        for publisher_, source in ((two, 2), (one, 1), (two, 2)):
            await viewer.view(first, publisher_.participant)
            seen = await sees(viewer, first, source, frames=20)
            began = seen.index(source)
            assert set(seen[:began]) <= {3 - source} and set(seen[began:]) == {source}, seen
        await sees(viewer, second, 1)
        assert (await viewer.freezes(second)).count == 0


@pytest.mark.long
async def test_firefox_sees_what_it_can_decode_and_is_told_of_what_it_cannot(server: Server) -> None:
    async with (
        async_playwright() as playwright,
        chromium(playwright, bypass_csp=True) as near,
        firefox(bypass_csp=True) as far,
    ):
        for codec in CODECS:
            await set_policy(server, codec, camera_codec=codec)
            source = await publisher(near, server, codec, 1)
            publish = {"source": 2, "hue": 180, "toneHz": 1000, "width": 320, "height": 180}
            viewer = await CanvasClient.join(far, server, codec, "firefox", publish=publish, video_slots=1)
            (mid,) = await viewer.video_mids()
            await viewer.view(mid, source.participant)
            if codec == "H264":
                assert set((await viewer.refused()).values()) == {"codec"}

                async def told(viewer: CanvasClient = viewer, mid: str = mid) -> bool:
                    return (await viewer.slot(mid)).get("reason") == "codec"

                await eventually(told, within_s=10, what="the slot says codec")
                assert (await viewer.slot(mid))["participant"] is None
            else:
                assert await viewer.refused() == {}
                await sees(viewer, mid, 1)
                assert await viewer.codec(mid) == f"video/{codec}"
            await source.leave()
            await viewer.leave()


async def test_a_page_in_a_room_of_vp9_sends_every_size_and_sees_the_largest(server: Server) -> None:
    await set_policy(server, "page", camera_codec="VP9")
    media = {"ada": fake_media(0, 500, source=1), "ben": fake_media(120, 700, source=2)}
    async with async_playwright() as playwright, contextlib.AsyncExitStack() as stack:
        pages = []
        for name, each in media.items():
            context = await stack.enter_async_context(chromium(playwright, media=each))
            pages.append(await BrowserClient.at(context, server.origin, "page", name))

        async def large() -> bool:
            tiles = await pages[0].tiles()
            return [(tile.height, tile.shows(120)) for tile in tiles] == [(540, True)]

        await eventually(large, within_s=20, what="ada sees ben in 540 lines")
        await pages[1].sees([0])
        assert [page.problems for page in pages] == [[], []]


async def test_the_sound_of_a_screen_is_heard_in_stereo(server: Server) -> None:
    async with async_playwright() as playwright, chromium(playwright, bypass_csp=True) as context:
        await publisher(context, server, "stereo", 1, toneHz=500, rightHz=1100, sound="screen_audio")
        viewer = await CanvasClient.join(context, server, "stereo", "viewer", audio_slots=1, opus="stereo=1")

        async def look() -> bool:
            heard = await viewer.channels_hz()
            return len(heard) == 1 and all(
                tone is not None and abs(tone - wanted) <= TONE_TOLERANCE_HZ
                for tone, wanted in zip(heard[0], (500, 1100), strict=True)
            )

        await eventually(look, within_s=15, what="500 Hz left and 1100 Hz right")


async def comes_twice(client: CanvasClient, kind: str, way: str) -> bool:
    """Chromium's statistics call RED and Opus alike: that every frame came twice is seen in the sizes alone."""
    (row,) = await client.stats(kind, "audio")
    return bool(row[f"packets{way}"] > 20 and row[f"bytes{way}"] / row[f"packets{way}"] > 1.6 * OPUS_BYTES)


async def test_red_is_heard_by_who_takes_it_and_by_who_does_not(server: Server) -> None:
    async with contextlib.AsyncExitStack() as stack:
        playwright = await stack.enter_async_context(async_playwright())
        context = await stack.enter_async_context(chromium(playwright, bypass_csp=True))
        sender = await publisher(context, server, "red", 1, toneHz=700, red=True)
        viewer = await CanvasClient.join(context, server, "red", "viewer", audio_slots=1)
        plain = await stack.enter_async_context(AiortcClient.join(server, "red", "plain", audio_slots=1))
        await hears(viewer, 700)
        (seen,) = plain.seen.values()

        async def heard() -> bool:
            return seen.tone_hz is not None and abs(seen.tone_hz - 700) <= TONE_TOLERANCE_HZ

        await eventually(heard, within_s=15, what="700 Hz without RED")
        await eventually(lambda: comes_twice(sender, "outbound-rtp", "Sent"), within_s=10, what="RED is sent")
        await eventually(lambda: comes_twice(viewer, "inbound-rtp", "Received"), within_s=10, what="RED is received")
        await set_policy(server, "asked", audio_red=True)
        asked = await publisher(context, server, "asked", 2)
        await eventually(lambda: comes_twice(asked, "outbound-rtp", "Sent"), within_s=10, what="RED is sent if asked")
        assert await server.metric('stentor_verdicts_total{stage="arrival",verdict="red_bad"}') == 0


async def test_a_microphone_with_dtx_is_heard_again_after_silence(server: Server) -> None:
    async with async_playwright() as playwright, chromium(playwright, bypass_csp=True) as context:
        shape = {"source": 1, "hue": 0, "toneHz": 700, "width": 160, "height": 90}
        sender = await CanvasClient.join(context, server, "dtx", "sender", publish=shape, opus="usedtx=1")
        viewer = await CanvasClient.join(context, server, "dtx", "viewer", audio_slots=1)
        await hears(viewer, 700)
        await sender.speak(loud=False)

        async def sent() -> int:
            return int((await sender.stats("outbound-rtp", "audio"))[0]["packetsSent"])

        async def silent() -> bool:
            return await viewer.tones_hz() == []

        await eventually(silent, within_s=10, what="silence")
        before = [await sent()]

        async def rests() -> bool:
            """Fewer than 10 packets a second: DTX sends one in 400 ms."""
            before.append(await sent())
            return len(before) > 3 and before[-1] - before[-4] < 10

        await eventually(rests, within_s=10, what="DTX", every_s=0.33)
        await sender.speak(loud=True)
        await hears(viewer, 700)
