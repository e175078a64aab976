"""[I/O] The doors of the API: who calls, and is this route for him. A route that declares no need fails at start.

A route says `@need("members")` (or "public", "person", "owner", "staff", "operator"). The door finds the caller out of
the session cookie or the API key, asks for the CSRF token where a cookie could have been sent by another site, counts
his calls, and only then lets the route run. What is not declared is not served.
"""

from __future__ import annotations

import hmac
import ipaddress
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Annotated, Any, Literal, TypeVar

import sqlalchemy as sa
from fastapi import APIRouter, Depends, FastAPI, Request
from fastapi.routing import APIRoute
from sqlalchemy.exc import IntegrityError
from starlette.concurrency import run_in_threadpool
from starlette.responses import HTMLResponse, Response
from starlette.types import Scope

from control_plane.accounts import keys, sessions, staff, uses
from control_plane.accounts.setup import Setup
from control_plane.api import idempotency
from control_plane.api.bodies import Fields
from control_plane.api.caller import RIGHTS, Caller, Right, address_hash
from control_plane.api.limits import Limits, address_key
from control_plane.api.problems import MEDIA_TYPE, Problem
from control_plane.api.settings import Settings
from control_plane.clock import Clock
from control_plane.errors import Forbidden, Unauthorized
from control_plane.storage.store import Store
from control_plane.watch.measures import Measures

T = TypeVar("T")
F = TypeVar("F", bound=Callable[..., Any])

# public: anybody. person: signed in. member: signed in, in an account. owner, staff: those. operator: who runs the
# server, told by the network he calls from. Else: a right.
Need = Literal["public", "person", "member", "owner", "staff", "operator"] | Right
NEEDS: tuple[Need, ...] = ("public", "person", "member", "owner", "staff", "operator", *RIGHTS)
COOKIE, DEV_COOKIE = "__Host-stentor", "stentor"
CSRF_HEADER = "X-CSRF-Token"
CSRF_FIELD = "csrf"  # the same token in a form of a page, which cannot send headers
ACCESS_HEADER = "Stentor-Access"  # of staff: the open access to a customer's account (ACC-27)
_SAFE = ("GET", "HEAD", "OPTIONS")
# A proxy that we can work behind says X-Forwarded-Proto, so what carries one of these was not sent by who seems to.
_FORWARDED = ("x-forwarded-for", "x-forwarded-proto", "x-forwarded-host", "x-real-ip", "forwarded", "via")
# What a key may call without using the service: reading texts and paying bills accept no change of the texts (LEG-04).
_NO_USE: tuple[Need, ...] = ("public", "billing")
_PROBLEMS: tuple[int | str, ...] = (400, 401, 403, 404, 409, 410, 413, 422, 429, 503)
# Two that meet at a unique key: one sees the other's row the next time round.
_MEETINGS = 5


def need(value: Need) -> Callable[[F], F]:
    """Declare who may call a route. Goes below the router's own decorator."""

    def mark(endpoint: F) -> F:
        endpoint.need = value  # type: ignore[attr-defined]
        return endpoint

    return mark


@dataclass(frozen=True)
class Visit:
    """One request that was let in. `caller` of a public route is whoever is signed in, or nobody (actor "visitor")."""

    caller: Caller
    session: str
    address: str


