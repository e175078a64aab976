"""[I/O] One ASGI application: page, `/ws`, server API, WHIP and WHEP, health checks, metrics, and under --dev tokens.

Knows the node only by `backend.Backend`. An Origin is demanded of browsers only: programs send none, and a page of
another site cannot leave it out.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import logging
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import msgspec
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Receive, Scope, Send
from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketState

from sfu import errors
from sfu.config import Config
from sfu.signalling import messages, metrics
from sfu.signalling.api import Api, read_body
from sfu.signalling.api_messages import number
from sfu.signalling.backend import Backend
from sfu.signalling.callers import host_only, origin_allowed
from sfu.signalling.effects import CLOSE_MEANING, CLOSE_TOO_SLOW
from sfu.signalling.whip import Whip

log = logging.getLogger("stentor.http")

CONTENT_SECURITY_POLICY = (
    "default-src 'self'; connect-src 'self' ws: wss:; media-src 'self' blob: mediastream:; img-src 'self' data:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; object-src 'none'"
)
SAFE_HEADERS = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}
# What is queued at the end, and then the closing handshake, with a client that does not read is given up then.
CLOSE_WITHIN_S = 2.0
# {room, name} of at most 64 and 128 characters.
DEV_TOKEN_BODY_BYTES_MAX = 4096
# WebSocket close codes by which the protocol layer refused what a client sent (RFC 6455 section 7.4.1).
REFUSED_BY_PROTOCOL = frozenset({1002, 1003, 1007, 1009})

DevToken = Callable[[str, str], str]  # (room, name) -> token; raises StentorError


class WebSocketClient:
    """backend.Client over one WebSocket, with a bounded queue."""

    def __init__(self, websocket: WebSocket, *, messages_max: int, bytes_max: int) -> None:
        self.address = websocket.client.host if websocket.client else ""
        self.reached = host_only(websocket.headers.get("host", ""))
        self._websocket = websocket
        self._messages_max = messages_max
        self._bytes_max = bytes_max
        self._queue: list[bytes] = []
        self._queued_bytes = 0
        self._close_code: int | None = None
        self._news: asyncio.Future[None] | None = None  # waited for by the writer
        self._writer: asyncio.Task[None] | None = None

    def send(self, data: bytes) -> None:
        if self._close_code is not None:
            return
        self._queue.append(data)
        self._queued_bytes += len(data)
        if len(self._queue) > self._messages_max or self._queued_bytes > self._bytes_max:
            self._queue.clear()
            self._queued_bytes = 0
            self.close(CLOSE_TOO_SLOW)
            if self._writer is not None:
                self._writer.cancel()  # it waits for a client that does not read
        self._tell_writer()

    def close(self, code: int) -> None:
        if self._close_code is None:
            self._close_code = code
            self._tell_writer()
            if self._writer is not None:
                # What is queued goes first, if he reads it; who does not would else be listened to for ever.
                asyncio.get_running_loop().call_later(CLOSE_WITHIN_S, self._writer.cancel)

    def _tell_writer(self) -> None:
        if self._news is not None and not self._news.done():
            self._news.set_result(None)

    def start(self) -> asyncio.Task[None]:
        """The task that sends what is queued until closed. It raises WebSocketDisconnect when the other has gone."""
        self._writer = asyncio.ensure_future(self._write())
        return self._writer

    async def _write(self) -> None:
        while self._queue or self._close_code is None:
            if not self._queue:
                self._news = asyncio.get_running_loop().create_future()
                await self._news
            while self._queue:
                data = self._queue.pop(0)
                self._queued_bytes -= len(data)
                await self._websocket.send_text(data.decode())

    async def finish(self) -> None:
        """The closing handshake, if it is ours to begin."""
        if self._close_code is None or self._websocket.application_state is not WebSocketState.CONNECTED:
            return
        with contextlib.suppress(TimeoutError, RuntimeError, WebSocketDisconnect):
            reason = CLOSE_MEANING.get(self._close_code, "")
            await asyncio.wait_for(self._websocket.close(self._close_code, reason), CLOSE_WITHIN_S)


class _Page(StaticFiles):
    """The page's files, never cached: a page and a server of two versions do not fit."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        response = await super().get_response(path, scope)
        response.headers.update(SAFE_HEADERS)
        return response


