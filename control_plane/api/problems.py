"""The one door for errors: problem+json (RFC 9457) with `code`, `field` where one is wrong, and the request's id."""

from __future__ import annotations

import http
import json
import logging
import math
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from control_plane.errors import ControlPlaneError
from control_plane.gateway.errors import EventRejected, GatewayError, OutcomeUnknown, Refused, TryLater
from control_plane.running import faults
from sfu import logs

MEDIA_TYPE = "application/problem+json"
# What of an order to the gateway was wrong in itself; else something stood in its way.
_WRONG_ORDERS = frozenset(("amount_not_positive", "amount_too_fine", "currency_unsupported", "key_malformed"))
# After this an order whose answer was lost has been asked for.
_ASKED_AFTER_S = 5
_log = logging.getLogger("stentor.control")


class Problem(BaseModel):
    """What every error looks like. `code` is a stable word for programs, `detail` a sentence for people."""

    type: str
    title: str
    status: int
    detail: str
    code: str
    request_id: str
    field: str | None = None


def documented(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """These answers of a route for the OpenAPI, in place of FastAPI's own."""
    return {status: {"model": Problem, "content": {MEDIA_TYPE: {}}} for status in statuses}


def answer(
    status: int,
    code: str,
    detail: str,
    *,
    request_id: str,
    field: str | None = None,
    retry_after_s: float | None = None,
    headers: dict[str, str] | None = None,
) -> Response:
    """One problem as a response."""
    phrase = http.HTTPStatus(status).phrase
    body: dict[str, Any] = {
        "type": f"urn:stentor:problem:{code}",
        "title": phrase,
        "status": status,
        "detail": detail,
        "code": code,
        "request_id": request_id,
    }
    if field is not None:
        body["field"] = field
    sent = dict(headers or {})
    if retry_after_s is not None:
        sent["Retry-After"] = str(max(1, math.ceil(retry_after_s)))
    if status == http.HTTPStatus.UNAUTHORIZED:
        sent["WWW-Authenticate"] = 'Bearer realm="stentor"'
    return Response(json.dumps(body, ensure_ascii=False), status, sent, media_type=MEDIA_TYPE)


def request_id(scope: Scope) -> str:
    return str(scope.get("state", {}).get("request_id", ""))


def told(
    scope: Scope,
    status: int,
    code: str,
    detail: str,
    *,
    field: str | None = None,
    retry_after_s: float | None = None,
    headers: dict[str, str] | None = None,
) -> Response:
    """One problem as whoever asked can read it: a page for a browser that is not at the API, if the application has
    pages (`Doors.problem_page`), and problem+json for everybody else."""
    plain = answer(
        status,
        code,
        detail,
        request_id=request_id(scope),
        field=field,
        retry_after_s=retry_after_s,
        headers=headers,
    )
    state = scope["app"].state if "app" in scope else None
    doors = getattr(state, "doors", None)
    if doors is not None:
        doors.measures.problem(code)
    page = getattr(doors, "problem_page", None)
    wished = Headers(scope=scope).get("accept", "")
    if page is None or scope["path"].startswith("/api/") or "text/html" not in wished:
        return plain
    shown: Response = page(scope, status, code, plain)
    return shown


async def too_large(scope: Scope, receive: Receive, send: Send) -> None:
    """An ASGI answer to a body over the limit."""
    refusal = told(
        scope, 413, "body_too_large", "the body is larger than is taken here", headers={"Connection": "close"}
    )
    await refusal(scope, receive, send)


def unexpected(scope: Scope, fault: Exception) -> Response:
    """The answer to a fault of ours. The log gets its kind and place, not its message, which may hold what somebody
    typed."""
    _log.error("request failed", extra=logs.fields(**whereabouts(scope), fault=faults.told(fault)))
    return told(scope, 500, "internal", "a fault of ours")


def of_gateway(scope: Scope, error: GatewayError) -> Response:
    """The answer where the gateway could not do what was asked. Its own words name keys, which are for the log."""
    if isinstance(error, TryLater):
        words, after = "the payment gateway is busy; try again later", float(error.retry_after_s)
        return told(scope, 503, "gateway_busy", words, retry_after_s=after)
    if isinstance(error, OutcomeUnknown):
        words = "the payment gateway did not answer; ask again how it stands"
        return told(scope, 503, "gateway_silent", words, retry_after_s=_ASKED_AFTER_S)
    if isinstance(error, Refused):
        status = 422 if error.code in _WRONG_ORDERS else 409
        return told(scope, status, f"gateway_{error.code}", "the payment gateway does not take this")
    # Credentials that do not hold, or a key that was used twice: the operator's, or a fault of ours.
    _log.error("gateway failed", extra=logs.fields(**whereabouts(scope), code=error.code))
    return told(scope, 500, "gateway_failed", "a fault of ours")


def whereabouts(scope: Scope) -> dict[str, str]:
    """Which request it is, for the log: ids and our own words, nothing that the caller chose but the id of a proxy."""
    visit = scope.get("state", {}).get("visit")
    found = {"request": request_id(scope), "method": scope["method"], "route": route(scope)}
    if visit is not None and visit.caller.account:
        found["account"] = visit.caller.account
    return found


def route(scope: Scope) -> str:
    """The template of the route that the request has come to; "none" before it has."""
    return str(getattr(scope.get("route"), "path", "none"))


def install(app: FastAPI) -> None:
    """Let every error of `app` leave by this door."""

    @app.exception_handler(ControlPlaneError)
    async def ours(request: Request, error: ControlPlaneError) -> Response:
        if error.status >= 500 and error.retry_after_s is None:
            _log.error("request failed", extra=logs.fields(**whereabouts(request.scope), code=error.code))
        return told(
            request.scope,
            error.status,
            error.code,
            error.reason,
            field=error.field,
            retry_after_s=error.retry_after_s,
        )

    @app.exception_handler(GatewayError)
    async def gateway(request: Request, error: GatewayError) -> Response:
        return of_gateway(request.scope, error)

    @app.exception_handler(EventRejected)
    async def event(request: Request, error: EventRejected) -> Response:
        return told(request.scope, 400, f"event_{error.code}", "this is no event of our gateway's for us")

    @app.exception_handler(RequestValidationError)
    async def schema(request: Request, error: RequestValidationError) -> Response:
        first = error.errors()[0]
        where = [str(part) for part in first["loc"][1:]]  # the first says whether it was in the body or the address
        code = {"missing": "field_missing", "extra_forbidden": "field_unknown", "json_invalid": "json_malformed"}
        # The sentence of pydantic names the rule and never repeats the value.
        return told(
            request.scope,
            422,
            code.get(first["type"], "field_malformed"),
            first["msg"],
            field=".".join(where) or None,
        )

    @app.exception_handler(HTTPException)
    async def http_error(request: Request, error: HTTPException) -> Response:
        code = {404: "not_found", 405: "method_not_allowed", 400: "body_malformed"}.get(error.status_code, "refused")
        return told(
            request.scope,
            error.status_code,
            code,
            http.HTTPStatus(error.status_code).phrase,
            headers=dict(error.headers or {}),
        )
