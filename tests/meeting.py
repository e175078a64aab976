"""What a meeting must show, each as one function that measures and judges. Shared by the browser tests and
`make accept-meeting`. A function returns the figure for the report and raises AssertionError when it does not hold."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from playwright.async_api import Playwright

from tests.aiortc_client import AiortcClient
from tests.clients import CHROMIUM, HEADLESS_SHELL, BrowserClient, CanvasClient, Freezes, Tile, chromium
from tests.media import NUMBERS, FakeMedia, fake_media
from tests.servers import NotInTime, Server, eventually

FIRST_FRAME_S = 2.0
FREEZE_S = 0.3
SWITCH_MS = 500.0
AUDIO_GAP_MS = 60.0
KEY_FRAMES_SPARE = 3
# The bandwidth estimate of a publisher starts at 0.3 Mbit/s; its largest layer comes up within 10 to 20 s.
LARGE_LAYER_S = 40.0
# A tab that is shut says so by closing its WebSocket; the seat is kept 15 s for a resume.
LEAVE_S = 20.0
FREEZE_POLL_S = 0.25


@dataclass(frozen=True)
class Person:
    name: str
    program: Path
    media: FakeMedia


def three_people() -> list[Person]:
    """Two with raw addresses, one with mDNS names; hues and tones far apart, no tone a multiple of another."""
    return [
        Person("ada", CHROMIUM, fake_media(0, 500, source=1)),
        Person("ben", CHROMIUM, fake_media(120, 700, source=2)),
        Person("cleo", HEADLESS_SHELL, fake_media(240, 1100, source=3)),
    ]


@contextlib.asynccontextmanager
async def meeting(
    playwright: Playwright, server: Server, room: str, people: Sequence[Person]
) -> AsyncIterator[list[BrowserClient]]:
    """All of them at the page, each in a browser of its own, in the order given."""
    async with contextlib.AsyncExitStack() as stack:
        clients = []
        for person in people:
            opened = BrowserClient.open(
                playwright, server, room, person.name, program=person.program, media=person.media
            )
            clients.append(await stack.enter_async_context(opened))
        yield clients


def others(people: Sequence[Person], index: int) -> list[Person]:
    return [person for at, person in enumerate(people) if at != index]


async def everybody_sees_everybody(clients: Sequence[BrowserClient], people: Sequence[Person]) -> str:
    """Each page decodes exactly the pictures of the others, told by their colour."""
    looks = (
        client.sees([person.media.hue_deg for person in others(people, index)]) for index, client in enumerate(clients)
    )
    tiles = await asyncio.gather(*looks)
    assert all(len(seen) == len(people) - 1 for seen in tiles), f"tiles: {[len(seen) for seen in tiles]}"
    return f"{sum(map(len, tiles))} pictures"


async def everybody_hears_everybody(clients: Sequence[BrowserClient], people: Sequence[Person]) -> str:
    """Each page hears exactly the tones of the others."""
    await asyncio.gather(
        *(
            client.hears([person.media.tone_hz for person in others(people, index)])
            for index, client in enumerate(clients)
        )
    )
    return f"{len(people) * (len(people) - 1)} tones"


async def first_frame(client: BrowserClient) -> str:
    """From joining to the first decoded picture of another in its tile, both noted by the page's own clock.

    The page joins by itself (`&join=1`), so joining is the end of DOMContentLoaded: all scripts have run, the camera
    and the WebSocket are being opened. Nothing before that is counted (fetching the page), everything after is.
    """

    async def seen() -> float | None:
        at: float | None = await client.page.evaluate("() => stentorTest.firstFrame()")
        return at

    at_ms = await eventually(seen, within_s=10, what=f"a picture of another on {client.name}'s page")
    start_ms = await client.page.evaluate(
        "() => performance.getEntriesByType('navigation')[0].domContentLoadedEventEnd"
    )
    took_ms = at_ms - float(start_ms)
    assert took_ms <= FIRST_FRAME_S * 1000, f"{client.name}: {took_ms:.0f} ms"
    return f"{took_ms:.0f} ms after the page was loaded"


class FreezeWatch:
    """Polls a slot's freeze counters while the block runs; `longest_s` is the longest single freeze seen."""

    def __init__(self, poll: Callable[[], Awaitable[Freezes]]) -> None:
        self._poll = poll
        self._task: asyncio.Task[None] | None = None
        self.count = 0
        self.longest_s = 0.0

    async def __aenter__(self) -> FreezeWatch:
        self._last = await self._poll()
        self._task = asyncio.create_task(self._run())
        return self

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(FREEZE_POLL_S)
            self._note(await self._poll())

    def _note(self, now: Freezes) -> None:
        fresh = now.count - self._last.count
        if fresh > 0:
            self.count += fresh
            self.longest_s = max(self.longest_s, (now.total_s - self._last.total_s) / fresh)
        self._last = now

    async def __aexit__(self, *_: object) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
            if not self._task.cancelled() and (fault := self._task.exception()) is not None:
                raise fault
        self._note(await self._poll())


