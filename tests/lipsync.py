"""Lip sync, measured by content: publishers flash and beep at the same moment, a viewer's page notes when each came.

The browsers' own share is measured beside it: the same tracks go straight from page to page, past the server.

Shared by the browser test and `make accept-meeting`.
"""

from __future__ import annotations

import statistics
from dataclasses import dataclass

from playwright.async_api import Playwright

from tests.clients import RAW_CANDIDATES, CanvasClient, chromium
from tests.servers import Server, eventually

# ITU-R BT.1359 calls 45 ms of early and 125 ms of late sound detectable; 80 ms is the figure asked for.
SKEW_MS = 80.0
EVENTS = 5  # flashes judged per source, so that one late frame of a busy machine is not the verdict
SOURCES = 3


@dataclass(frozen=True)
class SkewReport:
    """Beep minus flash in ms for each source in the order shown; positive: the sound came late."""

    seen: list[int]
    skews_ms: list[list[float]]  # through the server
    direct_ms: list[list[float]]  # of the same tracks at the same time, from browser to browser

    @property
    def medians_ms(self) -> list[float]:
        return [statistics.median(skews) for skews in self.skews_ms]

    @property
    def direct_medians_ms(self) -> list[float]:
        return [statistics.median(skews) for skews in self.direct_ms]

    @property
    def worst_ms(self) -> float:
        """By how much more than on the direct path the two are apart, at the most; a busy machine shifts both paths."""
        pairs = zip(self.medians_ms, self.direct_medians_ms, strict=True)
        return max(abs(ours) - abs(direct) for ours, direct in pairs)

    def __str__(self) -> str:
        ours, direct = (
            ", ".join(f"{skew:.0f}" for skew in skews) for skews in (self.medians_ms, self.direct_medians_ms)
        )
        return f"beep after flash by {ours} ms; from browser to browser by {direct} ms"


async def switch_pairs(playwright: Playwright, server: Server, room: str) -> SkewReport:
    """Shows three flashing sources and the first again in one pair of slots, and measures the skew of each."""
    async with (
        chromium(playwright, bypass_csp=True, flags=RAW_CANDIDATES) as context,
        chromium(playwright, bypass_csp=True, flags=RAW_CANDIDATES) as viewing,
    ):
        sources = {}
        for number in range(1, SOURCES + 1):
            publish = {"source": number, "hue": number * 90, "toneHz": 400 + 200 * number, "flashes": True}
            sources[number] = await CanvasClient.join(context, server, room, f"source {number}", publish=publish)
        viewer = await CanvasClient.join(viewing, server, room, "viewer", video_slots=1, audio_slots=1, paired=True)
        video = (await viewer.video_mids())[0]

        async def listening() -> str | None:
            return next(iter(await viewer.audio_mids()), None)

        audio = await eventually(listening, within_s=10, what="the audio slot is listened to")
        order = [*sources, 1]
        through, direct = [], []
        for number in order:
            await viewer.view(video, sources[number].participant)
            straight = _Skews(viewer, *await viewer.receive_direct(sources[number]), number)
            ours = _Skews(viewer, video, audio, number)

            async def enough(ours: _Skews = ours, straight: _Skews = straight) -> bool:
                return await ours.enough() & await straight.enough()

            await eventually(enough, within_s=30, what=f"{EVENTS} flashes and beeps of {number}", every_s=0.25)
            through.append(ours.last)
            direct.append(straight.last)
        return SkewReport(order, through, direct)


class _Skews:
    """Flashes and beeps of one source in one pair of slots; the first second after a switch is not judged."""

    def __init__(self, viewer: CanvasClient, video: str, audio: str, source: int) -> None:
        self.viewer, self.video, self.audio, self.source = viewer, video, audio, source
        self.last: list[float] = []
        self._flashes: list[float] = []
        self._beeps: list[float] = []
        self._was_bright = True

    async def enough(self) -> bool:
        """Whether `last` has the skews of EVENTS flashes now."""
        for frame in await self.viewer.take_frames(self.video):
            if frame["source"] != self.source:
                continue
            if frame["bright"] and not self._was_bright:
                self._flashes.append(frame["at"])
            self._was_bright = frame["bright"]
        if self.audio in await self.viewer.audio_mids():
            self._beeps.extend(await self.viewer.take_beeps(self.audio))
        if not self._beeps or not self._flashes:
            return False
        skews = [min((beep - flash for beep in self._beeps), key=abs) for flash in self._flashes[1:]]
        self.last = [skew for skew in skews if abs(skew) < 500][-EVENTS:]
        return len(self.last) >= EVENTS and max(self._beeps) > max(self._flashes) - 500
