"""[I/O] Pages of rooms: planned, changed, cancelled, invited to; joined by number or link, which ends at the media
server's page with the grant behind # (it reaches no log and no Referer)."""

from __future__ import annotations

import datetime
import zoneinfo
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from control_plane.accounts import people
from control_plane.api.bodies import Fields, given
from control_plane.api.doors import Here, Visit, form, need
from control_plane.api.rooms import EventChange, EventWish, InvitationWish, JoinWish, let_in
from control_plane.errors import ControlPlaneError, NotFound, TooMany
from control_plane.pages.account import zone_of
from control_plane.pages.forms import Form, Refused, code, errors_of, taken, typed
from control_plane.pages.shell import Pages, see
from control_plane.rooms import events, invitations, joining
from control_plane.rooms.guesses import Guesses
from control_plane.rooms.identifiers import parse, spoken
from control_plane.rooms.setup import Setup

# Subscriptions whose rooms stay shut, and whose hosts are told so on their pages; nobody else is (PROD-17).
_STOPPED = ("frozen", "expired", "ended")
_FIELDS = ("title", "kind", "access", "starts_at", "seats")


def router(pages: Pages, setup: Setup, guesses: Guesses) -> APIRouter:
    """Routes for who has the right `events`, and for everybody who wants to join."""
    routes = pages.doors.pages()
    _own_rooms(routes, pages, setup)
    _joining(routes, pages, setup, guesses)
    return routes


def _own_rooms(routes: APIRouter, pages: Pages, setup: Setup) -> None:
    doors = pages.doors
    now = doors.clock.now

    @routes.get("/rooms")
    @need("events")
    def rooms_page(request: Request, visit: Here) -> Response:
        """The account's rooms, the newest first."""
        account = visit.caller.account
        rows, stopped = doors.store.read(
            lambda connection: (
                events.listed(connection, setup, visit.caller),
                doors.setup.subscription(connection, account),
            )
        )
        return pages.show(
            request,
            "rooms.html",
            rows=rows,
            stopped=stopped if stopped in _STOPPED else "",
            spoken=spoken,
            zone=zone_of(pages, visit),
            form_to=setup.media.page,
        )

    def plan_form(request: Request, visit: Visit, shown: Form) -> Response:
        return pages.show(request, "room_new.html", form=shown, zone=zone_of(pages, visit))

    @routes.get("/rooms/new")
    @need("events")
    def plan_page(request: Request, visit: Here) -> Response:
        return plan_form(request, visit, Form())

    @routes.post("/rooms")
    @need("events")
    def make(request: Request, visit: Here) -> Response:
        """Plan a room; it has its number from now on."""
        sent = form(request)
        try:
            body = taken(EventWish, _wish(sent, zone_of(pages, visit)))
            plan = events.Plan(body.kind, body.title, body.access, body.starts_at, body.seats, body.listed)
            made = doors.write(lambda connection: events.create(connection, now(), setup, visit.caller, plan))
        except (Refused, ControlPlaneError) as wrong:
            return plan_form(request, visit, Form(typed(sent), errors_of(wrong, *_FIELDS)))
        return see(f"/rooms/{made.id}?done=room-made")

    def room_form(request: Request, visit: Visit, event: str, shown: Form, which: str = "", link: str = "") -> Response:
        found, links, stopped = doors.store.read(
            lambda connection: (
                events.get(connection, setup, visit.caller, event),
                invitations.listed(connection, visit.caller, event),
                doors.setup.subscription(connection, visit.caller.account),
            )
        )
        zone = zone_of(pages, visit)
        starts = found.starts_at.astimezone(zoneinfo.ZoneInfo(zone)) if found.starts_at else None
        return pages.show(
            request,
            "room.html",
            form=shown,
            which=which,
            room=found,
            starts=starts.strftime("%Y-%m-%dT%H:%M") if starts else "",
            links=links,
            link=link,
            stopped=stopped if stopped in _STOPPED else "",
            spoken=spoken,
            zone=zone,
            address=f"{setup.base_url}/join/{found.number}",
            script="copy.js",
            form_to=setup.media.page,
        )

    @routes.get("/rooms/{event}")
    @need("events")
    def room_page(request: Request, visit: Here, event: str) -> Response:
        return room_form(request, visit, event, Form())

    @routes.post("/rooms/{event}")
    @need("events")
    def change(request: Request, visit: Here, event: str) -> Response:
        """Change a room; takes effect within seconds, also while it runs."""
        sent = form(request)
        try:
            wish = _wish(sent, zone_of(pages, visit))
            changes = given(taken(EventChange, {name: wish[name] for name in wish if name != "kind"}))
            doors.write(lambda connection: events.change(connection, now(), setup, visit.caller, event, changes))
        except (Refused, ControlPlaneError) as wrong:
            return room_form(request, visit, event, Form(typed(sent), errors_of(wrong, *_FIELDS)), "change")
        return see(f"/rooms/{event}?done=saved")

    def finish(visit: Visit, event: str, state: events.State, done: str) -> Response:
        doors.write(lambda connection: events.finish(connection, now(), setup, visit.caller, event, state))
        return see(f"/rooms/{event}?done={done}")

    @routes.post("/rooms/{event}/cancel")
    @need("events")
    def cancel(visit: Here, event: str) -> Response:
        """For good: whoever is in is put out, and its number lets nobody in any more."""
        return finish(visit, event, "cancelled", "room-cancelled")

    @routes.post("/rooms/{event}/end")
    @need("events")
    def end(visit: Here, event: str) -> Response:
        return finish(visit, event, "ended", "room-ended")

    @routes.post("/rooms/{event}/links")
    @need("events")
    def invite(request: Request, visit: Here, event: str) -> Response:
        """Make a link and show it, this once: the answer to the form itself, because only its hash is kept."""
        sent = form(request)
        try:
            body = taken(InvitationWish, {"role": sent.one("role"), "label": sent.one("label").strip()})
            _, link = doors.write(
                lambda connection: invitations.make(
                    connection, now(), setup, visit.caller, event, body.role, body.label
                )
            )
        except (Refused, ControlPlaneError) as wrong:
            return room_form(request, visit, event, Form(typed(sent), errors_of(wrong, "role", "label")), "link")
        return room_form(request, visit, event, Form(), link=link)

    @routes.post("/rooms/{event}/links/{invitation}/revoke")
    @need("events")
    def revoke(visit: Here, event: str, invitation: str) -> Response:
        doors.write(lambda connection: invitations.revoke(connection, now(), visit.caller, event, invitation))
        return see(f"/rooms/{event}?done=link-revoked")

    @routes.post("/rooms/{event}/start")
    @need("events")
    def start(request: Request, visit: Here, event: str) -> Response:
        """Into one's own room, as its host. Where the account's plan holds nobody, its page says why."""

        def use_case(connection: Any) -> joining.Admission:
            row = people.person(connection, visit.caller.person)
            name = f"{row.first_name} {row.last_name}".strip() or row.email.partition("@")[0]
            number = events.get(connection, setup, visit.caller, event).number
            found = joining.find(connection, now(), setup, visit.caller, number, "")
            shown = joining.display_name(name[: joining.NAME_CHARACTERS_MAX])
            return joining.admit(connection, now(), setup, visit.caller, found, shown)

        try:
            with doors.measures.joining():
                return see(doors.write(use_case).address)
        except NotFound:
            stops = doors.store.read(lambda connection: doors.setup.subscription(connection, visit.caller.account))
            if stops not in _STOPPED:
                raise
        return room_form(request, visit, event, Form({}, {"": "may_not_host"}))


