"""[I/O] Where the gateway posts what happened by itself. For everybody, because what it says is believed by its
signature alone."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from control_plane.api.doors import Doors, Here, need
from control_plane.billing import inbound
from control_plane.billing.counter import Counter
from control_plane.gateway.errors import EventRejected

PATH = "/gateway/events"


async def _raw(request: Request) -> bytes:
    """As it came: the signature is over these very bytes."""
    return await request.body()


def router(doors: Doors, counter: Counter) -> APIRouter:
    """One route. An event is kept by its id, so one that comes again is taken and changes nothing."""
    routes = doors.router("billing")

    @routes.post(PATH, status_code=204, response_class=Response, include_in_schema=False)
    @need("public")
    def take(request: Request, visit: Here, body: Annotated[bytes, Depends(_raw)]) -> Response:
        """204: it is kept, and need not come again. 400: it is not to be believed, or not for us. 5xx: come again."""
        at = doors.clock.now()
        try:
            event = counter.gateway.read_event(body, request.headers, at)
            doors.write(lambda connection: inbound.apply(connection, at, counter.setup, event))
        except EventRejected:
            # Who tries signatures is soon told to wait, as who tries tokens is.
            doors.limits.take("token_address", visit.address, at)
            raise
        return Response(status_code=204)

    return routes
