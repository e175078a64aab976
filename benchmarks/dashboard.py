"""[I/O] Draws the dashboard from a live meeting: `python -m benchmarks.dashboard --out docs/dashboard.png`.

A meeting of 12 light clients runs while Debian's Prometheus scrapes the server; then every query of
deploy/grafana/stentor.json is asked of it and drawn at its place of the grid. It is a rendering of the dashboard's
queries, not Grafana. A panel without data is a failure: people with bad links, one with a link that does not hold and
a stranger's datagrams see to it that each has some.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import random
import socket
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from playwright.async_api import async_playwright

from benchmarks import panels
from benchmarks.client import LightClient, Publish
from benchmarks.impairment import Link
from benchmarks.sending import Layer
from benchmarks.signalling import Refused
from tests.chromium import chromium
from tests.prometheus import DEPLOY, Prometheus, prometheus
from tests.servers import Server

SCRAPE_S = 2
# As Grafana chooses it: four scrapes, so that one that is lost leaves no gap.
RATE_INTERVAL = "8s"
PEOPLE, JOIN_EVERY_S, PAGE_S = 12, 5.0, 3.0
LAYERS = (Layer("q", 320, 180, 60), Layer("h", 640, 360, 150))
BAD = Link(loss=0.02, delay_ms=40, jitter_ms=15)
GOOD = Link(delay_ms=8, jitter_ms=3)


class Meeting:
    """Twelve people in two rooms who come one after the other, look around, speak in turn, and go and come back."""

    def __init__(self, server: Server, until: float) -> None:
        self._server = server
        self._until = until
        self._url = f"ws://127.0.0.1:{server.http_port}/ws"
        self._clock = asyncio.get_running_loop().time
        self._began = self._clock()

    async def play(self) -> None:
        await asyncio.gather(*(self._person(number) for number in range(PEOPLE)), self._stranger())

    async def _person(self, number: int) -> None:
        await asyncio.sleep(number * JOIN_EVERY_S)
        room = "small" if number % 4 == 3 else "large"
        link = BAD if number % 3 == 0 else GOOD
        while self._clock() < self._until:
            client = await LightClient.join(
                self._url, await self._server.token(room, f"person {number}"), chance=random.Random(number),
                publish=Publish(number, layers=LAYERS), audio_slots=3, video_slots=4, uplink=link, downlink=link,
            )  # fmt: skip
            # The tenth leaves after a while and comes back; the others stay.
            stays_s = 40.0 if number == 9 else self._until - self._clock()
            try:
                await self._look_and_speak(client, number, self._clock() + stays_s)
            finally:
                await client.leave()

    async def _look_and_speak(self, client: LightClient, number: int, until: float) -> None:
        chance = random.Random(number)
        while self._clock() < min(until, self._until):
            turn = int((self._clock() - self._began) / PAGE_S)
            if client.microphone is not None:
                client.microphone.speaking = turn % PEOPLE in (number, (number + 5) % PEOPLE)
            others = sorted(self._in_room(client) - {client.participant})
            chance.shuffle(others)
            wishes = {slot.mid: (who, "camera") for slot, who in zip(client.video, others, strict=False)}
            with contextlib.suppress(Refused):  # somebody of them has just left
                await client.view(wishes, max_height=chance.choice((180, 360)))
            await asyncio.sleep(PAGE_S)

    def _in_room(self, client: LightClient) -> set[str]:
        inside = {one["participant"] for one in client.joined["participants"]}
        for message in client.messages:
            if message["type"] == "participant" and message["event"] == "joined":
                inside.add(message["participant"])
            if message["type"] == "participant" and message["event"] == "left":
                inside.discard(message["participant"])
        return inside

    async def _stranger(self) -> None:
        """Comes again and again with a link that does not hold, and sends what belongs to nobody."""
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as own:
            while self._clock() < self._until:
                with contextlib.suppress(Refused):
                    await LightClient.join(self._url, "no.valid.grant")
                for _ in range(20):
                    own.sendto(b"\x80" + bytes(40), ("127.0.0.1", self._server.media_port))
                await asyncio.sleep(1.0)


async def ask(api: Prometheus, board: dict[str, Any], start: float, end: float) -> dict[int, list[panels.Line]]:
    """The lines of every panel, by its id."""
    found: dict[int, list[panels.Line]] = {}
    for panel in board["panels"]:
        for target in panel.get("targets", ()):
            asked = target["expr"].replace("$__rate_interval", RATE_INTERVAL).replace("$instance", ".*")
            series = await api.ask_range(asked, start, end, SCRAPE_S)
            found.setdefault(panel["id"], []).extend(panels.lines_of(target["legendFormat"], series))
    return found


async def draw(page: str, out: Path) -> None:
    async with async_playwright() as playwright, chromium(playwright) as context:
        tab = await context.new_page()
        await tab.set_viewport_size({"width": 24 * panels.COLUMN_PX, "height": 800})
        await tab.set_content(page)
        await tab.screenshot(path=out, full_page=True)


async def run(seconds: float, out: Path) -> int:
    board = json.loads((DEPLOY / "grafana" / "stentor.json").read_text(encoding="utf-8"))
    async with Server() as server:
        with tempfile.TemporaryDirectory(prefix="stentor-dashboard-") as folder:
            async with prometheus(server.http_port, Path(folder), every_s=SCRAPE_S) as api:
                start = time.time()
                await Meeting(server, asyncio.get_running_loop().time() + seconds).play()
                found = await ask(api, board, start, start + seconds)
    empty = [panel["title"] for panel in board["panels"]
             if panel["type"] != "row" and not any(line.points for line in found.get(panel["id"], ()))]  # fmt: skip
    await draw(panels.page(board, found, start, start + seconds), out)
    print(f"{out}: {len(found)} panels, {out.stat().st_size / 1000:.0f} kB")
    if empty:
        print(f"without data: {', '.join(empty)}")
    return 1 if empty else 0


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.dashboard", description=__doc__.split("\n")[0])
    parser.add_argument("--seconds", type=float, default=150.0, help="of the meeting (default: %(default)g)")
    parser.add_argument("--out", type=Path, default=Path("docs/dashboard.png"), help="(default: %(default)s)")
    asked = parser.parse_args(arguments)
    return asyncio.run(run(asked.seconds, asked.out))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