class Doors:
    """Lets requests in, and runs use cases for them."""

    def __init__(self, store: Store, clock: Clock, settings: Settings, measures: Measures | None = None) -> None:
        self.store, self.clock, self.settings = store, clock, settings
        self.measures = measures or Measures()
        self.limits = Limits(settings.limits, refused=lambda name: self.measures.limited.labels(name).inc())
        self._networks = [ipaddress.ip_network(network) for network in settings.metrics_networks]
        # How a problem looks to a browser (control_plane.pages sets it): scope, status, code, and what programs get.
        self.problem_page: Callable[[Scope, int, str, Response], Response] | None = None

    @property
    def setup(self) -> Setup:
        return self.settings.setup

    @property
    def cookie(self) -> str:
        """The cookie's name. `__Host-` makes browsers insist on Secure, Path=/ and no Domain."""
        return DEV_COOKIE if self.settings.dev else COOKIE

    def router(self, area: str) -> APIRouter:
        """A router under /api/v1 whose every route has this door."""
        return APIRouter(
            prefix="/api/v1",
            tags=[area],
            dependencies=[Depends(self.admit)],
            responses={status: {"model": Problem, "content": {MEDIA_TYPE: {}}} for status in _PROBLEMS},
        )

    def pages(self) -> APIRouter:
        """A router for pages: the same door, which there finds the CSRF token in a field of the form."""
        return APIRouter(
            dependencies=[Depends(read_form), Depends(self.admit)],
            default_response_class=HTMLResponse,
            include_in_schema=False,
        )

    def operations(self) -> APIRouter:
        """A router for who runs the server; all its routes need `operator`."""
        return APIRouter(dependencies=[Depends(self.admit_operator)], include_in_schema=False)

    def adopt(self, router: APIRouter) -> APIRouter:
        """Say of a router that was made elsewhere that it is for everybody; a route in it that declares more is
        refused by `check`, because it has no door."""
        for route in router.routes:
            if isinstance(route, APIRoute) and not hasattr(route.endpoint, "need"):
                route.endpoint.need = "public"  # type: ignore[attr-defined]
        return router

    async def admit(self, request: Request) -> None:
        """Find the caller and hold him against the route's need. Raises Unauthorized, Forbidden, TooMany."""
        if request.headers.get("authorization") or request.cookies.get(self.cookie):
            await run_in_threadpool(self._admit, request)
        else:  # nothing is to be looked up, so no thread is needed
            self._admit(request)

    def _admit(self, request: Request) -> None:
        now = self.clock.now()
        address = address_key(request.client.host if request.client else "")
        wanted: Need = request.scope["route"].endpoint.need
        authorization = request.headers.get("authorization", "")
        cookie = request.cookies.get(self.cookie, "")
        visit = Visit(Caller("visitor", ""), "", address)
        use_awaited = False
        if authorization:
            visit, use_awaited = self._by_key(authorization, address)
        elif request.method not in _SAFE:
            check_origin(request, self.setup.base_url)
        if cookie and not authorization:
            try:
                visit = self._by_session(request, cookie, address, wanted)
            except Unauthorized:
                if wanted != "public":
                    raise
        if visit.caller.actor != "visitor":
            self.limits.take("caller", visit.caller.actor, now)
        visit = replace(visit, caller=replace(visit.caller, address_hash=address_hash(address)))
        request.state.visit = visit  # also when he is refused: the page that says so knows him
        allow(visit.caller, wanted)
        if use_awaited and wanted not in _NO_USE:
            self.store.write(lambda connection: uses.note(connection, now, self.setup, visit.caller, "api"))

    async def admit_operator(self, request: Request) -> None:
        """The door of routes for who runs the server: loopback and `http.metrics_networks`, not through a proxy. It
        waits for no thread, for it must open when all are busy. Raises Forbidden."""
        if not self._from_operator(request):
            raise Forbidden("operators_only", "this is for loopback and http.metrics_networks")
        if request.method not in _SAFE:
            check_origin(request, self.setup.base_url)

    def _from_operator(self, request: Request) -> bool:
        if any(name in request.headers for name in _FORWARDED):
            return False
        try:
            address = ipaddress.ip_address(request.client.host if request.client else "")
        except ValueError:
            return False
        return address.is_loopback or any(address in network for network in self._networks)

    def _by_key(self, authorization: str, address: str) -> tuple[Visit, bool]:
        """And whether a use of the service would accept something."""
        scheme, _, secret = authorization.partition(" ")
        if scheme.lower() != "bearer":
            raise Unauthorized("scheme_unknown", "Authorization: Bearer and an API key")
        now = self.clock.now()

        def ask(connection: sa.Connection) -> tuple[Caller, bool]:
            caller = keys.caller(connection, now, secret.strip())
            return caller, uses.awaited(connection, now, caller)

        caller, use_awaited = self.store.read(ask)
        return Visit(caller, "", address), use_awaited

    def _by_session(self, request: Request, cookie: str, address: str, wanted: Need) -> Visit:
        now = self.clock.now()
        found = self.store.read(lambda connection: sessions.present(connection, now, cookie))
        if request.method not in _SAFE:
            token = request.headers.get(CSRF_HEADER) or form(request).one(CSRF_FIELD)
            if wanted != "public" and not hmac.compare_digest(token.encode(), found.csrf.encode()):
                raise Forbidden("csrf", f"the header {CSRF_HEADER} with this session's token is missing or wrong")
        if now - found.seen_at >= sessions.SEEN_EVERY:
            self.store.write(lambda connection: sessions.seen(connection, now, found.session))
        caller = found.caller
        if found.staff:
            caller = self._as_staff(request, caller)
        return Visit(caller, found.session, address)

    def _as_staff(self, request: Request, caller: Caller) -> Caller:
        access = request.headers.get(ACCESS_HEADER, "")
        if not access:
            return Caller(f"staff:{caller.person}", caller.account, caller.person, "staff", caller.rights)
        now, route = self.clock.now(), request.scope["route"]
        what = f"{request.method}:{re.sub('[{}]', '', route.path)}"
        return self.store.write(lambda connection: staff.enter(connection, now, caller.person, access, what))

    def write(self, use_case: Callable[[sa.Connection], T]) -> T:
        """Run a use case in one transaction; again where it met another at a unique key."""
        for _ in range(_MEETINGS):
            try:
                return self.store.write(use_case)
            except IntegrityError:
                continue
        return self.store.write(use_case)

    def act(
        self,
        request: Request,
        body: bytes,
        use_case: Callable[[sa.Connection], T],
        answer: Callable[[T], idempotency.Answer],
        key: str | None = None,
    ) -> Response:
        """Run a use case once for an Idempotency-Key, and answer the same ever after; without a key, simply run it.
        `key`: where it does not come as a header.

        Problems are not kept: what was refused changed nothing and may be tried again under its key.
        """
        visit: Visit = request.state.visit
        key = key or request.headers.get("idempotency-key")
        if key is None:
            return _response(answer(self.write(use_case)))
        said = b"\n".join((request.method.encode(), request.url.path.encode(), body))
        attempt = idempotency.Attempt(visit.caller.actor, key, said)

        def once(connection: sa.Connection) -> idempotency.Answer:
            now = self.clock.now()
            before = attempt.stored(connection, now)
            if before is not None:
                return before
            made = answer(use_case(connection))
            attempt.store(connection, now, made)
            return made

        return _response(self.write(once))


