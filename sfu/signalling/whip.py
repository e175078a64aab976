"""[I/O] WHIP in and WHEP out by HTTP: POST /whip or /whep opens a session, whose own path takes PATCH and DELETE.

RFC 9725 and draft-ietf-wish-whep. The bearer of every request is a grant; it names the room. Pages of other origins
may call when they are in `http.origins`, as for /ws: a bearer is no cookie, but a page that nobody configured has no
business with this server.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from functools import partial

from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from sfu import errors
from sfu.config import Config
from sfu.contract import Grant
from sfu.signalling.api import HEADERS, bearer, problem
from sfu.signalling.backend import Backend
from sfu.signalling.callers import host_only, origin_allowed
from sfu.signalling.limits import Visitors
from sfu.signalling.messages import IceServer
from sfu.signalling.sdp import SDP_BYTES_MAX
from sfu.signalling.sdp_fragment import FRAGMENT_BYTES_MAX
from sfu.signalling.whip_values import (
    Delete,
    Ended,
    Noted,
    Open,
    Opened,
    Outcome,
    Patch,
    Protocol,
    Refusal,
    Refused,
    Restarted,
)

log = logging.getLogger("stentor.whip")

SDP_TYPE = "application/sdp"
FRAGMENT_TYPE = "application/trickle-ice-sdpfrag"
# A body of 512 kB over a bad line takes this long. Longer: a client that sends a byte a second holds its request.
BODY_WITHIN_S = 15.0
# A browser asks so seldom whether it may call.
PREFLIGHT_S = 600
# 405 is answered as everything else is, so all methods come here.
EVERY_METHOD = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]


class _Exchange:
    """whip_values.Exchange over one HTTP request."""

    def __init__(self, request: Request) -> None:
        self.address = _address(request)
        self.reached = host_only(request.headers.get("host", ""))
        self._outcome: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()

    def answer(self, outcome: Outcome) -> None:
        if not self._outcome.done():  # the request may have been given up
            self._outcome.set_result(outcome)

    async def outcome(self) -> Outcome:
        """Comes in any case: the session ends, and says so, when its worker does not answer in time."""
        return await self._outcome


class Whip:
    """The endpoints; `routes` gives them to the web application."""

    def __init__(self, config: Config, backend: Backend) -> None:
        limits = config.limits
        self._origins = config.http.origins
        self._backend = backend
        self._requests = Visitors(config.api.requests_per_s, config.api.requests_burst, "requests")
        self._octets = Visitors(limits.bytes_per_s, limits.bytes_burst, "bytes")

    def routes(self) -> list[BaseRoute]:
        cross_origin = Middleware(
            CORSMiddleware,
            allow_origins=self._origins,
            allow_methods=["POST", "PATCH", "DELETE", "OPTIONS"],
            allow_headers=["Authorization", "Content-Type", "If-Match"],
            expose_headers=["Location", "ETag", "Link", "Accept-Post", "Accept-Patch", "Retry-After"],
            max_age=PREFLIGHT_S,
        )
        return [
            Route(path, partial(self._answer, protocol, methods), methods=EVERY_METHOD, middleware=[cross_origin])
            for protocol in Protocol
            for path, methods in ((f"/{protocol.value}", _ENDPOINT), (f"/{protocol.value}/{{session}}", _SESSION))
        ]

    async def _answer(self, protocol: Protocol, methods: Mapping[str, _Handler], request: Request) -> Response:
        """The one way in: counted, allowed, carried out; every refusal leaves by the same door."""
        try:
            response = await self._handle(protocol, methods, request)
        except Refusal as refusal:
            response = self._refuse(refusal.error, refusal.status)
        except errors.StentorError as error:
            response = self._refuse(error)
        except ClientDisconnect:
            response = Response(None, 499)  # nobody hears it; it is counted
        except Exception:
            log.exception("a request failed")
            response = self._refuse(errors.Internal("the server failed at this request"))
        self._backend.count_request(protocol.value, request.method, response.status_code)
        return response

    def _refuse(self, error: errors.StentorError, status: int = 0) -> Response:
        self._backend.count_error(error.code)
        return problem(error, status)

    async def _handle(self, protocol: Protocol, methods: Mapping[str, _Handler], request: Request) -> Response:
        self._requests.take(_address(request), 1, time.monotonic())
        if not origin_allowed(request.headers, self._origins):
            raise errors.Forbidden("this origin may not call; the server's operator can list it in http.origins")
        handler = methods.get(request.method)
        if handler is None:
            response = self._refuse(errors.BadMessage(f"{request.method} does nothing here"), 405)
            response.headers["Allow"] = ", ".join(methods)
            return response
        return await handler(self, protocol, request)

    # -- the endpoint --
    async def _post(self, protocol: Protocol, request: Request) -> Response:
        grant = self._grant(request, late=False)
        _check_type(request, SDP_TYPE, "this server answers offers and makes none; POST yours as")
        sdp = await self._body(request, SDP_BYTES_MAX)
        exchange = _Exchange(request)
        self._backend.open(protocol, Open(grant, sdp), exchange)
        return self._response(await exchange.outcome())

    async def _options(self, protocol: Protocol, request: Request) -> Response:
        return Response(None, 200, {**HEADERS, "Allow": ", ".join(_ENDPOINT), "Accept-Post": SDP_TYPE})

    # -- the session --
    async def _patch(self, protocol: Protocol, request: Request) -> Response:
        grant = self._grant(request, late=True)
        _check_type(request, FRAGMENT_TYPE, "candidates and ICE restarts are sent as")
        fragment = await self._body(request, FRAGMENT_BYTES_MAX)
        exchange = _Exchange(request)
        asked = Patch(grant, request.headers.get("if-match"), fragment)
        self._backend.ask(_location(protocol, request), asked, exchange)
        return self._response(await exchange.outcome())

    async def _delete(self, protocol: Protocol, request: Request) -> Response:
        exchange = _Exchange(request)
        self._backend.ask(_location(protocol, request), Delete(self._grant(request, late=True)), exchange)
        return self._response(await exchange.outcome())

    async def _session_options(self, protocol: Protocol, request: Request) -> Response:
        return Response(None, 200, {**HEADERS, "Allow": ", ".join(_SESSION), "Accept-Patch": FRAGMENT_TYPE})

    # -- in and out --
    def _grant(self, request: Request, *, late: bool) -> Grant:
        """`late`: the end of the grant's time limits the first request only. Raises Unauthorized."""
        return self._backend.verify(bearer(request), late)

    async def _body(self, request: Request, limit: int) -> str:
        """Text of at most `limit` bytes, read after the bearer was found good. Raises Refusal or RateLimited."""
        too_large = Refusal(errors.BadMessage(f"the body is over {limit} bytes"), 413)
        announced = request.headers.get("content-length", "")
        if announced.isdecimal() and int(announced[:20]) > limit:
            raise too_large
        body = b""
        try:
            async with asyncio.timeout(BODY_WITHIN_S):
                async for part in request.stream():
                    body += part
                    if len(body) > limit:
                        raise too_large
        except TimeoutError:
            raise Refusal(errors.BadMessage(f"the body did not come within {BODY_WITHIN_S:g} s"), 408) from None
        self._octets.take(_address(request), len(body), time.monotonic())
        try:
            return body.decode()
        except UnicodeDecodeError:
            raise errors.BadMessage("the body is not UTF-8") from None

    def _response(self, outcome: Outcome) -> Response:
        match outcome:
            case Opened():
                headers = {**HEADERS, "Location": outcome.location, "ETag": outcome.etag, "Accept-Patch": FRAGMENT_TYPE}
                response = Response(outcome.sdp, 201, headers, SDP_TYPE)
                for link in links(outcome.ice_servers):
                    response.headers.append("Link", link)
                return response
            case Restarted():
                return Response(outcome.fragment, 200, {**HEADERS, "ETag": outcome.etag}, FRAGMENT_TYPE)
            case Noted():
                return Response(None, 204, HEADERS)
            case Ended():
                return Response(None, 200, HEADERS)
            case Refused():
                return self._refuse(outcome.error, outcome.status)


_Handler = Callable[[Whip, Protocol, Request], Awaitable[Response]]
_ENDPOINT: Mapping[str, _Handler] = {"POST": Whip._post, "OPTIONS": Whip._options}
_SESSION: Mapping[str, _Handler] = {
    "PATCH": Whip._patch,
    "DELETE": Whip._delete,
    "OPTIONS": Whip._session_options,
}


def links(servers: tuple[IceServer, ...]) -> list[str]:
    """The STUN and TURN servers as values of `Link` (RFC 9725 4.6), one for each URL."""
    return [
        f'<{url}>; rel="ice-server"'
        + (
            f'; username="{server.username}"; credential="{server.credential}"; credential-type="password"'
            if server.username
            else ""
        )
        for server in servers
        for url in server.urls
    ]


def _check_type(request: Request, wanted: str, words: str) -> None:
    given = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if given != wanted:
        raise Refusal(errors.BadMessage(f"{words} {wanted}"), 415)


def _location(protocol: Protocol, request: Request) -> str:
    return f"/{protocol.value}/{request.path_params['session']}"


def _address(request: Request) -> str:
    return request.client.host if request.client else ""
