"""A real Prometheus as a process of its own, which scrapes a server of the tests."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from tests.servers import eventually, free_port

DEPLOY = Path(__file__).resolve().parents[1] / "deploy"
CONFIGURATION = """
global: {{scrape_interval: {every_s}s, evaluation_interval: 1s}}
rule_files: [{rules}]
scrape_configs:
  - job_name: {job}
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

    async def ask_range(self, expression: str, start: float, end: float, step_s: float) -> list[dict[str, Any]]:
        """The series of a range query, from and until Unix time."""
        span = {"start": str(start), "end": str(end), "step": str(step_s)}
        result: list[dict[str, Any]] = (await self.get("/api/v1/query_range", query=expression, **span))["result"]
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
async def prometheus(
    target_port: int, folder: Path, *, every_s: int = 1, job: str = "stentor", alerts: str = "alerts"
) -> AsyncIterator[Prometheus]:
    """One of its own, on a free port, with its data in `folder`, that scrapes loopback's `target_port` as this job."""
    port = free_port(socket.SOCK_STREAM)
    rules = DEPLOY / "prometheus" / f"{alerts}.yml"
    text = CONFIGURATION.format(rules=rules, port=target_port, every_s=every_s, job=job)
    (folder / "prometheus.yml").write_text(text, encoding="utf-8")
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