def _joining(routes: APIRouter, pages: Pages, setup: Setup, guesses: Guesses) -> None:
    doors = pages.doors

    @routes.post("/join")
    @need("public")
    def to_room(request: Request) -> Response:
        """From the front page: the number in whatever spelling leads to the room's own address."""
        sent = form(request)
        try:
            number = parse(sent.one("room"))
        except ControlPlaneError as wrong:
            return pages.show(request, "front.html", form=Form(typed(sent), {"room": wrong.code}))
        return see(f"/join/{number}")

    def join_form(request: Request, number: str, shown: Form) -> Response:
        return pages.show(
            request,
            "join.html",
            script="token.js",
            form_to=setup.media.page,
            form=shown,
            number=spoken(number),
            bare=number,
        )

    @routes.get("/join/{number}")
    @need("public")
    def join_page(request: Request, number: str) -> Response:
        """Asks for a name. Looks nothing up: the page is the same for every number (PROD-17)."""
        try:
            bare = parse(number)
        except ControlPlaneError:
            raise NotFound("event_not_found", "there is no such room") from None
        return join_form(request, bare, Form()) if bare == number else see(f"/join/{bare}")

    @routes.post("/join/{number}")
    @need("public")
    def join(request: Request, visit: Here, number: str) -> Response:
        """A grant, and to the room with it."""
        sent = form(request)
        bare = parse(number)
        try:
            body = taken(JoinWish, {"id": bare, "name": sent.one("name"), "link": code(sent.one("token"))})
            name = joining.display_name(body.name)
            admission = let_in(doors, setup, guesses, visit, bare, name, body.link)
        except TooMany:
            raise
        except (Refused, ControlPlaneError) as wrong:
            kept = {"code": sent.one("token")}
            return join_form(request, bare, Form(typed(sent, **kept), errors_of(wrong, "name")))
        return see(admission.address)


def _wish(sent: Fields, zone: str) -> dict[str, Any]:
    """The fields of the form as the API's own body has them. Raises Refused."""
    values: dict[str, Any] = {name: sent.one(name).strip() for name in ("title", "kind", "access")}
    values["seats"] = sent.one("seats").strip() or None
    values["listed"] = sent.one("listed") == "yes"
    values["starts_at"] = local_instant(sent.one("starts_at"), zone)
    if not values["title"]:
        raise Refused({"title": "field_missing"})
    return values


def local_instant(typed_: str, zone: str) -> datetime.datetime | None:
    """A date and time of day as a browser sends them, in the account's time zone, as an instant in UTC; None for "".
    Raises Refused for what is none, and for a time that the clocks skip there."""
    if not typed_.strip():
        return None
    try:
        local = datetime.datetime.fromisoformat(typed_.strip())
    except ValueError:
        raise Refused({"starts_at": "time_malformed"}) from None
    if local.tzinfo is not None or not 1970 <= local.year <= 9000:
        raise Refused({"starts_at": "time_malformed"})
    there = zoneinfo.ZoneInfo(zone)
    instant = local.replace(tzinfo=there).astimezone(datetime.UTC)
    if instant.astimezone(there).replace(tzinfo=None) != local:
        raise Refused({"starts_at": "time_skipped"})
    return instant
