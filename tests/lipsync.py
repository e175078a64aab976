"""Lip sync, measured by content: publishers flash and beep at the same moment, a viewer's page notes when each came.

Shared by the browser test and `make accept-meeting`.
"""

from __future__ import annotations

import statistics
from dataclasses import dataclass

from playwright.async_api import Playwright

from tests.clients import CanvasClient, chromium
from tests.servers import Server, eventually

# ITU-R BT.1359 calls 45 ms of early and 125 ms of late sound detectable; 80 ms is the figure asked for.
SKEW_MS = 80.0
EVENTS = 5  # flashes judged per source, so that one late frame of a busy machine is not the verdict
SOURCES = 3


@dataclass(frozen=True)
class SkewReport:
    """Beep minus flash in ms for each source in the order shown; positive: the sound came late."""

    seen: list[int]
    skews_ms: list[list[float]]

    @property
    def medians_ms(self) -> list[float]:
        return [statistics.median(skews) for skews in self.skews_ms]

    @property
    def worst_ms(self) -> float:
        return max(abs(median) for median in self.medians_ms)


async def switch_pairs(playwright: Playwright, server: Server, room: str) -> SkewReport:
    """Shows three flashing sources and the first again in one pair of slots, and measures the skew of each."""
    async with chromium(playwright, bypass_csp=True) as context, chromium(playwright, bypass_csp=True) as viewing:
        sources = {}
        for number in range(1, SOURCES + 1):
            publish = {"source": number, "hue": number * 90, "toneHz": 400 + 200 * number, "flashes": True}
            sources[number] = (
                await CanvasClient.join(context, server, room, f"source {number}", publish=publish)
            ).participant
        viewer = await CanvasClient.join(viewing, server, room, "viewer", video_slots=1, audio_slots=1, paired=True)
        video = (await viewer.video_mids())[0]

        async def listening() -> str | None:
            return next(iter(await viewer.audio_mids()), None)

        audio = await eventually(listening, within_s=10, what="the audio slot is listened to")
        order = [*sources, 1]
        skews = []
        for number in order:
            await viewer.view(video, sources[number])
            skews.append(await _skews(viewer, video, audio, number))
        return SkewReport(order, skews)


async def _skews(viewer: CanvasClient, video: str, audio: str, source: int) -> list[float]:
    """The skew of the last EVENTS flashes of this source; the first second after a switch is not judged."""
    flashes: list[float] = []
    beeps: list[float] = []
    was_bright = True

    async def enough() -> list[float] | None:
        nonlocal was_bright
        for frame in await viewer.take_frames(video):
            if frame["source"] != source:
                continue
            if frame["bright"] and not was_bright:
                flashes.append(frame["at"])
            was_bright = frame["bright"]
        beeps.extend(await viewer.take_beeps(audio))
        pairs = [(flash, min(beeps, key=lambda beep: abs(beep - flash))) for flash in flashes[1:] if beeps]
        skews = [beep - flash for flash, beep in pairs if abs(beep - flash) < 500]
        return skews[-EVENTS:] if len(skews) >= EVENTS and max(beeps) > max(flashes) - 500 else None

    return await eventually(enough, within_s=30, what=f"{EVENTS} flashes and beeps of source {source}", every_s=0.25)
