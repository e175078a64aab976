"""Real browsers as clients; chromium.py and firefox.py beside this start them.

Shared by the browser tests and the acceptance scripts. `BrowserClient` drives the product's page,
`CanvasClient` speaks stentor.v1 from a page of the tests (browser/canvas_client.js) and knows every
frame by name. `aiortc_client.py` beside this has the client without a browser.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from playwright.async_api import BrowserContext, ConsoleMessage, Page, Playwright, Route, async_playwright

from tests.chromium import CHROMIUM, HEADLESS_SHELL, RAW_CANDIDATES, chromium
from tests.media import FakeMedia, Painted, hue_distance, hue_of
from tests.servers import Server, eventually

SCRIPTS = Path(__file__).resolve().parent / "browser"
# 4:2:0, limited range and VP8 at its smallest layer shift a hue by up to about 8 degrees.
HUE_TOLERANCE_DEG = 20.0
# One bin of the 16,384-point spectrum is 3 Hz; the swell of the tone moves the peak by two at most.
TONE_TOLERANCE_HZ = 12.0


@dataclass(frozen=True)
class Tile:
    """What one <video> of the page shows now."""

    participant: str
    source: str
    mid: str
    width: int
    height: int
    hue_deg: float | None
    painted: Painted | None

    def shows(self, hue_deg: float) -> bool:
        return self.hue_deg is not None and hue_distance(self.hue_deg, hue_deg) <= HUE_TOLERANCE_DEG


@dataclass(frozen=True)
class Freezes:
    """Running totals of one receiver, from getStats."""

    count: int
    total_s: float
    frames_decoded: int
    height: int


class BrowserClient:
    """One participant at the product's own page."""

    def __init__(self, page: Page, name: str) -> None:
        self.page = page
        self.name = name
        self.problems: list[str] = []  # uncaught errors and error lines of the console
        page.on("pageerror", lambda error: self.problems.append(str(error)))
        page.on("console", self._note)

    def _note(self, message: ConsoleMessage) -> None:
        if message.type == "error" and "favicon" not in str(message.location):
            self.problems.append(message.text)

    @classmethod
    @contextlib.asynccontextmanager
    async def open(
        cls,
        playwright: Playwright,
        server: Server,
        room: str,
        name: str,
        *,
        program: Path = CHROMIUM,
        media: FakeMedia | None = None,
        query: str = "",
    ) -> AsyncIterator[BrowserClient]:
        """A browser of its own at the page, which joins by itself."""
        async with chromium(playwright, program, media) as context:
            yield await cls.at(context, server.origin, room, name, query=query)

    @classmethod
    async def at(cls, context: BrowserContext, origin: str, room: str, name: str, *, query: str = "") -> BrowserClient:
        """At the page in a browser that runs."""
        client = cls(context.pages[0] if context.pages else await context.new_page(), name)
        # By a door of the debugger, so the page's Content-Security-Policy does not see it.
        await client.page.add_init_script(path=SCRIPTS / "painter.js")
        await client.page.goto(f"{origin}/?room={room}&name={name}&join=1{query}")
        return client

    async def tiles(self) -> list[Tile]:
        """Every tile of another participant that has a picture, in the order of the page."""
        rows = await self.page.evaluate(
            """() => [...document.querySelectorAll("video[data-mid]")]
                .filter((video) => video.dataset.mid && video.videoWidth)
                .map((video) => ({...stentorTest.read(video), participant: video.dataset.participant ?? "",
                                  source: video.dataset.source ?? "", mid: video.dataset.mid}))"""
        )
        return [_tile(row) for row in rows]

    async def tones_hz(self) -> list[float]:
        """The strongest frequency of every remote audio track that is not silent; the first call only listens up."""
        return await _tones_hz(self.page, "window.stentor")

    async def sees(self, hues_deg: Sequence[float], *, within_s: float = 10.0) -> list[Tile]:
        """The tiles, once each of these hues is shown by exactly one. Raises NotInTime."""

        async def look() -> list[Tile] | None:
            tiles = await self.tiles()
            ok = all(sum(tile.shows(hue) for tile in tiles) == 1 for hue in hues_deg)
            return tiles if ok else None

        return await eventually(look, within_s=within_s, what=f"{self.name} sees the hues {list(hues_deg)}")

    async def hears(self, tones_hz: Sequence[float], *, within_s: float = 10.0) -> None:
        """Returns once exactly these tones are heard. Raises NotInTime."""

        async def look() -> bool:
            heard = await self.tones_hz()
            return len(heard) == len(tones_hz) and all(
                any(abs(tone - wanted) <= TONE_TOLERANCE_HZ for tone in heard) for wanted in tones_hz
            )

        await eventually(look, within_s=within_s, what=f"{self.name} hears the tones {list(tones_hz)}")

    async def connected(self, *, within_s: float = 10.0) -> None:
        async def look() -> bool:
            return bool(await self.page.evaluate("() => window.stentor?.pc?.connectionState === 'connected'"))

        await eventually(look, within_s=within_s, what=f"{self.name}'s peer connection is connected")

    async def view(self, slots: list[dict[str, Any]]) -> None:
        """Ask for these slots; the page's own wishes are off from now on."""
        await self.page.evaluate("(slots) => window.stentor.view(slots)", slots)

    async def freezes(self, mid: str) -> Freezes:
        """What getStats says of the slot."""
        rows = await self.page.evaluate(
            """async () => [...(await window.stentor.pc.getStats()).values()]
                .filter((row) => row.type === "inbound-rtp" && row.kind === "video")"""
        )
        return _freezes(next((row for row in rows if row.get("mid") == mid), {}))

    async def leave(self) -> None:
        """Close the page as a person does who shuts the tab."""
        await self.page.close(run_before_unload=True)


