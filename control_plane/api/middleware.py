"""[I/O] Around every request: an id, HTTPS, the count of its address, the size of its body, headers of its answer, its
figures, and the last net for faults of ours."""

from __future__ import annotations

import contextlib
import logging
import re
import secrets
from collections.abc import MutableMapping
from typing import Any

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import RedirectResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from control_plane.api import doors, probes, problems
from control_plane.api.limits import address_key
from control_plane.errors import TooMany
from control_plane.gateway.port import EVENT_BYTES_MAX
from control_plane.running.precedence import Precedence
from control_plane.watch.timing import stopwatch
from sfu import logs

log = logging.getLogger("stentor.control")

# The largest that anything here is sent are a scanned order (base64 in JSON) and a gateway's events; all else is a few
# KiB.
BODY_BYTES_MAX = 64 * 1024
LARGE_BODIES = {"/api/v1/staff/accounts": 8 * 1024 * 1024, "/api/v1/gateway/events": EVENT_BYTES_MAX}
# Somebody has noticed by then.
SLOW_S = 1.0
_LOOPBACK = frozenset(("localhost", "127.0.0.1", "[::1]"))
_SENT_ID = re.compile(r"[A-Za-z0-9._\-]{8,64}")


class BodyLimit:
    """Refuses a body that is too large, by its announced length or as it comes in."""

    def __init__(self, app: ASGIApp, refuse: Any) -> None:
        self._app, self._refuse = app, refuse

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        most = LARGE_BODIES.get(scope["path"], BODY_BYTES_MAX)
        announced = dict(scope["headers"]).get(b"content-length", b"0")
        if not announced.isdigit() or int(announced) > most:
            await self._refuse(scope, receive, send)
            return
        # Read here, so that a body without a length is refused before anything of it is looked at.
        chunks, size = [], 0
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                return
            chunks.append(message.get("body", b""))
            size += len(chunks[-1])
            if size > most:
                await self._refuse(scope, receive, send)
                return
            if not message.get("more_body", False):
                break
        body: Message | None = {"type": "http.request", "body": b"".join(chunks), "more_body": False}

        async def replay() -> Message:
            nonlocal body
            whole, body = body, None
            return whole if whole is not None else await receive()

        await self._app(scope, replay, send)


class First:
    """An answer goes before what runs by itself, from when all of its request is here until it begins to leave: who
    sends slowly or reads slowly holds nobody up."""

    def __init__(self, app: ASGIApp, precedence: Precedence) -> None:
        self._app, self._precedence = app, precedence

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        with contextlib.ExitStack() as held:
            held.enter_context(self._precedence.answering())

            async def begun(message: Message) -> None:
                held.close()
                await send(message)

            await self._app(scope, receive, begun)


class Outermost:
    """Gives each request an id, counts it, sends plain HTTP to HTTPS (ACC-25), sets the headers of every answer, and
    answers for what nothing further in has caught: nobody's log but ours is told of that."""

    def __init__(self, app: ASGIApp, doors: doors.Doors) -> None:
        self._app, self._doors, self._dev = app, doors, doors.settings.dev

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        took = stopwatch()
        sent = Headers(scope=scope).get("x-request-id", "")
        identity = sent if _SENT_ID.fullmatch(sent) else f"req_{secrets.token_hex(10)}"
        scope.setdefault("state", {})["request_id"] = identity
        status: int | None = None

        async def add(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                _head(scope, message, identity)
            await send(message)

        try:
            await self._admitted(scope)(scope, receive, add)
        except Exception as fault:
            answer = problems.unexpected(scope, fault)
            if status is not None:
                # Half an answer is out; the server cuts it off. Its log would quote the fault's own words.
                raise RuntimeError("a request failed after its answer had begun") from None
            await answer(scope, receive, add)
        finally:
            self._count(scope, status, took())

    def _admitted(self, scope: Scope) -> ASGIApp:
        """What answers: the application, or a refusal before it."""
        probe = scope["path"] in probes.PATHS
        host = Headers(scope=scope).get("host", "")
        if scope["scheme"] != "https" and not (probe or (self._dev and _name(host) in _LOOPBACK)):
            return _to_https(scope, host)
        if probe:  # which a flood from the same address must not turn away: the process would be taken for dead
            return self._app
        try:
            self._doors.limits.take("address", address_key((scope.get("client") or ("",))[0]), self._doors.clock.now())
        except TooMany as much:
            return problems.told(scope, 429, much.code, much.reason, retry_after_s=much.retry_after_s)
        return self._app

    def _count(self, scope: Scope, status: int | None, seconds: float) -> None:
        route = problems.route(scope)
        self._doors.measures.request(route, scope["method"], status, seconds)
        if seconds >= SLOW_S:
            where = problems.whereabouts(scope)
            log.warning("slow request", extra=logs.fields(**where, status=status or 0, ms=round(seconds * 1000)))


def _head(scope: Scope, message: MutableMapping[str, Any], identity: str) -> None:
    answer = MutableHeaders(scope=message)
    answer["X-Request-ID"] = identity
    answer.setdefault("Cache-Control", "no-store")
    answer["X-Content-Type-Options"] = "nosniff"
    answer.setdefault("Referrer-Policy", "no-referrer")
    if scope["scheme"] == "https":
        answer["Strict-Transport-Security"] = "max-age=31536000"


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