async def small_layer_then_large(viewer: BrowserClient, hue_deg: float) -> str:
    """A `view` with a small height brings the small layer, one without a limit the largest, and nothing freezes."""
    tile = next(tile for tile in await viewer.sees([hue_deg]) if tile.shows(hue_deg))
    seen: list[int] = []
    async with FreezeWatch(lambda: viewer.freezes(tile.mid)) as watch:
        for max_height, right in ((135, range(1, 136)), (0, range(540, 541))):
            show = {"participant": tile.participant, "source": tile.source}
            await viewer.view([{"mid": tile.mid, "show": show, "max_height": max_height}])

            async def arrived(right: range = right) -> int | None:
                height = next((each.height for each in await viewer.tiles() if each.mid == tile.mid), 0)
                return height if height in right else None

            what = f"a picture of {right.start} to {right.stop - 1} lines in slot {tile.mid}"
            seen.append(await eventually(arrived, within_s=LARGE_LAYER_S, what=what))
    assert watch.longest_s <= FREEZE_S, f"a freeze of {watch.longest_s * 1000:.0f} ms"
    return f"{seen[0]} then {seen[1]} lines, {watch.count} freezes, longest {watch.longest_s * 1000:.0f} ms"


async def a_leaver_is_gone(leaver: BrowserClient, hue_deg: float, remaining: Sequence[BrowserClient]) -> str:
    """The tab is shut: no page shows that person's tile any more."""

    def gone(client: BrowserClient) -> Callable[[], Awaitable[bool]]:
        async def look() -> bool:
            listed = await client.page.evaluate(
                "(name) => window.stentor.participants.some((each) => each.name === name)", leaver.name
            )
            return not listed and not any(tile.shows(hue_deg) for tile in await client.tiles())

        return look

    await leaver.leave()
    clock = asyncio.get_running_loop().time
    start = clock()
    for client in remaining:
        await eventually(gone(client), within_s=LEAVE_S, what=f"{leaver.name} is gone from {client.name}'s page")
    return f"{clock() - start:.1f} s"


async def aiortc_decodes(client: AiortcClient, wanted: Sequence[tuple[str, int]]) -> str:
    """Each (participant, painted source id) gets a video slot, is decoded there and is no other."""
    mids = client.video_mids()
    await client.view({mid: who for mid, (who, _) in zip(mids, wanted, strict=False)})
    for mid, (_, source) in zip(mids, wanted, strict=False):
        slot = client.seen[mid]

        async def painted(slot: object = slot, mid: str = mid, source: int = source) -> bool:
            return client.seen[mid].sources[source] >= 10

        try:
            await eventually(painted, within_s=20, what=f"10 frames of source {source} in aiortc's slot {mid}")
        except NotInTime as late:
            told = [slot for message in client.messages for slot in message.get("slots", ())]
            raise AssertionError(f"{late}; {slot.frames} frames, {dict(slot.sources)}, told {told[-4:]}") from late
        assert set(slot.sources) == {source}, f"slot {mid} showed {dict(slot.sources)}"
    return f"{len(wanted)} slots"


async def participant_named(client: BrowserClient, hue_deg: float) -> str:
    """The number of the participant whose picture has this hue."""
    tiles: list[Tile] = await client.sees([hue_deg])
    return next(tile.participant for tile in tiles if tile.shows(hue_deg))


