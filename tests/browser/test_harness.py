"""The judge is judged first: what we paint and play must be read back from Chromium, without any server."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.clients import CHROMIUM, HEADLESS_SHELL, TONE_TOLERANCE_HZ, async_playwright, canvas_page, chromium
from tests.media import fake_media, hue_distance, hue_of
from tests.servers import eventually

pytestmark = pytest.mark.browser

ORIGIN = "http://localhost:9"  # nobody listens there; the page is given by the test
HUE_DEG, TONE_HZ, SOURCE = 210.0, 600.0, 5

# Sends a stream from one peer connection to another of the same page; the far end is window.far.
LOOPBACK = """async (stream) => {
    const [near, far] = [new RTCPeerConnection(), new RTCPeerConnection()];
    near.onicecandidate = (event) => far.addIceCandidate(event.candidate ?? undefined);
    far.onicecandidate = (event) => near.addIceCandidate(event.candidate ?? undefined);
    const video = document.body.appendChild(document.createElement("video"));
    Object.assign(video, {autoplay: true, muted: true, srcObject: new MediaStream()});
    window.far = {video, tracks: []};
    far.ontrack = ({track}) => { window.far.tracks.push(track); video.srcObject.addTrack(track); };
    for (const track of stream.getTracks()) near.addTrack(track, stream);
    await near.setLocalDescription();
    await far.setRemoteDescription(near.localDescription);
    await far.setLocalDescription();
    await near.setRemoteDescription(far.localDescription);
    window.keep = [near, far, stream];
}"""
CAMERA = f"""async () => await ({LOOPBACK})(await navigator.mediaDevices.getUserMedia({{
    audio: true, video: {{width: 960, height: 540}}}}))"""
CANVAS = f"""async (publish) => {{
    window.client = new stentorTest.CanvasClient({{publish}});
    await ({LOOPBACK})(new MediaStream([client.picture(), await client.tone()]));
}}"""
READ = "() => stentorTest.read(far.video)"
TONE = """() => {
    const track = far.tracks.find((each) => each.kind === "audio");
    return track ? stentorTest.tone(track) : null;
}"""


@pytest.mark.parametrize("program", [CHROMIUM, HEADLESS_SHELL], ids=lambda path: path.name)
async def test_the_fake_camera_is_read_back_by_hue_id_and_tone(program: Path) -> None:
    media = fake_media(HUE_DEG, TONE_HZ, source=SOURCE)
    async with async_playwright() as playwright, chromium(playwright, program, media) as context:
        page = await canvas_page(context, ORIGIN)
        await page.evaluate(CAMERA)

        async def picture() -> dict[str, Any] | None:
            seen: dict[str, Any] = await page.evaluate(READ)
            return seen if seen["painted"] else None

        async def tone() -> float | None:
            heard = await page.evaluate(TONE)
            return heard if heard is not None and abs(heard - TONE_HZ) <= TONE_TOLERANCE_HZ else None

        seen = await eventually(picture, within_s=15, what="a painted id is read from the far end")
        assert seen["painted"]["source"] == SOURCE
        hue = hue_of(*seen["colour"])
        assert hue is not None and hue_distance(hue, HUE_DEG) < 10, f"hue {hue}"
        await eventually(tone, within_s=10, what="the tone is heard at the far end")


async def test_a_painted_canvas_arrives_with_rising_frame_numbers() -> None:
    publish = {"source": 9, "hue": 30, "toneHz": 800, "width": 640, "height": 360, "fps": 25}
    async with async_playwright() as playwright, chromium(playwright) as context:
        page = await canvas_page(context, ORIGIN)
        await page.evaluate(CANVAS, publish)
        numbers: list[int] = []

        async def thirty() -> bool:
            painted = (await page.evaluate(READ))["painted"]
            if painted:
                assert painted["source"] == 9
                numbers.append(painted["number"])
            return len(numbers) >= 30

        await eventually(thirty, within_s=20, what="30 painted frames are read")
        assert numbers == sorted(numbers)
        assert numbers[-1] - numbers[0] >= 10, "the picture stands still"
