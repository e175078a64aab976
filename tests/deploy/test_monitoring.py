"""A real Prometheus scrapes a running meeting: every query of dashboard and alerts is asked and finds what it names."""

from __future__ import annotations

import json
import re
import socket
from pathlib import Path

import psutil
import pytest

from tests.aiortc_client import AiortcClient, PaintedTrack, ToneTrack
from tests.prometheus import DEPLOY, prometheus
from tests.servers import Server, eventually, free_port

# What only faults show, or people who come and go. Everything else must be there, or a name or a label is wrong.
EMPTY_WHEN_WELL = ("Not forwarded on arrival", "Not sent", "Errors that clients were told", "What happens in rooms")


def dashboard(name: str = "stentor") -> list[tuple[str, str]]:
    """(panel, expression) of every query, Grafana's variables filled in."""
    board = json.loads((DEPLOY / "grafana" / f"{name}.json").read_text(encoding="utf-8"))
    return [
        (panel["title"], target["expr"].replace("$__rate_interval", "30s").replace("$instance", ".*"))
        for panel in board["panels"]
        for target in panel.get("targets", [])
    ]


def selectors(expression: str) -> set[str]:
    """What an expression reads: `stentor_x{...}` with its matchers, or the name alone."""
    return set(re.findall(r"stentor_\w+(?:\{[^}]*\})?", expression))


# One of the alerts is for packets that stay too long, which is the truth where other tests have the processors.
@pytest.mark.alone
async def test_every_query_of_dashboard_and_alerts_finds_its_series_in_a_running_meeting(tmp_path: Path) -> None:
    async with Server() as server, prometheus(server.http_port, tmp_path) as api:
        camera = (PaintedTrack(1, 10), ToneTrack(500))
        async with (
            AiortcClient.join(server, "r", "Ada", publish=camera, video_slots=1) as first,
            AiortcClient.join(server, "r", "Bo", publish=(PaintedTrack(2, 90), ToneTrack(700)), audio_slots=1,
                              video_slots=1) as second,
        ):  # fmt: skip
            await second.view({second.video_mids()[0]: first.participant})
            await second.frames(second.video_mids()[0], 30)

            async def scraped() -> bool:
                # Two scrapes with media between them: rates need both.
                seen = await api.ask("rate(stentor_bytes_total[30s]) > 0")
                slow = await api.ask('rate(stentor_join_seconds_count{until="media"}[30s])')
                late = await api.ask("rate(stentor_forward_latency_seconds_count[30s]) > 0")
                return len(seen) == 2 and bool(slow) and bool(late)

            await eventually(scraped, within_s=30, what="Prometheus has seen media flow")
            missing = []
            for title, expression in dashboard():
                found = await api.ask(expression)
                if not found and title not in EMPTY_WHEN_WELL:
                    missing.append(f"{title}: {expression}")
            rules = [rule for group in (await api.get("/api/v1/rules"))["groups"] for rule in group["rules"]]
            assert len(rules) > 10 and not [rule for rule in rules if rule.get("lastError")]
            read = {one for rule in rules for one in selectors(rule["query"])}
            read |= {one for _, expression in dashboard() for one in selectors(expression)}
            missing += [one for one in sorted(read) if not await api.ask(one)]
            assert not missing, "\n".join(missing)
            page = [one for one in rules if one["state"] != "inactive" and one["name"] != "StentorSmallBuffers"]
            assert not page, f"a healthy meeting raises {[one['name'] for one in page]}"
            (busy,) = await api.ask("max(stentor_kernel_busy_share)")
            assert 0 < float(busy["value"][1]) < 0.8


async def test_a_worker_that_is_killed_is_an_alert_and_a_restart(tmp_path: Path) -> None:
    async with Server() as server, prometheus(server.http_port, tmp_path) as api:

        async def seen() -> bool:
            return bool(await api.ask("stentor_worker_up == 1"))

        await eventually(seen, within_s=30, what="a scrape with the worker up")
        (worker,) = [one for one in psutil.Process(server.pid).children() if "sfu.worker" in one.cmdline()]
        worker.kill()

        async def raised() -> bool:
            rules = [rule for group in (await api.get("/api/v1/rules"))["groups"] for rule in group["rules"]]
            return [one["state"] for one in rules if one["name"] == "StentorWorkerRestarted"] == ["firing"]

        await eventually(raised, within_s=30, what="StentorWorkerRestarted fires")
        assert await server.metric('stentor_worker_restarts_total{worker="0"}') == 1


@pytest.mark.parametrize("expression", ["stentor_no_such_thing", "sum(stentor_rooms"])
async def test_the_judge_sees_a_name_that_is_not_there_and_a_query_that_is_none(
    expression: str, tmp_path: Path
) -> None:
    async with prometheus(free_port(socket.SOCK_STREAM), tmp_path) as api:
        try:
            found = await api.ask(expression)
        except AssertionError as refused:
            found = []
            assert "parse error" in str(refused)
        assert not found