@dataclass(frozen=True)
class SwitchReport:
    """What one run of source switches showed."""

    switches: int
    slowest_ms: float
    strangers: int  # frames of another source after the asked one had come
    backwards: int  # frame numbers that did not rise
    unreadable: int
    frames: int
    longest_freeze_s: float
    key_frames: int
    audio_gap_ms: float


async def switch_sources(playwright: Playwright, server: Server, room: str, *, switches: int) -> SwitchReport:
    """Switches one slot between three painted sources every 2 s and looks at every frame."""
    async with chromium(playwright, bypass_csp=True) as context, chromium(playwright, bypass_csp=True) as viewing:
        sources = {}
        for number, tone in ((1, 500), (2, 700), (3, 1100)):
            publish = {"source": number, "hue": number * 90, "toneHz": tone, "width": 640, "height": 360, "fps": 25}
            client = await CanvasClient.join(context, server, room, f"source {number}", publish=publish)
            sources[number] = client.participant
        viewer = await CanvasClient.join(viewing, server, room, "viewer", video_slots=1, audio_slots=3)
        mid = (await viewer.video_mids())[0]
        await viewer.view(mid, sources[1])

        async def first() -> bool:
            return any(frame["source"] == 1 for frame in await viewer.take_frames(mid))

        await eventually(first, within_s=10, what="the first source is shown")

        async def three_heard() -> bool:
            return len(await viewer.audio_gaps_ms()) >= 3

        await eventually(three_heard, within_s=10, what="three audio slots are heard")
        await viewer.audio_gaps_ms(reset=True)
        return await _switching(viewer, mid, sources, switches)


async def _switching(viewer: CanvasClient, mid: str, sources: dict[int, str], switches: int) -> SwitchReport:
    clock = asyncio.get_running_loop().time
    key_frames = await viewer.key_frames(mid)
    asked: list[tuple[float, int]] = []
    await viewer.take_frames(mid)
    start = clock()
    async with FreezeWatch(lambda: viewer.freezes(mid)) as watch:
        for index in range(switches):
            source = (index + 1) % len(sources) + 1
            asked.append((await viewer.view(mid, sources[source]), source))
            # The rhythm of the script, two seconds a switch; nothing is waited for here.
            await asyncio.sleep(max(0.0, start + 2 * (index + 1) - clock()))
    frames = await viewer.take_frames(mid)
    slowest, strangers, backwards = judge_switches(asked, frames)
    gaps = await viewer.audio_gaps_ms()
    return SwitchReport(
        switches=switches,
        slowest_ms=slowest,
        strangers=strangers,
        backwards=backwards,
        unreadable=sum(frame["source"] is None for frame in frames),
        frames=len(frames),
        longest_freeze_s=watch.longest_s,
        key_frames=await viewer.key_frames(mid) - key_frames,
        audio_gap_ms=max(gaps, default=float("inf")),
    )


def judge_switches(asked: Sequence[tuple[float, int]], frames: Sequence[dict[str, Any]]) -> tuple[float, int, int]:
    """The slowest switch in ms, frames of a stranger after the asked source came, numbers that went back.

    `asked`: (page time in ms, source id) of each switch; `frames`: {at, source, number}, oldest first, `source`
    None where unreadable. A switch whose source never came counts as endless.
    """
    slowest, strangers, backwards = 0.0, 0, 0
    for (at, source), end in zip(asked, [at for at, _ in asked[1:]] + [float("inf")], strict=True):
        here = [frame for frame in frames if at <= frame["at"] < end and frame["source"] is not None]
        came = next((index for index, frame in enumerate(here) if frame["source"] == source), None)
        slowest = max(slowest, float("inf") if came is None else here[came]["at"] - at)
        after = here[came:] if came is not None else []
        strangers += sum(frame["source"] != source for frame in after)
        numbers = [frame["number"] for frame in after if frame["source"] == source]
        backwards += sum((b - a) % NUMBERS > NUMBERS // 2 for a, b in itertools.pairwise(numbers))
    return slowest, strangers, backwards