class CanvasClient:
    """One participant in a page of the tests: paints source and frame number, reads them of every frame it gets."""

    def __init__(self, page: Page, participant: str) -> None:
        self.page = page
        self.participant = participant

    @classmethod
    async def join(
        cls,
        context: BrowserContext,
        server: Server,
        room: str,
        name: str,
        *,
        publish: dict[str, Any] | None = None,
        video_slots: int = 0,
        audio_slots: int = 0,
        paired: bool = False,
        relayed: bool = False,
        only: str = "",
        opus: str = "",
    ) -> CanvasClient:
        """`publish`: {source, hue, toneHz, width, height, fps, simulcast, flashes, ...}; see browser/canvas_client.js.

        `only`: the one address of the server that is used. `opus`: fmtp parameters that the offer adds to Opus.
        """
        # A page that really comes from the server: Chromium does not let a page of unknown origin call loopback.
        page = await context.new_page()
        await page.goto(f"{server.origin}/healthz")
        await add_scripts(page)
        options = {
            "url": f"{server.origin.replace('http', 'ws', 1)}/ws",
            "token": await server.token(room, name),
            "publish": publish,
            "videoSlots": video_slots,
            "audioSlots": audio_slots,
            "paired": paired,
            "relayed": relayed,
            "only": only,
            "opus": opus,
        }
        participant = await page.evaluate(
            "async (options) => (window.client = new stentorTest.CanvasClient(options)).join()", options
        )
        return cls(page, participant)

    async def video_mids(self) -> list[str]:
        return [str(mid) for mid in await self.page.evaluate("() => Object.keys(client.frames)")]

    async def view(self, mid: str, participant: str | None, *, max_height: int = 0) -> float:
        """Ask for a camera (None: nothing); the page's time in ms at the moment of asking."""
        show = None if participant is None else {"participant": participant, "source": "camera"}
        slots = [{"mid": mid, "show": show, "max_height": max_height}]
        return float(await self.page.evaluate("(slots) => client.view(slots)", slots))

    async def take_frames(self, mid: str) -> list[dict[str, Any]]:
        """The frames since the last call, oldest first: {at (ms), source, number, height, bright}.

        `source` and `number` are null where unreadable, `bright` while the publisher flashes.
        """
        frames: list[dict[str, Any]] = await self.page.evaluate("(mid) => client.takeFrames(mid)", mid)
        return frames

    async def path(self) -> dict[str, str | None]:
        """{kind, protocol, remote} of the selected pair; the protocol is that towards the TURN server."""
        path: dict[str, str | None] = await self.page.evaluate("() => client.path()")
        return path

    async def restart_ice(self) -> list[str]:
        """An ICE restart (RFC 8445 2.4); the server's fragments before and after."""
        return [str(ufrag) for ufrag in await self.page.evaluate("() => client.restartIce()")]

    async def server_address(self) -> str | None:
        """The server's address of the selected pair."""
        return (await self.path())["remote"]

    async def audio_mids(self) -> list[str]:
        return [str(mid) for mid in await self.page.evaluate("() => Object.keys(client.gaps)")]

    async def take_beeps(self, mid: str) -> list[float]:
        """The page's times in ms at which beeps were played since the last call."""
        beeps: list[float] = await self.page.evaluate("(mid) => client.takeBeeps(mid)", mid)
        return beeps

    async def receive_direct(self, publisher: CanvasClient) -> tuple[str, str]:
        """The same tracks past the server, beside those through it; mids of video and audio for `take_...`.

        A new one ends the one before. Both browsers need `RAW_CANDIDATES`.
        """
        offer = await publisher.page.evaluate("() => client.offerDirect()")
        answer = await self.page.evaluate("(sdp) => client.receiveDirect(sdp)", offer)
        await publisher.page.evaluate("(sdp) => client.connectDirect(sdp)", answer)
        return "direct-video", "direct-audio"

    async def freezes(self, mid: str) -> Freezes:
        return _freezes(await self._inbound(mid))

    async def tones_hz(self) -> list[float]:
        """As BrowserClient.tones_hz; needs no worklet."""
        return await _tones_hz(self.page, "client")

    async def channels_hz(self) -> list[tuple[float | None, float | None]]:
        """The strongest frequency left and right of each audio slot, None in silence; the first call listens up."""
        heard = await self.page.evaluate(
            """() => client.pc.getReceivers().map((receiver) => receiver.track)
                .filter((track) => track?.kind === "audio").map(stentorTest.channels)"""
        )
        return [(left, right) for left, right in heard]

    async def speak(self, *, loud: bool) -> None:
        """Fall silent, or go on with the tone."""
        await self.page.evaluate("(loud) => client.speak(loud)", loud)

    async def slot(self, mid: str) -> dict[str, Any]:
        """What the server last said that a slot carries."""
        told: dict[str, Any] = await self.page.evaluate("(mid) => client.slots[mid] ?? {}", mid)
        return told

    async def refused(self) -> dict[str, str]:
        """Which of its sources the last answer refused, by mid, and why."""
        refused: dict[str, str] = await self.page.evaluate("() => client.refused")
        return refused

    async def codec(self, mid: str) -> str:
        """What the slot decodes, such as "video/VP9"; "" before anything came."""
        return str(
            await self.page.evaluate(
                """async (mid) => {
                    const rows = [...(await client.pc.getStats()).values()];
                    const inbound = rows.find((row) => row.type === "inbound-rtp" && row.mid === mid);
                    return rows.find((row) => row.id === inbound?.codecId)?.mimeType ?? "";
                }""",
                mid,
            )
        )

    async def stats(self, kind: str, media: str) -> list[dict[str, Any]]:
        """The rows of getStats of "inbound-rtp" or "outbound-rtp" and "audio" or "video"."""
        rows = await self.page.evaluate("() => client.stats()")
        return [row for row in rows if row["type"] == kind and row.get("kind") == media]

    async def frames_decoded(self, mid: str) -> int:
        return (await self.freezes(mid)).frames_decoded

    async def key_frames(self, mid: str) -> int:
        return int((await self._inbound(mid)).get("keyFramesDecoded", 0))

    async def _inbound(self, mid: str) -> dict[str, Any]:
        rows = await self.page.evaluate("() => client.stats()")
        return next((row for row in rows if row["type"] == "inbound-rtp" and row.get("mid") == mid), {})

    async def audio_gaps_ms(self, *, reset: bool = False) -> list[float]:
        """The longest silence in each audio slot that has been heard at all."""
        gaps = await self.page.evaluate("(reset) => client.audioGaps(reset)", reset)
        return [float(gap["longestMs"]) for gap in gaps.values() if gap["heard"]]

    async def leave(self) -> None:
        await self.page.evaluate("() => client.leave()")
        await self.page.close()


