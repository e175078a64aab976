"""[I/O] For who runs the server: /healthz, /readyz, /metrics. They answer over plain HTTP too, as probes ask, and wait
for no thread that serves requests."""

from __future__ import annotations

from collections.abc import Iterator

import anyio.to_thread
from fastapi import APIRouter
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from starlette.responses import PlainTextResponse, Response

from control_plane.api.doors import Doors, need
from control_plane.watch.measures import CONTENT_TYPE, PREFIX
from control_plane.watch.reading import Reading

PATHS = frozenset(("/healthz", "/readyz", "/metrics"))


def router(doors: Doors, reading: Reading) -> APIRouter:
    """What is running says to everybody, in a word, whether it does; the figures are for operators."""
    routes, figures = APIRouter(include_in_schema=False), doors.operations()
    threads = _Threads()
    doors.measures.registry.register(reading)
    doors.measures.registry.register(threads)

    @routes.get("/healthz")
    @need("public")
    async def healthz() -> Response:
        """The event loop answers."""
        return PlainTextResponse("ok\n")

    @routes.get("/readyz")
    @need("public")
    async def readyz() -> Response:
        """The database answers, too."""
        ready = await reading.ready()
        return PlainTextResponse("ready\n" if ready else "not ready\n", 200 if ready else 503)

    @figures.get("/metrics")
    @need("operator")
    async def metrics() -> Response:
        await reading.look()
        threads.look()
        return Response(doors.measures.page(), media_type=CONTENT_TYPE)

    routes.routes.extend(figures.routes)
    return routes


class _Threads(Collector):
    """The threads that serve requests, as the event loop that asks knows them."""

    def __init__(self) -> None:
        self._busy = self._waiting = 0

    def look(self) -> None:
        limiter = anyio.to_thread.current_default_thread_limiter()
        self._busy, self._waiting = limiter.borrowed_tokens, limiter.statistics().tasks_waiting

    def collect(self) -> Iterator[Metric]:
        threads = GaugeMetricFamily(
            PREFIX + "threads", "Threads that serve requests, and requests that wait for one.", labels=["state"]
        )
        threads.add_metric(["busy"], self._busy)
        threads.add_metric(["waiting"], self._waiting)
        yield threads
