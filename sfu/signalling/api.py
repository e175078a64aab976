"""[I/O] The server API under /v1: rooms, participants, policies and events, for back ends.

The bearer is the configured `api.token`, which is good for all rooms, or a grant with `manage`, good for its room.
Every answer is JSON, every refusal problem+json (RFC 9457) with the `code` that clients know from the WebSocket.
"""

from __future__ import annotations

import asyncio
import hmac
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import BaseRoute, Route

from sfu import errors
from sfu import room_values as values
from sfu.config import Config
from sfu.contract import Grant
from sfu.room import Room
from sfu.signalling import api_messages as bodies
from sfu.signalling import openapi, told
from sfu.signalling.backend import Backend
from sfu.signalling.feeds import FeedEvent
from sfu.signalling.limits import Visitors

# A grant or a policy is below 1 KiB.
BODY_BYTES_MAX = 16 * 1024
# What is left of a refused body is read up to here, so that the refusal is heard; more is cut off, and may not be.
LISTENED_TO_BYTES_MAX = 256 * 1024
ROSTER_LIMIT_MAX = 1000
# A proxy closes a silent connection after about a minute.
KEEP_ALIVE_S = 15.0
# Events waiting for a follower that does not read; then its stream ends, and it comes back with Last-Event-ID.
WAITING_MAX = 1000
FOLLOWERS_MAX = 200
# A worker that died is there again by then. Shorter: those who lost it ask in vain.
WORKER_BACK_S = 2.0

STATUS: Mapping[str, int] = {
    "bad_message": 400,
    "bad_offer": 400,
    "unauthorized": 401,
    "forbidden": 403,
    "not_found": 404,
    "conflict": 409,
    "room_full": 409,
    "rate_limited": 429,
    "overloaded": 503,
    "worker_lost": 503,
}
HEADERS = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}


def problem(error: errors.StentorError, status: int = 0) -> Response:
    """A refusal as RFC 9457 wants it. `status` 0 = as the error's code says."""
    status = status or STATUS.get(error.code, 500)
    body = bodies.Problem(title=error.code.replace("_", " "), status=status, code=error.code, detail=error.reason)
    headers = dict(HEADERS)
    retry_after_s = WORKER_BACK_S if status == 503 and error.retry_after_s is None else error.retry_after_s
    if retry_after_s is not None:
        headers["Retry-After"] = str(max(1, round(retry_after_s)))
    if status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    return Response(msgspec.json.encode(body), status, headers, "application/problem+json")


def _json(content: msgspec.Struct, status: int = 200) -> Response:
    return Response(msgspec.json.encode(content), status, HEADERS, "application/json")