def allow(caller: Caller, wanted: Need) -> None:
    """Raises Unauthorized or Forbidden unless the caller meets the need. The whole of who may call what is here."""
    if wanted == "public":
        return
    if caller.actor == "visitor":
        raise Unauthorized("signed_out", "sign in first")
    if wanted == "person":
        if not caller.person or (caller.role == "staff" and caller.ticket):
            raise Forbidden("person_only", "this is for a person who is signed in")
    elif wanted == "operator":
        raise Forbidden("operators_only", "no sign-in leads here")  # `admit_operator` is its door
    elif wanted == "staff":
        if caller.role != "staff":
            raise Forbidden("staff_only", "this is for staff")
    elif not caller.account:
        raise Forbidden("no_account", "you belong to no account that is open")
    elif wanted == "owner":
        if caller.role != "owner":
            raise Forbidden("owner_only", "this is for the account's owner")
    elif wanted != "member":
        caller.needs(wanted)


def check_origin(request: Request, base_url: str) -> None:
    """Raises Forbidden for a request that a browser says another site has made; signing in is guarded by this alone."""
    if request.headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
        raise Forbidden("cross_site", "this request was made by another site")
    origin = request.headers.get("origin")
    if origin and origin != base_url and origin.partition("://")[2] != request.headers.get("host", ""):
        raise Forbidden("cross_site", "this request was made by another site")


def routes(app: FastAPI) -> Iterator[APIRoute]:
    """Every route of the application that has a door."""
    yield from (route for route in app.routes if isinstance(route, APIRoute))


def check(app: FastAPI) -> None:
    """Raises RuntimeError for a route that says not who may call it, or has no door."""
    for route in routes(app):
        declared = getattr(route.endpoint, "need", None)
        if declared not in NEEDS:
            raise RuntimeError(f"{route.path} declares no need: write @need(...) at {route.endpoint.__qualname__}")
        door = Doors.admit_operator if declared == "operator" else Doors.admit
        if declared != "public" and not any(
            getattr(one.dependency, "__func__", None) is door for one in route.dependencies
        ):
            raise RuntimeError(f"{route.path} has no door: make its router by Doors.router")


async def read_form(request: Request) -> None:
    """Read what a form of a page sends, before the door looks for its token. Raises Invalid."""
    if request.method not in _SAFE:
        request.state.form = Fields.read(request.headers.get("content-type", ""), await request.body())


def form(request: Request) -> Fields:
    """What was sent by a form; nothing for other requests."""
    found: Fields = getattr(request.state, "form", Fields())
    return found


async def visit(request: Request) -> Visit:
    """The visit that the door has let in. (Not `def`: it would be sent to a thread for this one line.)"""
    found: Visit = request.state.visit
    return found


Here = Annotated[Visit, Depends(visit)]


def _response(answer: idempotency.Answer) -> Response:
    response = Response(answer.body or None, answer.status)
    if answer.body:
        response.headers["content-type"] = "application/json"
    for name, value in answer.headers:
        response.headers.append(name, value)
    return response