class _Endpoints:
    def __init__(self, config: Config, backend: Backend, dev_token: DevToken | None) -> None:
        self._config = config
        self._backend = backend
        self._dev_token = dev_token
        self._open: Counter[str] = Counter()  # WebSockets by address
        self._metrics_networks = [ipaddress.ip_network(network) for network in config.http.metrics_networks]

    async def healthz(self, request: Request) -> Response:
        return PlainTextResponse("ok\n", headers=SAFE_HEADERS)

    async def readyz(self, request: Request) -> Response:
        ready = self._backend.ready
        return PlainTextResponse("ready\n" if ready else "not ready\n", 200 if ready else 503, headers=SAFE_HEADERS)

    async def metrics(self, request: Request) -> Response:
        if not self._may_read_metrics(request):
            return _NOT_FOR_YOU
        return Response(metrics.page(await self._backend.snapshot()), media_type=metrics.CONTENT_TYPE)

    async def debug(self, request: Request) -> Response:
        """What single peers are doing, by numbers: ?room= and ?after= narrow it. For people, so indented."""
        if not self._may_read_metrics(request):
            return _NOT_FOR_YOU
        try:
            room, after = (number(request.query_params.get(name, "0"), 0, 10**11) for name in ("room", "after"))
        except errors.BadMessage as error:
            return self._failed(error)
        pages = await self._backend.inspect(room, after)
        body = {"workers": [{"worker": at, "answered": one is not None, "peers": one.peers if one else (),
                             "next": f"/debug?room={room}&after={one.following}" if one and one.following else None}
                            for at, one in enumerate(pages)]}  # fmt: skip
        return Response(msgspec.json.format(msgspec.json.encode(body)), 200, SAFE_HEADERS, "application/json")

    def _may_read_metrics(self, request: Request) -> bool:
        try:
            ip = ipaddress.ip_address(request.client.host if request.client else "")
        except ValueError:
            return False
        return ip.is_loopback or any(ip in network for network in self._metrics_networks)

    async def token(self, request: Request) -> Response:
        """POST /dev/token {room, name} -> {token}. Only under --dev."""
        try:
            if not origin_allowed(request.headers, self._config.http.origins):
                raise errors.Forbidden("this origin may not ask for tokens")
            asked = msgspec.json.decode(await read_body(request, DEV_TOKEN_BODY_BYTES_MAX), type=_TokenRequest)
            if self._dev_token is None:
                raise errors.NotFound("tokens are made under --dev only")
            return _json({"token": self._dev_token(asked.room, asked.name)}, 200)
        except msgspec.MsgspecError as error:
            return self._failed(errors.BadMessage(str(error)))
        except errors.ClientError as error:
            return self._failed(error)

    def _failed(self, error: errors.ClientError) -> Response:
        self._backend.count_error(error.code)
        return _json({"code": error.code, "reason": error.reason}, 403 if isinstance(error, errors.Forbidden) else 400)

    async def websocket(self, websocket: WebSocket) -> None:
        """/ws: one client from opening to end."""
        address = websocket.client.host if websocket.client else ""
        refused = self._refusal(websocket, address)
        if refused is not None:
            self._backend.count_error(refused.code)
            await websocket.close(1008, refused.reason)  # before accept: HTTP 403
            return
        self._open[address] += 1
        try:
            await self._serve(websocket)
        finally:
            self._open[address] -= 1
            if not self._open[address]:
                del self._open[address]

    def _refusal(self, websocket: WebSocket, address: str) -> errors.ClientError | None:
        if not origin_allowed(websocket.headers, self._config.http.origins):
            return errors.Forbidden("this origin may not connect")
        if messages.SUBPROTOCOL not in websocket.scope.get("subprotocols", ()):
            return errors.BadMessage(f"the sub-protocol {messages.SUBPROTOCOL} is needed")
        if self._open[address] >= self._config.limits.sessions_per_address:
            return errors.RateLimited("too many connections from this address")
        return None

    async def _serve(self, websocket: WebSocket) -> None:
        await websocket.accept(subprotocol=messages.SUBPROTOCOL)
        limits = self._config.limits
        client = WebSocketClient(websocket, messages_max=limits.outgoing_messages, bytes_max=limits.outgoing_bytes)
        self._backend.connect(client)
        ends = [asyncio.ensure_future(self._read(websocket, client)), client.start()]
        try:
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._backend.disconnected(client)
            for end in ends:
                end.cancel()
            for result in await asyncio.gather(*ends, return_exceptions=True):
                if isinstance(result, Exception) and not isinstance(result, WebSocketDisconnect):
                    log.error("a WebSocket ended by a fault", exc_info=result)
            await client.finish()

    async def _read(self, websocket: WebSocket, client: WebSocketClient) -> None:
        while True:
            event = await websocket.receive()
            if event["type"] == "websocket.disconnect":
                if event.get("code") in REFUSED_BY_PROTOCOL:
                    self._backend.count_error(errors.BadMessage.code)
                return
            text = event.get("text")
            self._backend.receive(client, text if text is not None else event.get("bytes") or b"")
            # Thousands wait here, each of whose last messages would stay in memory: an offer is some 10 kB.
            del event, text


_NOT_FOR_YOU = PlainTextResponse("this is for loopback and http.metrics_networks\n", 403, headers=SAFE_HEADERS)


class _TokenRequest(msgspec.Struct):
    room: str
    name: str


def _json(content: dict[str, str], status: int) -> Response:
    return Response(msgspec.json.encode(content), status, headers=SAFE_HEADERS, media_type="application/json")


def application(
    config: Config, backend: Backend, *, dev_token: DevToken | None = None, page: Path | None = None, rooms: str = ""
) -> ASGIApp:
    """The ASGI application. `page` is the directory of the page's files, None = not served. `rooms`: how people reach
    the pages of the control plane, to which the page leads back; "" = there is none."""
    endpoints = _Endpoints(config, backend, dev_token)
    routes: list[BaseRoute] = [
        Route("/healthz", endpoints.healthz),
        Route("/readyz", endpoints.readyz),
        Route("/metrics", endpoints.metrics),
        Route("/debug", endpoints.debug),
        *Api(config, backend).routes(),
        *Whip(config, backend).routes(),
    ]
    if dev_token is not None:
        routes.append(Route("/dev/token", endpoints.token, methods=["POST"]))
    if page is not None:
        told = _json({"rooms": rooms}, 200)
        routes += [Route("/page.json", told, methods=["GET"]), Mount("/", _Page(directory=page, html=True))]
    rest = Starlette(routes=routes)

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        # A WebSocket lives for hours, and each layer that it was routed through would stay in memory as long.
        if scope["type"] == "websocket" and scope["path"] == "/ws":
            await endpoints.websocket(WebSocket(scope, receive, send))
        else:
            await rest(scope, receive, send)

    return answer
