"""A page of another origin with clients that are not ours: WHIP in and WHEP out by the npm package `whip-whep`.

The package is by an author of RFC 9725; `make setup-test` installs it. The page is served from a port of its own, so
that the browser asks the server under test for leave (CORS), as it does for a player on somebody's site.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

from playwright.async_api import BrowserContext, Page

from tests.clients import HUE_TOLERANCE_DEG, SCRIPTS, TONE_TOLERANCE_HZ
from tests.media import hue_distance, hue_of
from tests.servers import ROOT, NotInTime, Server, eventually

PACKAGE = ROOT / "build" / "foreign" / "node_modules" / "whip-whep"
_HTML = b"""<!doctype html><meta charset="utf-8"><title>somebody's site</title>
<script src="painter.js"></script><script type="module" src="whip_client.js"></script>"""
_FILES = {
    "/painter.js": SCRIPTS / "painter.js",
    "/whip_client.js": SCRIPTS / "whip_client.js",
    "/whip.js": PACKAGE / "whip.js",
    "/whep.js": PACKAGE / "whep.js",
}


class _Site(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        file = _FILES.get(self.path)
        body = _HTML if file is None else file.read_bytes()
        self.send_response(200)
        self.send_header("Content-Type", "text/html" if file is None else "text/javascript")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing: pytest shows what matters."""


@contextlib.asynccontextmanager
async def somebodys_site() -> AsyncIterator[str]:
    """The origin of a running site. Raises FileNotFoundError without the package."""
    if not PACKAGE.exists():
        raise FileNotFoundError(f"{PACKAGE} is not there; `make setup-test` installs it")
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Site)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://localhost:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@dataclass(frozen=True)
class Painted:
    """A publisher's picture and sound."""

    source: int  # 0 = it paints no id
    hue_deg: float
    tone_hz: float


@dataclass(frozen=True)
class Counted:
    """Of one peer connection: pictures sent and decoded so far, its state, and the server's ICE fragment."""

    sent: int
    decoded: int
    state: str
    ufrag: str


class _ForeignClient:
    def __init__(self, page: Page) -> None:
        self.page = page

    @classmethod
    async def _page(cls, context: BrowserContext, site: str) -> Page:
        page = await context.new_page()
        await page.goto(site)
        await page.wait_for_function("() => window.Publisher !== undefined")
        return page

    async def counted(self) -> Counted:
        return Counted(**await self.page.evaluate("() => counted(foreign.pc)"))

    async def connected(self, *, within_s: float = 15.0) -> None:
        async def look() -> bool:
            return (await self.counted()).state == "connected"

        await eventually(look, within_s=within_s, what="the foreign client is connected")

    async def restart(self) -> None:
        """An ICE restart by PATCH."""
        await self.page.evaluate("() => foreign.client.restart()")

    async def stop(self) -> None:
        """DELETE."""
        await self.page.evaluate("() => foreign.client.stop()")


class WhipPublisher(_ForeignClient):
    """Sends a painted canvas, and a tone while it speaks."""

    @classmethod
    async def open(cls, context: BrowserContext, site: str, server: Server, token: str, painted: Painted) -> Self:
        page = await cls._page(context, site)
        await page.evaluate(
            """async ([options, url, token]) => {
                window.foreign = new Publisher(options);
                await foreign.publish(url, token);
            }""",
            [
                {"source": painted.source, "hue": painted.hue_deg, "toneHz": painted.tone_hz},
                f"{server.origin}/whip",
                token,
            ],
        )
        return cls(page)

    async def speak(self, loud: bool = True) -> None:
        await self.page.evaluate("(loud) => foreign.speak(loud)", loud)


class WhepViewer(_ForeignClient):
    """Receives a picture and a sound."""

    @classmethod
    async def open(
        cls,
        context: BrowserContext,
        site: str,
        server: Server,
        token: str,
        *,
        kinds: Sequence[str] = ("audio", "video"),
    ) -> Self:
        page = await cls._page(context, site)
        await page.evaluate(
            """async ([url, token, kinds]) => {
                window.foreign = new Viewer();
                await foreign.view(url, token, kinds);
            }""",
            [f"{server.origin}/whep", token, list(kinds)],
        )
        return cls(page)

    async def look(self) -> dict[str, Any]:
        """{colour, painted, width, height, toneHz, streams}."""
        seen: dict[str, Any] = await self.page.evaluate("() => foreign.look()")
        return seen

    async def shows(self, painted: Painted, *, within_s: float = 15.0) -> dict[str, Any]:
        """What is seen and heard once it is this publisher, by hue, painted id (if it has one) and tone.

        Raises NotInTime.
        """
        seen: dict[str, Any] = {}

        async def look() -> bool:
            seen.update(await self.look())
            hue_deg = hue_of(*seen["colour"]) if seen["colour"] else None
            return (
                hue_deg is not None
                and hue_distance(hue_deg, painted.hue_deg) <= HUE_TOLERANCE_DEG
                and (not painted.source or (seen["painted"] or {}).get("source") == painted.source)
                and seen["toneHz"] is not None
                and abs(seen["toneHz"] - painted.tone_hz) <= TONE_TOLERANCE_HZ
            )

        try:
            await eventually(look, within_s=within_s, what=f"the viewer sees and hears {painted}")
        except NotInTime as late:
            raise NotInTime(f"{late}; the last look: {seen}") from None
        return seen