def bearer(request: Request) -> str:
    """The token of `Authorization: Bearer ...` (RFC 6750). Raises Unauthorized without one."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise errors.Unauthorized("the header `Authorization: Bearer ...` is needed")
    return token.strip()


async def read_body(request: Request, limit: int = BODY_BYTES_MAX) -> bytes:
    """Raises BadMessage when it is over the limit."""
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > limit:
            raise errors.BadMessage(f"the body is over {limit} bytes")
    return body


def _may_go_on(request: Request) -> bool:
    """Whether the body has no end that we would wait for: who was refused is then cut off, not listened to."""
    stated = request.headers.get("content-length", "0")
    # 9 digits are a gigabyte; thousands of them are more than Python reads as a number.
    finite = stated.isdecimal() and len(stated) <= 9 and int(stated) <= LISTENED_TO_BYTES_MAX
    return "transfer-encoding" in request.headers or not finite


class Api:
    """The endpoints; `routes` gives them to the web application."""

    def __init__(self, config: Config, backend: Backend) -> None:
        self._config = config
        self._backend = backend
        self._visitors = Visitors(config.api.requests_per_s, config.api.requests_burst, "requests")

    def routes(self) -> list[BaseRoute]:
        return [
            Route("/v1/openapi.json", self._openapi),
            *(
                Route(path, partial(self._answer, _METHODS[operation.name]), methods=[operation.method])
                for path, operation in openapi.operations()
            ),
        ]

    async def _openapi(self, request: Request) -> Response:
        return Response(openapi.document_json(), headers=HEADERS, media_type="application/json")

    async def _answer(self, handler: Callable[..., Awaitable[Response]], request: Request) -> Response:
        """The one way in: counted, allowed, carried out; every refusal leaves by the same door."""
        try:
            self._visitors.take(request.client.host if request.client else "", 1, time.monotonic())
            self._allow(request)
            return await handler(self, request)
        except msgspec.MsgspecError as error:
            refused: errors.StentorError = errors.BadMessage(str(error)[:300])
        except errors.StentorError as error:
            refused = error
        self._backend.count_error(refused.code)
        response = problem(refused)
        if _may_go_on(request):
            response.headers["Connection"] = "close"
        return response

    def _allow(self, request: Request) -> None:
        """Raises Unauthorized without a bearer that holds, Forbidden for a room that is not the bearer's."""
        token = bearer(request)
        ours = self._config.api.token
        if ours and hmac.compare_digest(token.encode(), ours.encode()):
            return
        grant: Grant = self._backend.verify(token, False)
        if not grant.manage:
            raise errors.Forbidden("this grant is for joining: the server API needs one with `manage`")
        if grant.room != request.path_params.get("room"):
            raise errors.Forbidden("this grant is for another room, or for one room only")

    # -- rooms --
    async def _rooms(self, request: Request) -> Response:
        return _json(bodies.RoomList(rooms=[_room_view(room) for room in self._backend.rooms.all()]))

    async def _room(self, request: Request) -> Response:
        return _json(_room_view(self._open_room(request)))

    async def _end_room(self, request: Request) -> Response:
        self._backend.command(self._open_room(request), values.End())
        return Response(None, 204, HEADERS)

    async def _policy(self, request: Request) -> Response:
        return _json(self._backend.rooms.policy_of(bodies.room_name(request.path_params["room"])))

    async def _set_policy(self, request: Request) -> Response:
        name = bodies.room_name(request.path_params["room"])
        self._backend.set_policy(name, bodies.policy(await read_body(request)))
        return _json(self._backend.rooms.policy_of(name))

    def _open_room(self, request: Request) -> Room:
        return self._backend.rooms.by_name(request.path_params["room"])

    # -- participants --
    async def _participants(self, request: Request) -> Response:
        room, query = self._open_room(request), request.query_params
        limit = bodies.number(query.get("limit", "100"), 1, ROSTER_LIMIT_MAX)
        seats, following = room.seats.roster(None, query.get("after"), limit)
        views = [_member(room, seat) for seat in seats]
        return _json(bodies.Members(participants=views, next=following))

    async def _participant(self, request: Request) -> Response:
        room, name = self._open_room(request), request.path_params["participant"]
        return _json(_member(room, room.seats.one(name).seat()))

    async def _moderate(self, request: Request) -> Response:
        action = request.path_params["action"]
        if action not in bodies.ACTIONS:
            raise errors.NotFound(f"no such action; there are {', '.join(bodies.ACTIONS)}")
        return self._act(request, action)

    async def _remove(self, request: Request) -> Response:
        return self._act(request, "remove")

    def _act(self, request: Request, action: str) -> Response:
        target = request.path_params["participant"]
        command = values.Moderate(None, target, action, self._backend.unix_time())
        self._backend.command(self._open_room(request), command)
        return Response(None, 204, HEADERS)

    async def _permit(self, request: Request) -> Response:
        wanted = bodies.decode(await read_body(request), bodies.Rights)
        room, name = self._open_room(request), request.path_params["participant"]
        self._backend.command(room, values.Permit(replace(room.entry(name), **bodies.rights(wanted))))
        return _json(_member(room, room.seats.one(name).seat()))

    # -- events --
    async def _events(self, request: Request) -> Response:
        name = bodies.room_name(request.path_params["room"])
        if self._backend.feeds.listeners() >= FOLLOWERS_MAX:
            raise errors.Overloaded(f"{FOLLOWERS_MAX} streams of events are open already", retry_after_s=5.0)
        after = request.headers.get("last-event-id") or request.query_params.get("after")
        return StreamingResponse(self._follow(name, after), headers=HEADERS, media_type="text/event-stream")

    async def _follow(self, room: str, after: str | None) -> AsyncIterator[bytes]:
        """Server-sent events. Ends when the follower does not read; it comes back with Last-Event-ID."""
        waiting: asyncio.Queue[FeedEvent] = asyncio.Queue(WAITING_MAX)
        late = asyncio.Event()

        def hear(event: FeedEvent) -> None:
            if waiting.full():
                late.set()
            else:
                waiting.put_nowait(event)

        missed = self._backend.feeds.listen(room, after, hear)
        try:
            yield b": follows\n\n"
            for event in missed:
                yield _server_sent(event)
            while not late.is_set() and self._backend.ready:
                try:
                    yield _server_sent(await asyncio.wait_for(waiting.get(), KEEP_ALIVE_S))
                except TimeoutError:
                    yield b": still here\n\n"
        finally:
            self._backend.feeds.leave(room, hear)


def _server_sent(event: FeedEvent) -> bytes:
    return b"id: " + event.id.encode() + b"\ndata: " + event.body + b"\n\n"


def _room_view(room: Room) -> bodies.RoomView:
    return bodies.RoomView(
        room=room.name,
        number=room.number,
        participants=len(room),
        audience=room.seats.audience,
        sequence=room.sequence,
        policy=room.seats.policy,
    )


def _member(room: Room, seat: values.Seat) -> bodies.Member:
    entry, view = room.entry(seat.participant), told.participant_view(seat)
    return bodies.Member(
        participant=seat.participant,
        identity=entry.identity,
        name=seat.name,
        role=seat.role,
        tracks=view.tracks,
        publish=[told.source(source) for source in entry.may_publish],
        max_kbps=entry.max_kbps,
        moderate=entry.may_moderate,
        visible=entry.visible,
    )


_METHODS: Mapping[str, Any] = {
    "listRooms": Api._rooms,
    "getRoom": Api._room,
    "endRoom": Api._end_room,
    "getPolicy": Api._policy,
    "setPolicy": Api._set_policy,
    "listParticipants": Api._participants,
    "getParticipant": Api._participant,
    "removeParticipant": Api._remove,
    "moderateParticipant": Api._moderate,
    "setRights": Api._permit,
    "followEvents": Api._events,
}
