"""[I/O] The application: middleware, the door for problems, and the routers of all areas."""

from __future__ import annotations

import re
import secrets
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager

from fastapi import APIRouter, FastAPI
from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import RedirectResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from control_plane.accounts.passwords import Passwords
from control_plane.accounts.pool import HashingPool
from control_plane.accounts.profile import PublicEvents, no_events
from control_plane.api import accounts, doors, problems
from control_plane.api.limits import BodyLimit, address_key
from control_plane.api.settings import Settings
from control_plane.clock import Clock
from control_plane.errors import TooMany
from control_plane.storage.store import Store

_LOOPBACK = frozenset(("localhost", "127.0.0.1", "[::1]"))
_SENT_ID = re.compile(r"[A-Za-z0-9._\-]{8,64}")

Area = Callable[["doors.Doors"], APIRouter]


def application(
    store: Store,
    clock: Clock,
    settings: Settings,
    *,
    areas: Sequence[Area] = (),
    public_events: PublicEvents = no_events,
) -> FastAPI:
    """The API over a store whose schema is the newest. `areas` are routers of other areas, made by their function of
    the doors (`lambda doors: doors.adopt(router)` for one that is for everybody); `public_events` tells which events a
    profile shows. Raises RuntimeError where a route declares no need."""
    door = doors.Doors(store, clock, settings)
    pool = HashingPool(settings.hashing_threads, settings.hashing_queue)
    hashing = accounts.Hashing(pool, Passwords(settings.cost))

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        yield
        pool.close()

    app = FastAPI(
        title="Stentor control plane",
        version="1",
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        openapi_url="/api/v1/openapi.json",
        redirect_slashes=False,
    )
    app.state.doors, app.state.hashing, app.state.store, app.state.clock = door, hashing, store, clock
    problems.install(app)
    routers = accounts.routers(door, hashing, public_events)
    routers += [make(door) for make in areas]
    for router in routers:
        # As they are, not by include_router: `doors.check` and the OpenAPI see the very routes that are served.
        app.router.routes.extend(router.routes)
    doors.check(app)
    app.add_middleware(BodyLimit, refuse=problems.too_large)
    app.add_middleware(Outermost, doors=door)
    return app


class Outermost:
    """Gives each request an id, counts it, sends plain HTTP to HTTPS (ACC-25), sets the headers of every answer."""

    def __init__(self, app: ASGIApp, doors: doors.Doors) -> None:
        self._app, self._doors, self._dev = app, doors, doors.settings.dev

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        sent = headers.get("x-request-id", "")
        identity = sent if _SENT_ID.fullmatch(sent) else f"req_{secrets.token_hex(10)}"
        scope.setdefault("state", {})["request_id"] = identity
        host = headers.get("host", "")
        plain_allowed = self._dev and _name(host) in _LOOPBACK

        async def add(message: Message) -> None:
            if message["type"] == "http.response.start":
                answer = MutableHeaders(scope=message)
                answer["X-Request-ID"] = identity
                answer.setdefault("Cache-Control", "no-store")
                answer["X-Content-Type-Options"] = "nosniff"
                answer.setdefault("Referrer-Policy", "no-referrer")
                if scope["scheme"] == "https":
                    answer["Strict-Transport-Security"] = "max-age=31536000"
            await send(message)

        if scope["scheme"] != "https" and not plain_allowed:
            await _to_https(scope, host)(scope, receive, add)
            return
        try:
            self._doors.limits.take("address", address_key((scope.get("client") or ("",))[0]), self._doors.clock.now())
        except TooMany as much:
            refusal = problems.told(scope, 429, much.code, much.reason, retry_after_s=much.retry_after_s)
            await refusal(scope, receive, add)
            return
        await self._app(scope, receive, add)


def _to_https(scope: Scope, host: str) -> ASGIApp:
    # 308 keeps the method; a browser that has sent a password in the clear learns of it by the scheme it is shown.
    name = _name(host)
    if not re.fullmatch(r"[A-Za-z0-9.\-]{1,253}|\[[0-9a-fA-F:]+\]", name):
        return problems.answer(400, "host_malformed", "the Host header is none", request_id=problems.request_id(scope))
    query = scope["query_string"].decode("latin-1")
    target = f"https://{name}{scope['raw_path'].decode('latin-1') if scope.get('raw_path') else scope['path']}"
    return RedirectResponse(f"{target}?{query}" if query else target, 308)


def _name(host: str) -> str:
    """The host without its port."""
    return host[: host.index("]") + 1] if host.startswith("[") and "]" in host else host.partition(":")[0]
