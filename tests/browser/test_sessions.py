"""Crashes and cuts, seen by people at the page: the worker dies, the server restarts, the WebSocket is cut."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import AsyncIterator, Sequence

import psutil
import pytest

from tests.clients import SCRIPTS, BrowserClient, Tile, async_playwright, chromium
from tests.media import FakeMedia, fake_media
from tests.meeting import FREEZE_S, FreezeWatch
from tests.relays import tcp_forwarder
from tests.servers import Server, eventually

pytestmark = pytest.mark.browser

BACK_S = 30.0
# 2.7 s on two idle cores; the acceptance holds it to 3 s, a test only to five times the median.
BACK_AFTER_KILL_S = 13.5
# It reads the end of its channel at once; what takes time is the end of its process.
WORKER_GONE_S = 5.0


def media() -> dict[str, FakeMedia]:
    return {"ada": fake_media(0, 500, source=1), "ben": fake_media(120, 700, source=2)}


@contextlib.asynccontextmanager
async def two_at(origin: str) -> AsyncIterator[tuple[BrowserClient, BrowserClient]]:
    async with async_playwright() as playwright, contextlib.AsyncExitStack() as stack:
        pages = []
        for name, each in media().items():
            context = await stack.enter_async_context(chromium(playwright, media=each))
            pages.append(await BrowserClient.at(context, origin, "crash", name))
        await both_see(pages)
        yield pages[0], pages[1]


async def both_see(pages: Sequence[BrowserClient]) -> list[Tile]:
    hues = [each.hue_deg for each in media().values()]
    seen = await asyncio.gather(
        *(page.sees([hue], within_s=BACK_S) for page, hue in zip(pages, hues[::-1], strict=True))
    )
    return [tile for tiles in seen for tile in tiles]


async def decoded(page: BrowserClient) -> float:
    """Pictures decoded by the peer connection that the page has now."""
    return float(
        await page.page.evaluate(
            """async () => [...((await window.stentor?.pc?.getStats())?.values() ?? [])]
                .filter((row) => row.type === "inbound-rtp" && row.kind === "video")
                .reduce((sum, row) => sum + (row.framesDecoded ?? 0), 0)"""
        )
    )


async def both_move(pages: Sequence[BrowserClient], *, connections: Sequence[str]) -> float:
    """The seconds until each page decodes pictures by a peer connection that is not one of these."""
    clock = asyncio.get_running_loop().time
    start = clock()

    async def look() -> bool:
        for page, old in zip(pages, connections, strict=True):
            if await connection(page) == old or await decoded(page) < 10:
                return False
        return True

    await eventually(look, within_s=BACK_S, what="both pages decode pictures again")
    return clock() - start


async def connection(page: BrowserClient) -> str:
    """The peer connection by the fragment it was opened with."""
    return str(
        await page.page.evaluate(
            """() => /a=ice-ufrag:(\\S+)/.exec(window.stentor?.pc?.localDescription?.sdp ?? "")?.[1] ?? "" """
        )
    )


async def say(pages: Sequence[BrowserClient], words: str) -> None:
    """Every page tells its person so, in a notice or as its status."""
    told = "() => document.querySelector('#notices').textContent + document.querySelector('#status').textContent"

    async def look() -> bool:
        return all([words in str(await page.page.evaluate(told)) for page in pages])

    await eventually(look, within_s=BACK_S, what=f"every page says {words!r}")


def worker_of(server: Server) -> psutil.Process:
    (worker,) = [child for child in psutil.Process(server.pid).children() if "sfu.worker" in child.cmdline()]
    return worker


def resumptions(server: Server) -> int:
    return server.log.read_text().count("stentor.session resumed")


async def test_people_see_each_other_again_after_the_worker_was_killed(
    server: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    async with two_at(server.origin) as pages:
        before = [await connection(page) for page in pages]
        worker_of(server).send_signal(signal.SIGKILL)
        took_s, _ = await asyncio.gather(both_move(pages, connections=before), say(pages, "The media server restarted"))
        assert len(await both_see(pages)) == 2
        assert took_s <= BACK_AFTER_KILL_S
    with capsys.disabled():
        print(f"\nworker killed: pictures are back after {took_s:.1f} s")


async def test_a_node_that_is_killed_takes_its_worker_with_it_and_the_page_says_so_and_comes_back(
    capsys: pytest.CaptureFixture[str],
) -> None:
    server = Server("--tokens-shared-key", "k" * 32)
    async with server, two_at(server.origin) as pages:
        before = [await connection(page) for page in pages]
        worker = worker_of(server)
        await server.kill()

        async def gone() -> bool:
            return not worker.is_running()

        await eventually(gone, within_s=WORKER_GONE_S, what="the worker has ended with its node")
        await say(pages, "Reconnecting")
        await server.start()
        took_s = await both_move(pages, connections=before)
        assert len(await both_see(pages)) == 2
    with capsys.disabled():
        print(f"\nnode killed: pictures are back {took_s:.1f} s after it was started anew")


@pytest.mark.long
async def test_people_see_each_other_again_after_the_server_was_started_anew(
    capsys: pytest.CaptureFixture[str],
) -> None:
    server = Server("--tokens-shared-key", "k" * 32)
    async with server, two_at(server.origin) as pages:
        before = [await connection(page) for page in pages]
        await server.stop()
        await say(pages, "The server is stopping")
        await server.start()
        took_s = await both_move(pages, connections=before)
        assert len(await both_see(pages)) == 2
    with capsys.disabled():
        print(f"\nserver started anew: pictures are back after {took_s:.1f} s")


async def test_one_grant_in_two_tabs_is_two_people_and_each_keeps_its_own_seat(server: Server) -> None:
    (ada, *_) = media().values()
    token = await server.token("crash", "ada")
    async with (
        tcp_forwarder(("127.0.0.1", server.http_port)) as wire,
        async_playwright() as playwright,
        chromium(playwright, media=ada) as context,
    ):
        tabs = []
        for _ in range(2):
            tab = BrowserClient(await context.new_page(), "ada")
            await tab.page.add_init_script(path=SCRIPTS / "painter.js")
            await tab.page.goto(f"http://localhost:{wire.port}/?join=1#token={token}")
            tabs.append(tab)
        for tab in tabs:
            await tab.sees([ada.hue_deg], within_s=BACK_S)
        seats = [await tab.page.evaluate("() => window.stentor.me") for tab in tabs]
        assert seats[0] != seats[1]
        before = [await connection(tab) for tab in tabs]
        wire.cut()

        async def back() -> bool:
            return resumptions(server) == 2

        await eventually(back, within_s=BACK_S, what="both have resumed")
        assert [await tab.page.evaluate("() => window.stentor.me") for tab in tabs] == seats
        assert [await connection(tab) for tab in tabs] == before


async def test_a_websocket_that_is_cut_is_taken_up_again_and_no_picture_waits_for_it(server: Server) -> None:
    async with tcp_forwarder(("127.0.0.1", server.http_port)) as wire, two_at(f"http://localhost:{wire.port}") as pages:
        before = [await connection(page) for page in pages]
        tile = (await pages[0].tiles())[0]
        async with FreezeWatch(lambda: pages[0].freezes(tile.mid)) as watch:
            for _ in range(3):
                resumed = resumptions(server)
                shown = await decoded(pages[0])
                wire.cut()

                async def back(resumed: int = resumed, shown: float = shown) -> bool:
                    again = resumptions(server)
                    return again >= resumed + len(pages) and await decoded(pages[0]) >= shown + 30

                await eventually(back, within_s=BACK_S, what="both have resumed, and pictures went on")
        assert [await connection(page) for page in pages] == before
        assert watch.longest_s <= FREEZE_S
        await both_see(pages)
