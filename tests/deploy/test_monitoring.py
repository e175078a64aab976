"""A real Prometheus scrapes a running meeting: every query of dashboard and alerts is asked and finds what it names."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import socket
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.aiortc_client import AiortcClient, PaintedTrack, ToneTrack
from tests.servers import Server, eventually, free_port

DEPLOY = Path(__file__).resolve().parents[2] / "deploy"
# Series that a healthy meeting does not have. Everything else must be there, or a name or a label is wrong.
EMPTY_WHEN_WELL = ("Not forwarded on arrival", "Not sent", "Errors that clients were told")
CONFIGURATION = """
global: {{scrape_interval: 1s, evaluation_interval: 1s}}
rule_files: [{rules}]
scrape_configs:
  - job_name: stentor
    static_configs: [{{targets: ["127.0.0.1:{port}"]}}]
"""


class Prometheus:
    """The HTTP API of one that was started here."""

    def __init__(self, port: int) -> None:
        self._origin = f"http://127.0.0.1:{port}"

    async def get(self, path: str, **query: str) -> Any:
        """The `data` of an answer. Raises AssertionError with what Prometheus says is wrong."""
        answer = json.loads(await asyncio.to_thread(self._fetch, path, query))
        assert answer["status"] == "success", answer
        return answer["data"]

    async def ask(self, expression: str) -> list[dict[str, Any]]:
        """The series of an instant query."""
        result: list[dict[str, Any]] = (await self.get("/api/v1/query", query=expression))["result"]
        return result

    async def ready(self) -> bool:
        try:
            return bool(await asyncio.to_thread(self._fetch, "/-/ready", {}))
        except OSError:
            return False

    def _fetch(self, path: str, query: dict[str, str]) -> bytes:
        # No proxy: the environment of a build machine often names one.
        door = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with door.open(f"{self._origin}{path}?{urllib.parse.urlencode(query)}", timeout=10) as answer:
                return bytes(answer.read())
        except urllib.error.HTTPError as refused:
            if refused.code == 503:
                raise ConnectionError("not ready") from refused
            return refused.read()


@contextlib.asynccontextmanager
async def prometheus(target_port: int, folder: Path) -> AsyncIterator[Prometheus]:
    """One of its own, on a free port, with its data in `folder`."""
    port = free_port(socket.SOCK_STREAM)
    rules = DEPLOY / "prometheus" / "alerts.yml"
    (folder / "prometheus.yml").write_text(CONFIGURATION.format(rules=rules, port=target_port), encoding="utf-8")
    process = await asyncio.create_subprocess_exec(
        "prometheus",
        f"--config.file={folder / 'prometheus.yml'}",
        f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address=127.0.0.1:{port}",
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        api = Prometheus(port)
        await eventually(api.ready, within_s=30, what="Prometheus is ready")
        yield api
    finally:
        process.terminate()
        await process.wait()


def dashboard() -> list[tuple[str, str]]:
    """(panel, expression) of every query, Grafana's variables filled in."""
    board = json.loads((DEPLOY / "grafana" / "stentor.json").read_text(encoding="utf-8"))
    return [
        (panel["title"], target["expr"].replace("$__rate_interval", "30s").replace("$instance", ".*"))
        for panel in board["panels"]
        for target in panel.get("targets", [])
    ]


def selectors(expression: str) -> set[str]:
    """What an expression reads: `stentor_x{...}` with its matchers, or the name alone."""
    return set(re.findall(r"stentor_\w+(?:\{[^}]*\})?", expression))


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