async def canvas_page(context: BrowserContext, origin: str) -> Page:
    """An empty page of this origin (so of a secure context) with the tests' scripts; needs no server."""
    page = await context.new_page()

    async def empty(route: Route) -> None:
        await route.fulfill(content_type="text/html", body="<!doctype html><title>canvas client</title>")

    await page.route(f"{origin}/canvas-client", empty)
    await page.goto(f"{origin}/canvas-client")
    await add_scripts(page)
    return page


async def add_scripts(page: Page) -> None:
    """Puts the tests' scripts into a page."""
    for script in ("painter.js", "canvas_client.js"):
        await page.evaluate((SCRIPTS / script).read_text())


async def _tones_hz(page: Page, owner: str) -> list[float]:
    heard = await page.evaluate(
        f"""() => {owner}?.pc?.getReceivers().map((receiver) => receiver.track)
            .filter((track) => track?.kind === "audio")
            .map(stentorTest.tone).filter((tone) => tone !== null) ?? []"""
    )
    return [float(tone) for tone in heard]


def _tile(row: dict[str, Any]) -> Tile:
    painted = row["painted"]
    return Tile(
        participant=row["participant"],
        source=row["source"],
        mid=row["mid"],
        width=row["width"],
        height=row["height"],
        hue_deg=hue_of(*row["colour"]) if row["colour"] else None,
        painted=Painted(painted["source"], painted["number"]) if painted else None,
    )


def _freezes(row: dict[str, Any]) -> Freezes:
    return Freezes(
        count=int(row.get("freezeCount", 0)),
        total_s=float(row.get("totalFreezesDuration", 0)),
        frames_decoded=int(row.get("framesDecoded", 0)),
        height=int(row.get("frameHeight", 0)),
    )


__all__ = [
    "CHROMIUM",
    "HEADLESS_SHELL",
    "RAW_CANDIDATES",
    "BrowserClient",
    "CanvasClient",
    "Freezes",
    "Tile",
    "async_playwright",
    "canvas_page",
    "chromium",
]
