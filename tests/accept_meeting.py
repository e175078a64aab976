"""`make accept-meeting`: every line of "Done when" of the first call and of real life that a program can check.

One line a check (tests/acceptance.py), `BY EYE:` where only a person can judge, `N passed, N failed` last; exit code 1
when any failed. Options: `--no-clone` leaves out the fresh clone, which fetches packages.
"""

from __future__ import annotations

import asyncio
import functools
import socket
import sys

from playwright.async_api import Playwright, async_playwright

from tests import accept_parts, acceptance, forty, lipsync, meeting, mixed
from tests.acceptance import Checks
from tests.aiortc_client import AiortcClient, PaintedTrack, ToneTrack
from tests.clients import BrowserClient
from tests.servers import ROOT, Server, free_port

SWITCHES = 30  # one minute of one switch every 2 s
AIORTC_HUE_DEG, AIORTC_TONE_HZ, AIORTC_SOURCE = 60.0, 900.0, 7
BY_EYE = (
    "fresh clone: `make test` passes (run it there; about ten minutes)",
    "ARCHITECTURE.md is true (tests/test_architecture.py holds rules 1, 3, 5 and 7 in `make test`)",
    "the figures of docs/benchmarks.md: `make bench` on a quiet machine",
    "docs/dashboard.png: every panel shows what it says",
    "the page: open the address of `make run` in two tabs; see, hear, mute, leave; and at 360 px, by keyboard",
)


async def fresh_clone_runs() -> str:
    """`make run` in a clone of the last commit prints an address that answers."""
    media = str(free_port(socket.SOCK_DGRAM))
    return await acceptance.fresh_clone_runs(free_port(socket.SOCK_STREAM), "--media-port", media)


async def three_browsers(check: Checks, playwright: Playwright, server: Server) -> None:
    people = meeting.three_people()
    async with meeting.meeting(playwright, server, "accept", people) as clients:
        ada, ben, cleo = clients
        await check(
            "three browsers see each other by colour", lambda: meeting.everybody_sees_everybody(clients, people)
        )
        await check(
            "three browsers hear each other's tones", lambda: meeting.everybody_hears_everybody(clients, people)
        )
        for client in (ben, cleo):
            await check(f"first frame within 2 s ({client.name})", functools.partial(meeting.first_frame, client))
        await check(
            "small layer, then large, no freeze over 300 ms",
            lambda: meeting.small_layer_then_large(cleo, people[0].media.hue_deg),
        )
        await aiortc_beside(check, server, [ada, ben, cleo], people)
        await check(
            "one leaves and the tiles say so",
            lambda: meeting.a_leaver_is_gone(ben, people[1].media.hue_deg, [ada, cleo]),
        )
        problems = [f"{client.name}: {problem}" for client in clients for problem in client.problems]
        check.judge("no page reported an error", not problems, "; ".join(problems)[:500] or "none")


async def aiortc_beside(
    check: Checks, server: Server, browsers: list[BrowserClient], people: list[meeting.Person]
) -> None:
    async def joins() -> str:
        ada, ben, _ = browsers
        publish = (PaintedTrack(AIORTC_SOURCE, AIORTC_HUE_DEG), ToneTrack(AIORTC_TONE_HZ))
        async with AiortcClient.join(
            server, "accept", "aiortc", publish=publish, video_slots=2, audio_slots=3
        ) as client:
            hues = [person.media.hue_deg for person in people]
            first, second = await meeting.participant_named(ben, hues[0]), await meeting.participant_named(ada, hues[1])
            found = await meeting.aiortc_decodes(client, [(first, 1), (second, 2)])
            await ada.sees([AIORTC_HUE_DEG])
            return f"{found}; and a browser sees aiortc"

    await check("an aiortc client joins beside them, decodes two and is seen", joins)


async def switching(check: Checks, playwright: Playwright, server: Server) -> None:
    reports: list[meeting.SwitchReport] = []

    async def run() -> str:
        report = await meeting.switch_sources(playwright, server, "switching", switches=SWITCHES)
        reports.append(report)
        assert report.frames > SWITCHES * 10, f"only {report.frames} frames were seen"
        assert report.unreadable * 20 <= report.frames, f"{report.unreadable} of {report.frames} frames unreadable"
        return f"{report.switches} switches, {report.frames} frames, {report.unreadable} unreadable"

    if not await check("switching a slot every 2 s for a minute", run, again=True) or not reports:
        return
    seen = reports[-1]
    check.judge("  the asked source within 500 ms", seen.slowest_ms <= meeting.SWITCH_MS, f"{seen.slowest_ms:.0f} ms")
    check.judge("  never another source afterwards", seen.strangers == 0, f"{seen.strangers} frames")
    check.judge("  frame numbers rise", seen.backwards == 0, f"{seen.backwards} went back")
    longest_ms = seen.longest_freeze_s * 1000
    check.judge("  freezes under 300 ms each", seen.longest_freeze_s < meeting.FREEZE_S, f"longest {longest_ms:.0f} ms")
    limit = seen.switches + meeting.KEY_FRAMES_SPARE
    check.judge(f"  key frames at most {limit}", seen.key_frames <= limit, f"{seen.key_frames}")
    gap = seen.audio_gap_ms
    check.judge("  no audio gap over 60 ms", gap <= meeting.AUDIO_GAP_MS, f"longest {gap:.0f} ms")


async def lip_sync(check: Checks, playwright: Playwright, server: Server) -> None:
    async def run() -> str:
        report = await lipsync.switch_pairs(playwright, server, "lipsync")
        assert report.worst_ms <= lipsync.SKEW_MS, str(report)
        return str(report)

    await check("a pair of slots stays within 80 ms through three switches", run, again=True)


async def main(arguments: list[str]) -> int:
    check = Checks()
    if "--no-clone" in arguments:
        print("LEFT OUT: fresh clone: `make run` prints an address (--no-clone)")
    else:
        await check("fresh clone: make run prints an address that answers", fresh_clone_runs)
    async with async_playwright() as playwright:
        server = Server()
        if await check("a fresh server is ready", lambda: _start(server)):
            for part in (three_browsers, switching, lip_sync):
                try:
                    await part(check, playwright, server)
                except Exception as error:  # a browser that does not start fails its part, not the rest
                    check.judge(f"{part.__name__} could be run", False, acceptance.short(error))
            together = functools.partial(mixed.two_chromium_and_a_firefox, server, "mixed")
            await check("two Chromium and a Firefox see and hear each other", together, again=True)
            await check("the server ends by SIGTERM", lambda: _stop(server))
    for numbered in accept_parts.PARTS:
        await check(numbered.line, functools.partial(acceptance.holds, numbered), again=True)
    missing = ", ".join(accept_parts.figures_missing())
    check.judge("12 figures in docs/benchmarks.md", not missing, f"rows {missing} are not there" if missing else "all")
    picture = ROOT / "docs" / "dashboard.png"
    check.judge("13 the dashboard's picture is in the docs", picture.exists(), picture.name)
    await check("the meeting of 40 holds three times in a row", forty.holds_three_times, again=True)
    for line in BY_EYE:
        print(f"BY EYE: {line}")
    return check.report()


async def _start(server: Server) -> str:
    await server.start()
    return server.origin


async def _stop(server: Server) -> str:
    await server.stop()
    return "code 0"


if __name__ == "__main__":
    raise SystemExit(asyncio.run(main(sys.argv[1:])))
